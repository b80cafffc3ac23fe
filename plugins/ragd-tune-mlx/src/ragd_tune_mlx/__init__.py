"""The MLX backend of ragd-tune: trains and serves on Apple silicon, and on Linux CPUs."""
