"""A stand-in for ragd 1.0: its seams as the facts tell them, over a real Chroma collection."""
