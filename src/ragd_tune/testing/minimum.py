"""The least that each backend has to declare: declaring little must not pass for being good."""

from __future__ import annotations

from dataclasses import dataclass

from ragd_tune.backends import Backend, ServeCell, TrainCell, serve_cells, train_cells
from ragd_tune.plan import Device


@dataclass(frozen=True, slots=True, kw_only=True)
class Minimum:
    """Cells that a backend must declare, and ``why``: it stands in the message of a failure."""

    train: frozenset[TrainCell]
    serve: frozenset[ServeCell]
    why: str


_ENCODERS = ("contrastive", "late_interaction", "relevance", "similarity")
_TORCH: tuple[Device, ...] = ("cpu", "cuda", "mps")

MINIMA = {
    "cpu": Minimum(
        train=train_cells(_ENCODERS, ("full", "lora"), _TORCH)
        | train_cells(("contrastive",), ("lora", "map"), _TORCH, sides=("query",))
        | train_cells(("causal_lm",), ("full", "lora", "dora"), _TORCH)
        | train_cells(("causal_lm",), ("qlora",), ("cpu", "cuda")),
        serve=serve_cells(("base", "full", "peft"), ("causal_lm", *_ENCODERS), _TORCH)
        | serve_cells(("full", "peft", "map"), ("contrastive",), _TORCH, sides=("query",)),
        why="it is the reference: whatever another backend makes, this one has to be able to load",
    ),
    "mlx": Minimum(
        train=train_cells(("contrastive",), ("full", "lora"), ("mps", "cpu"))
        | train_cells(("late_interaction", "relevance"), ("lora",), ("mps", "cpu"))
        | train_cells(("causal_lm",), ("full", "lora", "dora", "qlora"), ("mps", "cpu")),
        serve=serve_cells(
            ("base", "full", "peft"), ("causal_lm", "contrastive", "relevance"), ("mps", "cpu")
        )
        | serve_cells(("base", "peft"), ("late_interaction",), ("mps", "cpu")),
        why="a Mac has no other fast backend, and CI can only run what the processor does too",
    ),
    "unsloth": Minimum(
        train=train_cells(("contrastive",), ("lora",), ("cuda",))
        | train_cells(("causal_lm",), ("lora", "qlora"), ("cuda",)),
        serve=serve_cells(("base", "peft"), ("causal_lm", "contrastive"), ("cuda",)),
        why="it is there for large models on one GPU, and what it trains has to be proven there",
    ),
}
"""By name of the backend; one that is not here has :func:`smallest`."""


def smallest(backend: Backend) -> Minimum:
    """Return the minimum of a backend that states none.

    One train cell, and a bare base for each thing that it trains: without it there is nothing to
    compare an adapter with, so that no proof can be made.
    """
    if not backend.train_cells:
        raise AssertionError(f"{backend.name} declares no train cell: it can do nothing")
    return Minimum(
        train=frozenset(),
        serve=frozenset(
            ServeCell(format="base", objective=cell.objective, device=cell.device)
            for cell in backend.train_cells
        ),
        why="an adapter can only be proven against its bare base on the same device",
    )
