"""Room for the MLX backend: training and serving on Apple silicon."""
