"""What this backend runs, and whether it can run here: no framework is imported to find out."""

from __future__ import annotations

import os
import platform
import sys
from importlib.util import find_spec
from pathlib import Path

from ragd_tune.backends import Availability, Backend, serve_cells, train_cells
from ragd_tune.interchange.quantised import MLX
from ragd_tune.plan import BaseModel, Device

DEVICES: tuple[Device, ...] = ("mps", "cuda", "cpu")
NEEDS = ("mlx", "mlx_lm", "transformers")
MEND = 'pip install "ragd-tune[mlx]"'
ELSEWHERE = 'pip install "ragd-tune[cpu]": its backend runs here'
ON_APPLE = 80
ON_LINUX = 5
"""MLX is made for Apple's chips; on a Linux CPU PyTorch is faster, and on CUDA it is not proven."""

MACOS = 14
GLIBC = (2, 35)
"""The oldest systems that MLX's wheels are built for."""


def detect() -> Availability:
    """Say what is installed and which devices are at hand, in milliseconds; never raises."""
    unfit = why_not_here()
    if unfit:
        return Availability(reason=unfit, mend=ELSEWHERE)
    try:
        missing = [name for name in NEEDS if find_spec(name) is None]
    except (ImportError, ValueError) as error:
        return Availability(reason=f"a broken installation: {error}", mend=MEND)
    if missing:
        return Availability(reason=f"{', '.join(missing)} not installed", mend=MEND)
    if not _library():
        reason = "MLX is installed without a library for this machine"
        return Availability(reason=reason, mend=MEND)
    apple = sys.platform == "darwin"
    return Availability(devices=devices(), priority=ON_APPLE if apple else ON_LINUX)


def why_not_here() -> str:
    """Return why MLX has no build for this system; empty if it has one."""
    machine = platform.machine().lower()
    if sys.platform == "darwin":
        if machine != "arm64":
            return f"MLX needs Apple silicon; this Mac's processor is {machine}"
        major = platform.mac_ver()[0].partition(".")[0]
        if major.isdigit() and int(major) < MACOS:
            return f"MLX needs macOS {MACOS} or later; this is {platform.mac_ver()[0]}"
        return ""
    if sys.platform != "linux":
        return f"MLX runs on macOS and Linux; this is {platform.system() or sys.platform}"
    name, version = platform.libc_ver()
    parts = tuple(int(part) for part in version.split(".") if part.isdigit())
    if name != "glibc" or parts < GLIBC:
        found = f"{name} {version}".strip() or "another C library"
        return f"MLX needs glibc {GLIBC[0]}.{GLIBC[1]} or later; this is {found}"
    return ""


def devices() -> tuple[Device, ...]:
    """Return the devices, best first: Apple's GPU is ``mps`` in this project, as in PyTorch."""
    if sys.platform == "darwin":
        return ("mps", "cpu")
    return ("cuda", "cpu") if _has_cuda() else ("cpu",)


def _library() -> bool:
    """Say whether the compiled core is here: the package ``mlx`` alone brings none on Linux."""
    return any(_files("libmlx.*"))


def _has_cuda() -> bool:
    if os.environ.get("CUDA_VISIBLE_DEVICES", "0").strip() in {"", "-1"}:
        return False
    device = any(Path(name).exists() for name in ("/dev/nvidia0", "/dev/dxg"))
    return device and _is_cuda_build()


def _is_cuda_build() -> bool:
    from importlib.metadata import PackageNotFoundError, version

    for name in ("mlx-cuda-13", "mlx-cuda-12"):
        try:
            version(name)
        except PackageNotFoundError:
            continue
        return True
    return False


def _files(pattern: str) -> list[Path]:
    spec = find_spec("mlx")
    places = spec.submodule_search_locations if spec else None
    return [path for place in places or () for path in Path(place).glob(f"lib/{pattern}")]


def _unfit(base: BaseModel, objective: str) -> str:
    from ragd_tune_mlx.takes import unfit

    return unfit(base, objective)


BACKEND = Backend(
    name="mlx",
    title="MLX: Apple silicon, and Linux CPUs",
    train_cells=train_cells(("contrastive",), ("full", "lora"), DEVICES)
    | train_cells(("late_interaction", "relevance"), ("lora",), DEVICES)
    | train_cells(("causal_lm",), ("full", "lora", "dora", "qlora"), DEVICES),
    serve_cells=serve_cells(
        ("base", "full", "peft"), ("contrastive", "causal_lm", "relevance"), DEVICES
    )
    | serve_cells(("base", "peft"), ("late_interaction",), DEVICES),
    detect=detect,
    bits=(MLX,),
    unfit=_unfit,
)
