"""The demo from end to end: the library read, an embedder trained, the result proven."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ragd_tune.data import DataSet
from ragd_tune.demo import dataset
from ragd_tune.pipeline import Planned, Request, Trained, Workshop, plan, prove, train

if TYPE_CHECKING:
    from ragd_tune.backends import Precision
    from ragd_tune.evaluate import Report

KIND = "bi-encoder"
NAME = "demo"
"""The adapter's name in the store; the latest demo has it."""

SETTINGS: Mapping[str, Mapping[str, object]] = {
    "full": {"learning_rate": 5e-5, "batch_size": 32, "max_length": 128, "mine": "no"},
    "lora": {"learning_rate": 1e-3, "batch_size": 32, "max_length": 128, "mine": "no"},
}
"""Settings by tuning. No negatives are mined: on this set they gained nothing (see
``docs/explanation/recipes.md``), and the demo's minutes are few. The rest was measured on the dev
split, 60 steps, nDCG@10 of the base .6068: ``full`` gave .6989 at 5e-5, and .6993 at 1e-4 with a
wider interval; ``lora`` gave .6836 at 1e-3."""

EXAMPLES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A query whose answer moved to the top. Ranks count from 1; None is beyond the first 100."""

    query: str
    document: str
    rank_before: int | None
    rank_after: int | None

    def to_json(self) -> dict[str, object]:
        """Return a JSON-shaped copy."""
        return {
            "query": self.query,
            "document": self.document,
            "rank_before": self.rank_before,
            "rank_after": self.rank_after,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """Everything decided, nothing trained yet. ``data`` lies in the store's ``datasets``."""

    data: DataSet
    planned: Planned
    started: float = field(default_factory=time.perf_counter)

    @property
    def counts(self) -> dict[str, int]:
        """How many pairs each side has."""
        return {side: len(judged) for side, judged in self.data.qrels.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a demo made and proved. ``seconds`` is all of it, the reading and the proof too."""

    ready: Ready
    trained: Trained
    report: Report
    examples: tuple[Example, ...]
    seconds: float


def prepare(shop: Workshop, given: Mapping[str, object], *, offline: bool = False) -> Ready:
    """Read the library, keep it as a data set, and decide about everything.

    :param given: options by name; they come before the demo's own settings.
    :raises NotInstalledError: sources, backend or base model are not here; says which.
    """
    started = time.perf_counter()
    shop.progress("reading Python's standard library", 0.0)
    data = dataset.keep(dataset.build(), shop.store.datasets / dataset.name())
    chosen = {"tuning": "full", **{name: one for name, one in given.items() if one is not None}}
    own = SETTINGS.get(str(chosen["tuning"]), {})
    request = Request(kind=KIND, data=data.source, given={**own, **chosen}, offline=offline)
    return Ready(data=data, planned=plan(shop, request), started=started)


def run(
    shop: Workshop,
    ready: Ready,
    *,
    resume: bool = False,
    fresh: bool = False,
    precision: Precision = "auto",
) -> Shown:
    """Train, compare base and adapter on the held-out modules, and pick examples.

    Only the held-out modules are searched; see :func:`ragd_tune.demo.dataset.held_out`.
    ``precision`` is as in :func:`ragd_tune.pipeline.prove`.

    :raises InterruptedRunError: Ctrl-C; a checkpoint was kept.
    """
    made = train(shop, ready.planned, name=NAME, resume=resume, fresh=fresh)
    unseen = dataset.held_out(ready.data)
    base = ready.planned.plan.base
    report = prove(shop, made.id, unseen, base=base, precision=precision).report
    return Shown(
        ready=ready,
        trained=made,
        report=report,
        examples=examples(report, unseen),
        seconds=time.perf_counter() - ready.started,
    )


def examples(report: Report, data: DataSet, split: str = "test") -> tuple[Example, ...]:
    """Return queries whose answer moved to the top, the longest ways first, a module each."""
    found: dict[str, Example] = {}
    for moved in report.gained:
        document = next(iter(data.qrels[split][moved.query_id]))
        example = Example(
            query=moved.text,
            document=document,
            rank_before=moved.rank_before,
            rank_after=moved.rank_after,
        )
        if moved.rank_after == 1:
            found.setdefault(data.corpus[document].document, example)
    return tuple(found.values())[:EXAMPLES]
