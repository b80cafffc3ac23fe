"""RAGAS's metrics of a language model and of its base: both answer, a judge reads, we compare."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ragd_tune.data import DataSet, read
from ragd_tune.errors import DataError, NotInstalledError, UsageError
from ragd_tune.evaluate.ragas import ANSWER, METRICS, Judge, Judged, Sample, Task, judge
from ragd_tune.pipeline.asking import Asking, connect
from ragd_tune.pipeline.opening import Models
from ragd_tune.pipeline.ragas_answers import Asked, answers, drawn, searched
from ragd_tune.pipeline.workshop import Workshop

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ragd_tune.data.raft import Example
    from ragd_tune.evaluate.significance import Comparison
    from ragd_tune.store import Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One metric over the questions that could be judged; ``failed`` could not.

    ``before`` and ``after`` are the means of base and adapter, equal where the metric reads no
    answer; ``difference`` is then the interval of the mean itself.
    """

    metric: str
    before: float
    after: float
    difference: Comparison
    failed: int
    why: str = ""

    @property
    def reads_answers(self) -> bool:
        """Whether base and adapter can differ in it."""
        return self.metric in ANSWER


@dataclass(frozen=True, slots=True, kw_only=True)
class Rated:
    """What RAGAS makes of an adapter, and who judged."""

    entry: Entry
    judge: str
    embedding_model: str | None
    questions: int
    measured: tuple[Measured, ...]
    versions: Mapping[str, str]

    def to_json(self) -> dict[str, object]:
        """Return what ``--json`` shows and the record holds: numbers, no questions, no answers."""
        return {
            "judge": self.judge,
            "embedding_model": self.embedding_model,
            "questions": self.questions,
            "versions": dict(self.versions),
            "metrics": {one.metric: _shown(one) for one in self.measured},
        }


def _shown(one: Measured) -> dict[str, object]:
    told: dict[str, object] = {"judged": one.difference.queries, "failed": one.failed}
    if one.why:
        told["why"] = one.why
    interval = {"low": one.difference.low, "high": one.difference.high}
    if not one.reads_answers:
        return {"mean": one.after, **interval, **told}
    means = {"base": one.before, "adapter": one.after, "difference": one.difference.mean}
    return {**means, **interval, **told}


def rate(shop: Workshop, ref: str, data: DataSet | Path, asked: Asked, by: Judge) -> Rated:
    """Have base and adapter answer the same prompts, and a judge score them by RAGAS.

    Scores are kept under the store's ``runs/ragas``: the same command goes on after a stop. The
    numbers become a record of the adapter; they decide nothing.

    :raises UsageError: the adapter is no language model, or the judge is on another machine.
    :raises DataError: the split has no answers to compare with, or nothing could be judged.
    :raises NotInstalledError: no judge answers, or the interpreter has no RAGAS.
    """
    entry = shop.store.get(ref)
    if shop.registry.kind(entry.kind).serves != "generator":
        raise UsageError(
            f"{entry.shown} is a {entry.kind}, and RAGAS reads answers of language models",
            mend="`ragd-tune evaluate` proves an embedder or a reranker",
        )
    data = data if isinstance(data, DataSet) else read(data)
    by = replace(by, model=_connected(by))
    examples = drawn(data, asked)
    sides = _answered(shop, entry, data, examples, asked)
    metrics = [one for one in METRICS if by.embedding_model or one != "answer_relevancy"]
    wanted = {name: [[_task(name, one) for one in side] for side in sides] for name in metrics}
    tasks = [one for both in wanted.values() for side in both for one in side if one is not None]
    folder = shop.store.runs / "ragas" / hashlib.sha256(repr(by.header).encode()).hexdigest()[:16]
    judged = judge(tasks, by, folder, progress=shop.progress)
    clusters = data.clusters(asked.split)
    labels = [clusters[qid] for qid in examples]
    rated = Rated(
        entry=entry,
        judge=by.model,
        embedding_model=by.embedding_model,
        questions=len(examples),
        measured=tuple(
            _measured(name, (*wanted[name],), judged, labels, asked.seed) for name in metrics
        ),
        versions=judged.versions,
    )
    about = {"data": data.fingerprint, "split": asked.split}
    shop.store.record(entry.id, "ragas", {**rated.to_json(), **about})
    return rated


