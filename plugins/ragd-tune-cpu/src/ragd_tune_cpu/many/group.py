"""What the processes of one training tell each other; with one process, each call is a no-op.

Each embeds its share of a batch, gets the vectors of the others, and computes the loss of the whole
batch. Gradients flow into its own share alone, so their sum over the processes is the gradient that
one process would have had, whatever the shares: nothing has to be averaged or weighted.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.distributed as dist
from torch import Tensor

COLUMNS = 3
"""Queries, positives and negatives: a process whose rows have no negatives still takes part."""


class Group:
    """This process among those of one training."""

    def __init__(self) -> None:
        self.rank = 0
        self.size = 1
        self.device = "cpu"

    def join(self, rank: int, size: int, device: str) -> None:
        """Become one of ``size`` processes; PyTorch's own group has been made."""
        self.rank, self.size, self.device = rank, size, device

    def share(self, batch: Sequence[int]) -> list[int]:
        """Return this process's rows of a batch; there may be none."""
        return list(batch[self.rank :: self.size])

    def everyone(self, own: list[Tensor]) -> list[Tensor]:
        """Return every column of vectors with the rows of all processes, in their order.

        :param own: float32 (rows, dimension), a tensor a column; the last ones may be missing.
        """
        if self.size == 1:
            return own
        dimension = int(self.most(own[0].shape[1] if own else 0))
        empty = torch.zeros((0, dimension), device=self.device)
        columns = [self._column(own[i] if i < len(own) else empty) for i in range(COLUMNS)]
        return [column for column in columns if len(column)]

    def _column(self, own: Tensor) -> Tensor:
        sizes = [torch.zeros(1, dtype=torch.int64, device=self.device) for _ in range(self.size)]
        dist.all_gather(sizes, torch.tensor([len(own)], device=self.device))
        counts = [int(size) for size in sizes]
        shape = (max(counts), own.shape[1])
        sent = torch.zeros(shape, device=self.device)
        sent[: len(own)] = own.detach()
        found = [torch.zeros(shape, device=self.device) for _ in range(self.size)]
        dist.all_gather(found, sent)
        rows = [part[:count] for part, count in zip(found, counts, strict=True)]
        rows[self.rank] = own  # the only one that gradients flow into
        return torch.cat(rows)

    def sum_gradients(self, parameters: Sequence[torch.nn.Parameter]) -> None:
        """Replace each gradient by its sum over the processes."""
        if self.size == 1:
            return
        zero = [p.grad if p.grad is not None else torch.zeros_like(p) for p in parameters]
        flat = torch.cat([gradient.reshape(-1) for gradient in zero])
        dist.all_reduce(flat)
        at = 0
        for parameter in parameters:
            count = parameter.numel()
            parameter.grad = flat[at : at + count].reshape(parameter.shape).clone()
            at += count

    def most(self, value: float) -> float:
        """Return the largest of all processes' values."""
        if self.size == 1:
            return value
        told = torch.tensor([value], dtype=torch.float64, device=self.device)
        dist.all_reduce(told, op=dist.ReduceOp.MAX)
        return float(told)

    def firsts(self, value: int) -> int:
        """Return the first process's value."""
        if self.size == 1:
            return value
        told = torch.tensor([value], dtype=torch.int64, device=self.device)
        dist.broadcast(told, src=0)
        return int(told)

    def reseed(self, seed: int, step: int) -> None:
        """Give this process random numbers of its own that depend on the step.

        A checkpoint keeps one process's state; numbers by step make a resumed run the same.
        """
        if self.size > 1:
            torch.manual_seed((seed * 1_000_003 + step) * 1_009 + self.rank)


GROUP = Group()
"""There is one for each process."""
