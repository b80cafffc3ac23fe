"""The bi-encoder kind of ragd-tune: fine-tunes embedding models."""
