"""llama.cpp's converter, told which pre-tokenizer a home-made tokenizer has: it knows others only.

Run as the converter itself; ``RAGD_TUNE_CONVERTER`` names the real one.
"""

from __future__ import annotations

import importlib
import os
import runpy
import sys
from pathlib import Path

real = Path(os.environ["RAGD_TUNE_CONVERTER"])
sys.path[:0] = [str(real.parent), str(real.parent / "gguf-py")]
base = importlib.import_module("conversion.base")
base.TextModel.get_vocab_base_pre = lambda self, tokenizer: "gpt-2"
sys.argv[0] = str(real)
runpy.run_path(str(real), run_name="__main__")
