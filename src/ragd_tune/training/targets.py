"""Which layers get LoRA matrices: a choice among names, the same in every backend."""

from __future__ import annotations

from collections.abc import Iterable

from ragd_tune.errors import UsageError
from ragd_tune.options import Value

ALL = "all-linear"
IDLE = frozenset({"pooler", "classifier", "score", "lm_head", "cls"})
"""Heads: no pooled vector of a bi-encoder passes through them."""


def choose(linear: Iterable[str], wanted: Value) -> list[str]:
    """Return the full names of the linear layers that get LoRA matrices, sorted.

    :param linear: the names of all linear layers; heads among them are left out.
    :param wanted: the option ``lora_targets``: ends of names, or ``all-linear``.
    :raises UsageError: no layer matches; names those that there are.
    """
    there = [name for name in linear if not IDLE & set(name.split("."))]
    assert isinstance(wanted, tuple)
    ends = tuple(str(item) for item in wanted)
    if ALL in ends:
        return sorted(there)
    found = [n for n in there if any(n == end or n.endswith(f".{end}") for end in ends)]
    idle = [end for end in ends if not any(n == end or n.endswith(f".{end}") for n in there)]
    if idle or not found:
        last = ", ".join(sorted({name.rpartition(".")[2] for name in there}))
        raise UsageError(
            f"lora_targets: no linear layer is called {', '.join(idle) or ', '.join(ends)}",
            mend=f"this base has {last}; {ALL} takes them all",
        )
    return sorted(found)