def _answered(
    shop: Workshop,
    entry: Entry,
    data: DataSet,
    examples: Mapping[str, Example],
    asked: Asked,
) -> tuple[list[Sample], list[Sample]]:
    """Return what base and adapter answer, from the same passages."""
    from ragd_tune.models import locate

    base = locate(entry.manifest.base.name, entry.manifest.base.fingerprint, shop.store.root)
    with ExitStack() as stack:
        models = Models(shop=shop, stack=stack, entry=entry, base=base)
        shown = searched(shop, data, examples, asked, models)
        before = answers(shop, models.incumbent(), examples, shown, asked, "base")
        after = answers(shop, models.candidate(), examples, shown, asked, "adapter")
    return before, after


def _connected(by: Judge) -> str:
    """Return the judge's model: the one that was named, else the first that is offered."""
    asking = Asking(
        url=by.url,
        model=by.model or None,
        allow_remote=by.allow_remote,
        timeout=min(by.timeout, 30.0),
        retries=0,
    )
    try:
        return connect(asking, seed=0).model
    except NotInstalledError as error:
        raise NotInstalledError(
            f"ragas needs a judge: {error.message}",
            mend="start a language model's server (for example: ollama serve), or name another "
            "with --endpoint and --model",
        ) from error


def _task(metric: str, sample: Sample) -> Task | None:
    """Return what is to be judged; None where there is nothing: no answer, or no passage."""
    empty = not sample.answer if metric in ANSWER else not sample.contexts
    return None if empty else Task(metric=metric, sample=sample)


def _measured(
    metric: str,
    sides: tuple[Sequence[Task | None], ...],
    judged: Judged,
    labels: Sequence[str],
    seed: int,
) -> Measured:
    """Compare one metric over the questions that were judged on both sides.

    :raises DataError: there are none.
    """
    import numpy as np

    pairs = [[_value(one, judged) for one in both] for both in zip(*sides, strict=True)]
    kept = [at for at, pair in enumerate(pairs) if None not in pair]
    keys = [one.key for side in sides for one in side if one is not None]
    why = next((judged.failed[key] for key in keys if key in judged.failed), "")
    if not kept:
        raise DataError(
            f"the judge gave no score for {metric}: {why}",
            mend="take a larger model; ragas.log under the store's runs/ragas tells more",
        )
    values = np.array([pairs[at] for at in kept], np.float64)
    clusters = np.unique([labels[at] for at in kept], return_inverse=True)[1]
    return Measured(
        metric=metric,
        before=float(values[:, 0].mean()),
        after=float(values[:, 1].mean()),
        difference=_interval(metric, values, clusters, seed),
        failed=len(pairs) - len(kept),
        why=why,
    )


def _interval(
    metric: str, values: NDArray[np.float64], clusters: NDArray[np.intp], seed: int
) -> Comparison:
    """Return the paired difference of values (n, 2), or the mean of those that both sides share.

    The interval of a mean is that of the values' distance from it.
    """
    from ragd_tune.evaluate.significance import paired

    if metric in ANSWER:
        return paired(values[:, 1] - values[:, 0], clusters, seed=seed)
    mean = float(values[:, 1].mean())
    found = paired(values[:, 1] - mean, clusters, seed=seed)
    return replace(found, mean=mean, low=mean + found.low, high=mean + found.high)


def _value(task: Task | None, judged: Judged) -> float | None:
    """Return a score: 0 where there was nothing to judge, None where the judge failed."""
    return 0.0 if task is None else judged.scores.get(task.key)
