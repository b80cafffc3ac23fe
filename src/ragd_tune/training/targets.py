"""Which layers get LoRA matrices: a choice among names, the same in every backend."""

from __future__ import annotations

from collections.abc import Iterable

from ragd_tune.errors import UsageError
from ragd_tune.options import Value

ALL = "all-linear"
IDLE = frozenset({"pooler", "classifier", "score", "lm_head", "cls"})
"""Heads: no pooled vector of a bi-encoder passes through them."""


def choose(linear: Iterable[str], wanted: Value, *, idle: frozenset[str] = IDLE) -> list[str]:
    """Return the full names of the linear layers that get LoRA matrices, sorted.

    :param linear: the names of all linear layers.
    :param wanted: the option ``lora_targets``: ends of names, or ``all-linear``.
    :param idle: parts of names whose layers are left out: nothing that counts passes through them.
    :raises UsageError: no layer matches; names those that there are.
    """
    there = [name for name in linear if not idle & set(name.split("."))]
    assert isinstance(wanted, tuple)
    ends = tuple(str(item) for item in wanted)
    if ALL in ends:
        return sorted(there)
    found = [n for n in there if any(n == end or n.endswith(f".{end}") for end in ends)]
    lost = [end for end in ends if not any(n == end or n.endswith(f".{end}") for n in there)]
    if lost or not found:
        last = ", ".join(sorted({name.rpartition(".")[2] for name in there}))
        raise UsageError(
            f"lora_targets: no linear layer is called {', '.join(lost) or ', '.join(ends)}",
            mend=f"this base has {last}; {ALL} takes them all",
        )
    return sorted(found)
