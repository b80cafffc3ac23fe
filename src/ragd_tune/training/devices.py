"""Which devices a machine has, found out without the framework that would use them."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path


def has_cuda() -> bool:
    """Say whether a driver is here, a GPU is visible, and PyTorch was built for it."""
    if os.environ.get("CUDA_VISIBLE_DEVICES", "0").strip() in {"", "-1"}:
        return False
    if sys.platform == "win32":
        system = Path(os.environ.get("SYSTEMROOT", r"C:\Windows")) / "System32"
        return (system / "nvcuda.dll").exists() and torch_has("torch_cuda.dll")
    device = any(Path(name).exists() for name in ("/dev/nvidia0", "/dev/dxg"))
    return device and torch_has("libtorch_cuda.so")


def torch_has(library: str) -> bool:
    """Say whether the PyTorch that is installed brings a library of that name."""
    spec = find_spec("torch")
    places = spec.submodule_search_locations if spec else None
    return any((Path(place) / "lib" / library).exists() for place in places or ())
