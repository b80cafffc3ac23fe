"""Room for the Unsloth backend: training on NVIDIA GPUs."""
