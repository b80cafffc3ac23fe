"""The PyTorch backend of ragd-tune: trains and serves on CPU, CUDA and Apple's MPS."""
