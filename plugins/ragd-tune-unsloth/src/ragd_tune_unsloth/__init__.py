"""The Unsloth backend of ragd-tune: trains on NVIDIA GPUs, and language models on CPUs."""
