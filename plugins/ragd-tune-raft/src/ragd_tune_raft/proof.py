"""The proof of a RAFT model: the same prompts to base and adapter, in three kinds of context.

``match``       the answer is the right one, as SQuAD compares them; the oracle stands among
                distractors. This decides.
``exact``       the same, letter by letter
``quotes``      share of an answer's quotes that are in its documents word for word; 0 without any
``citations``   share of an answer's quotes that are from the oracle

The same again with the oracle alone, and with distractors alone: there ``abstains`` counts who says
that the answer is not in the documents.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ragd_tune.backends import Limits
from ragd_tune.data.raft import (
    ABSTAIN,
    Context,
    Contexts,
    Example,
    Mix,
    answer_of,
    answered,
    normalised,
    quotes_of,
)
from ragd_tune.data.raft.build import lexical_search
from ragd_tune.errors import DataError
from ragd_tune.evaluate import Report, Scores, compare
from ragd_tune.kinds import Served, Trial
from ragd_tune_raft.rows import template_of

BLOCK = 32
"""Prompts that are answered between two words of progress."""

ALONE, ABSENT = " (oracle alone)", " (oracle absent)"

_NO = ("not in the document", "not in the context", "no answer", "cannot be answered")
"""Words by which models say that they do not know, beside ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """The questions of a proof: examples by query id, and their contexts by kind of context."""

    examples: Mapping[str, Example]
    contexts: Mapping[str, Mapping[str, Context]]
    unanswered: int


def prove(trial: Trial, *, gate_metric: str, incumbent: str) -> Report:
    """Have the base answer, then the adapter, and compare.

    :raises DataError: no question of the split has an answer to compare with.
    """
    data, split = trial.data, trial.split
    sheet = _sheet(trial)
    before = _scores(trial, sheet, trial.open_incumbent, "incumbent")
    after = _scores(trial, sheet, trial.open_candidate, "candidate")
    return compare(
        before,
        after,
        gate_metric=gate_metric,
        clusters=data.clusters(split),
        known=data.known_and_new(split)[0],
        exclude=trial.exclude,
        texts={qid: query.text for qid, query in data.queries.items()},
        incumbent=incumbent,
        looks=trial.looks,
        seed=trial.seed,
    )


def _sheet(trial: Trial) -> Sheet:
    examples = answered(trial.data, trial.split)
    if not examples:
        raise DataError(
            f"{trial.data.source}: no question of {trial.split} has an answer to compare with",
            mend=f"put them into raft_{trial.split}.jsonl: question, oracle, answer",
        )
    count = int(str(trial.options["judged_distractors"]))
    made = Contexts(data=trial.data, search=lexical_search(trial.data), mix=Mix(seed=trial.seed))
    return Sheet(
        examples=examples,
        contexts={
            "": made.fixed(examples, oracle=True, distractors=count),
            ALONE: made.fixed(examples, oracle=True, distractors=0),
            ABSENT: made.fixed(examples, oracle=False, distractors=count),
        },
        unanswered=len(trial.data.qrels[trial.split]) - len(examples),
    )


def _scores(trial: Trial, sheet: Sheet, open_: Callable[[], Served], side: str) -> Scores:
    trial.progress(f"loading the {side}", 0.0)
    model = open_()
    ids = list(sheet.examples)
    values: dict[str, list[float]] = {}
    for kind, contexts in sheet.contexts.items():
        said = _answers(trial, model, [(sheet.examples[q], contexts[q]) for q in ids], side)
        for qid, text in zip(ids, said, strict=True):
            for name, value in _judged(sheet.examples[qid], contexts[qid], text).items():
                values.setdefault(name + kind, []).append(value)
    return Scores(
        query_ids=tuple(ids),
        values={name: np.array(found, np.float64) for name, found in values.items()},
        unjudged=sheet.unanswered,
    )


def _answers(
    trial: Trial, model: Served, asked: Sequence[tuple[Example, Context]], side: str
) -> list[str]:
    template = template_of(trial.options["judged_template"])
    limits = Limits(
        max_tokens=int(str(trial.options["answer_tokens"])),
        system=str(trial.options["judged_system"] or ""),
    )
    said: list[str] = []
    for start in range(0, len(asked), BLOCK):
        trial.progress(f"the {side} answers", start / len(asked))
        part = asked[start : start + BLOCK]
        prompts = [template.fill(one.question, context.documents) for one, context in part]
        keep = tuple(_keep(one, context) for one, context in part)
        said += model.generate(prompts, replace(limits, keep=keep))
    trial.progress(f"the {side} answers", 1.0)
    return said


def _keep(example: Example, context: Context) -> tuple[str, ...]:
    """Return what of a prompt is cut last, as in training: a cut oracle would count as wrong."""
    return (example.question, *(example.oracle if context.has_oracle else ()))


def _judged(example: Example, context: Context, text: str) -> dict[str, float]:
    """Return what an answer scores: with the oracle at hand, or whether it abstains without."""
    if not context.has_oracle:
        return {"abstains": float(abstains(text))}
    said = answer_of(text)
    quotes = [quote for quote in quotes_of(text) if quote]
    return {
        "match": float(normalised(said) == normalised(example.answer)),
        "exact": float(said == example.answer.strip()),
        "quotes": _share(quotes, context.documents),
        "citations": _share(quotes, example.oracle),
    }


def _share(quotes: Sequence[str], texts: Sequence[str]) -> float:
    if not quotes:
        return 0.0
    return sum(any(quote in text for text in texts) for quote in quotes) / len(quotes)


def abstains(text: str) -> bool:
    """Say whether an answer says that it is not in the documents."""
    said = answer_of(text).lower()
    return ABSTAIN.lower() in said or any(words in said for words in _NO)
