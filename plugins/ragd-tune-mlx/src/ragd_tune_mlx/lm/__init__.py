"""Causal language models: mlx-lm's architectures, the core's rows and batches."""
