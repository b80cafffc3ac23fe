"""What this backend runs, and whether it can run here: no framework is imported to find out."""

from __future__ import annotations

import platform
from importlib.util import find_spec

from ragd_tune.backends import Availability, Backend, serve_cells, train_cells
from ragd_tune.interchange.quantised import NF4
from ragd_tune.options import Option
from ragd_tune.plan import Device
from ragd_tune.training.devices import has_cuda

OBJECTIVES = ("contrastive", "late_interaction", "relevance", "similarity")
TUNINGS = ("full", "lora")
LM_TUNINGS = ("full", "lora", "dora")
FORMATS = ("base", "full", "peft")
QUERY_TUNINGS = ("lora", "map")
QUERY_FORMATS = ("full", "peft", "map")
DEVICES: tuple[Device, ...] = ("cpu", "cuda", "mps")
NEEDS = ("torch", "sentence_transformers", "datasets", "accelerate", "peft")
MEND = 'pip install "ragd-tune[cpu]"'
PRIORITY = 50


def detect() -> Availability:
    """Say what is installed and which devices are at hand, in milliseconds; never raises."""
    try:
        missing = [name for name in NEEDS if find_spec(name) is None]
    except (ImportError, ValueError) as error:
        return Availability(reason=f"a broken installation: {error}", mend=MEND)
    if missing:
        return Availability(reason=f"{', '.join(missing)} not installed", mend=MEND)
    return Availability(devices=devices(), priority=PRIORITY)


def devices() -> tuple[Device, ...]:
    """Return the devices, best first. A doubt counts as no: the CPU always works."""
    found: list[Device] = []
    if has_cuda():
        found.append("cuda")
    if _has_mps():
        found.append("mps")
    return (*found, "cpu")


def _has_mps() -> bool:
    if platform.system() != "Darwin" or platform.machine() != "arm64":
        return False
    major = platform.mac_ver()[0].partition(".")[0]
    return major.isdigit() and int(major) >= 14  # what PyTorch's MPS builds need


BACKEND = Backend(
    name="cpu",
    title="PyTorch and sentence-transformers: CPU, CUDA or Apple's MPS",
    train_cells=train_cells(OBJECTIVES, TUNINGS, DEVICES)
    | train_cells(("contrastive",), QUERY_TUNINGS, DEVICES, sides=("query",))
    | train_cells(("causal_lm",), LM_TUNINGS, DEVICES)
    # bitsandbytes has no kernels for Apple's GPUs
    | train_cells(("causal_lm",), ("qlora",), ("cpu", "cuda")),
    serve_cells=serve_cells(FORMATS, (*OBJECTIVES, "causal_lm"), DEVICES)
    | serve_cells(QUERY_FORMATS, ("contrastive",), DEVICES, sides=("query",)),
    detect=detect,
    bits=(NF4,),
    spreads=("contrastive",),
    options=(
        Option(
            name="cpu.torchrun",
            type="str",
            default=None,
            optional=True,
            group="backend",
            help="options of torchrun for several machines, as it takes them",
        ),
    ),
)
