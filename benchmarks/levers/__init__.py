"""Try levers of a bi-encoder's recipe on dev splits; see ``__main__``."""
