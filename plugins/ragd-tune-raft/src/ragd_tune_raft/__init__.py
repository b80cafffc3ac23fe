"""Room for the kind ``raft``: language models that answer from retrieved passages."""
