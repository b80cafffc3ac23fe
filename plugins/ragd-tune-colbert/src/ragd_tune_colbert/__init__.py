"""The ColBERT kind of ragd-tune: rerankers that compare the vectors of tokens by MaxSim."""
