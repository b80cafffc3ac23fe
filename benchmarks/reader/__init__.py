"""A language model from scratch that can just look an answer up, and what RAFT makes of it."""
