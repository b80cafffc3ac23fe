"""Room for the kind ``cross-encoder``: rerankers that read a query and a passage together."""
