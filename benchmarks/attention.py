"""What attention costs on a CPU in bfloat16, forward and back: PyTorch's fused one, and ours.

``python benchmarks/attention.py [--rounds 7] [--threads 1]``

12 heads of 32 numbers, as MiniLM has; the last fifth of each text is padding. Prints JSON: CPU
milliseconds, the median of the rounds, both taken in turn. Needs ``ragd-tune[cpu]``.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ragd_tune_cpu.attention import Attention

SHAPES = ((32, 32), (16, 128), (8, 256), (4, 512))
HEADS, WIDTH = 12, 32


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    rows = [measure(texts, tokens, given.rounds) for texts, tokens in SHAPES]
    print(json.dumps(rows, indent=2))


def measure(texts: int, tokens: int, rounds: int) -> dict[str, float]:
    """Return the CPU milliseconds of both on one shape."""
    torch.manual_seed(0)
    made = [torch.randn(texts, HEADS, tokens, WIDTH).to(torch.bfloat16) for _ in range(4)]
    *inputs, back = [tensor.requires_grad_(True) for tensor in made]
    read = torch.arange(tokens) < max(1, tokens * 4 // 5)
    mask = read.expand(texts, 1, tokens, tokens)

    def library() -> Tensor:
        query, key, value = inputs
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask)

    def ours() -> Tensor:
        found: Tensor = Attention.apply(*inputs, mask, WIDTH**-0.5)  # type: ignore[no-untyped-call]
        return found

    sides: dict[str, Callable[[], Tensor]] = {"pytorch": library, "ours": ours}
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, run in sides.items():
            started = time.process_time()
            torch.autograd.grad(run(), inputs, back)
            times[name].append((time.process_time() - started) * 1000)
    medians = {name: round(statistics.median(found), 1) for name, found in times.items()}
    return {"texts": texts, "tokens": tokens, **medians}


if __name__ == "__main__":
    main()
