"""A proof of drawn scores, and the story around it: no model is needed to tell a result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from ragd_tune.evaluate import Report, Scores, compare
from ragd_tune.report import Run, Story

Make = Callable[..., Story]
METRICS = ("ndcg@10", "mrr@10", "recall@10")


def _proof(
    *, queries: int = 60, gain: float = 0.1, dims: tuple[int | None, ...] = (None,), text: str = "?"
) -> Report:
    """Return a comparison of drawn scores whose true difference is ``gain``."""
    ids = tuple(f"q{i}" for i in range(queries))
    base = np.random.default_rng(0).random(queries) * 0.6 + 0.2

    def side(seed: int, more: float) -> dict[int | None, Scores]:
        noise = np.random.default_rng(seed).normal(0, 0.05, queries)
        values = np.clip(base + more + noise, 0, 1)
        first = np.arange(queries) % 7
        return {
            size: Scores(query_ids=ids, values=dict.fromkeys(METRICS, values), first=first)
            for size in dims
        }

    return compare(
        side(1, 0.0),
        side(2, gain),
        gate_metric="ndcg@10",
        clusters={query: query for query in ids},
        known=ids[: queries // 2],
        texts={query: f"{text} {query}" for query in ids},
        incumbent="the base model",
        resamples=200,
    )


@pytest.fixture(scope="session")
def proof() -> Callable[..., Report]:
    return _proof


@pytest.fixture
def run() -> Run:
    losses = tuple((step, 2.0 / step + 0.5) for step in range(1, 81))
    return Run(
        plan={"tuning": "lora", "backend": "cpu", "options": {"batch_size": 32, "minutes": None}},
        steps=80, seconds=130.0, peak_bytes=2_400_000_000, losses=losses,
        dev_losses=((40, 0.8), (80, 0.7)), estimated=(120.0, 2_200_000_000),
        versions={"torch": "2.13.0"}, rows={"train": 900, "dev": 90}, data="letters",
    )  # fmt: skip


@pytest.fixture
def make(run: Run) -> Make:
    def made(report: Report | None = None, **changed: object) -> Story:
        story = Story(
            adapter="mine", id="ab" * 32, kind="bi-encoder", base="tiny",
            base_fingerprint="cd" * 32, report=report or _proof(), data="letters",
            data_fingerprint="ef" * 32, split="test", at="2026-11-02T10:00:00+00:00", run=run,
        )  # fmt: skip
        return replace(story, **changed)  # type: ignore[arg-type]

    return made
