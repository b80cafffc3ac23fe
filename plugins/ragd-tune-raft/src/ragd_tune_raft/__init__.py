"""The RAFT kind of ragd-tune: fine-tunes language models to answer from retrieved passages."""
