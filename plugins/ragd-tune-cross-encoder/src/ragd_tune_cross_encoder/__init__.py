"""The cross-encoder kind of ragd-tune: fine-tunes rerankers."""
