"""Compile colbert-ai's extensions, all at once; it would do so one after the other, at first use.

Run by the interpreter of RAGatouille's environment. What is compiled lies under
``TORCH_EXTENSIONS_DIR``, where colbert-ai finds it up to date.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

SOURCES = (
    "modeling/segmented_maxsim",
    "search/decompress_residuals",
    "search/filter_pids",
    "search/segmented_lookup",
)

LOAD = """
import sys
from torch.utils.cpp_extension import load
load(name=sys.argv[1], sources=[sys.argv[2]], extra_cflags=["-O3"])
"""


def main() -> int:
    """Return 0 if all of them compiled."""
    spec = find_spec("colbert")
    assert spec is not None
    assert spec.origin is not None
    for lock in Path(os.environ["TORCH_EXTENSIONS_DIR"]).glob("*/lock"):
        lock.unlink()  # left by a run that was ended; PyTorch would wait for it for ever
    root = Path(spec.origin).parent
    running = [
        subprocess.Popen([sys.executable, "-c", LOAD, f"{Path(one).name}_cpp", f"{root / one}.cpp"])
        for one in SOURCES
    ]
    return max(one.wait() for one in running)


if __name__ == "__main__":
    sys.exit(main())
