"""The proof of a reranker: it puts candidates in order that others found and ordered before."""

from __future__ import annotations

from collections.abc import Mapping

from ragd_tune.evaluate import Report, Scores, compare
from ragd_tune.kinds import Trial
from ragd_tune_cross_encoder.candidates import Field
from ragd_tune_cross_encoder.stage import Stage

BASE = "the base reranker"


def prove(trial: Trial, *, gate_metric: str) -> Report:
    """Compare the first stage's order with the tuned order of the same candidates.

    Where the base is a reranker itself and orders them as well as the first stage or better, it
    is the incumbent. Taking the better of the two on this very test set favours the incumbent, so
    the gate is no easier to pass for it. What else was measured is reported beside.
    """
    field = Field.of(trial)
    stage = Stage.of(trial.options)
    found = field.first_stage(stage)
    before = {stage.words: field.score(found)}
    base = trial.open_incumbent()
    if not base.facts.settings.get("untrained_head"):
        before[BASE] = field.rerank(base, found, "the base")
    after = field.rerank(trial.open_candidate(), found, "the candidate")
    incumbent = _incumbent(before, gate_metric)
    others = {name: scores for name, scores in before.items() if name != incumbent}
    for name in stage.beside:
        others[f"the order of {name}"] = field.score(field.dense(name, stage.candidates))
    return compare(
        before[incumbent],
        after,
        gate_metric=gate_metric,
        clusters=trial.data.clusters(trial.split),
        known=trial.data.known_and_new(trial.split)[0],
        exclude=trial.exclude,
        texts={qid: query.text for qid, query in trial.data.queries.items()},
        incumbent=incumbent,
        beside=others,
        looks=trial.looks,
        seed=trial.seed,
    )


def _incumbent(before: Mapping[str, Scores], metric: str) -> str:
    """Return the better of those that an adapter replaces; a reranker where they are equal."""
    return max(reversed(list(before)), key=lambda name: before[name].means()[metric])
