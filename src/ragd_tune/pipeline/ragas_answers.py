"""What RAGAS is to judge: questions, the passages that a search brings up, and answers."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ragd_tune.data import DataSet
from ragd_tune.data.raft import Example, Template, answer_of, answered
from ragd_tune.errors import DataError, UsageError
from ragd_tune.evaluate.ragas import Sample
from ragd_tune.pipeline.opening import Models
from ragd_tune.pipeline.workshop import Workshop

if TYPE_CHECKING:
    from ragd_tune.kinds import Served

BLOCK = 32
"""Prompts that are answered between two words of progress."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is asked and shown. ``passages`` are retrieved for each question.

    By BM25, or by ``embedder``: an adapter's name or a base's. ``template`` is the file that was
    trained on. Of more than ``questions`` a part is drawn.
    """

    split: str = "test"
    questions: int = 50
    passages: int = 5
    embedder: str | None = None
    template: Path | None = None
    system: str = ""
    answer_tokens: int = 256
    seed: int = 0


def drawn(data: DataSet, asked: Asked) -> dict[str, Example]:
    """Return as many of the split's questions as are asked for, drawn with the seed."""
    found = answered(data, asked.split)
    if not found:
        raise DataError(
            f"{data.source}: no question of {asked.split} has an answer to compare with",
            mend=f"put them into raft_{asked.split}.jsonl: question, oracle, answer",
        )
    if len(found) <= asked.questions:
        return found
    kept = set(random.Random(asked.seed).sample(sorted(found), asked.questions))
    return {qid: one for qid, one in found.items() if qid in kept}


def searched(
    shop: Workshop,
    data: DataSet,
    examples: Mapping[str, Example],
    asked: Asked,
    models: Models,
) -> list[tuple[str, ...]]:
    """Return the passages that a search brings up for each question, the best first."""
    from ragd_tune.backends import MultiVector
    from ragd_tune.data.raft.build import lexical_search

    questions = [data.queries[qid].text for qid in examples]
    if asked.embedder is None:
        found = lexical_search(data)(questions, asked.passages)
        return [tuple(data.corpus[did].passage for did in row) for row in found]
    from ragd_tune.evaluate.first_stage import dense

    shop.progress(f"{asked.embedder} searches", 0.0)
    model = models.embedder(asked.embedder)
    passages = [one.passage for one in data.corpus.values()]
    asking, known = model.embed(questions, "query"), model.embed(passages, "document")
    if isinstance(asking, MultiVector) or isinstance(known, MultiVector):
        raise UsageError(f"{asked.embedder} gives many vectors a text, and a search needs one")
    rows = dense(asking, known, asked.passages)
    return [tuple(passages[at] for at in row.indices.tolist()) for row in rows]


def answers(
    shop: Workshop,
    model: Served,
    examples: Mapping[str, Example],
    contexts: Sequence[tuple[str, ...]],
    asked: Asked,
    side: str,
) -> list[Sample]:
    """Have a model answer every question from its passages."""
    from ragd_tune.backends import Limits

    template = Template.read(asked.template.expanduser()) if asked.template else Template()
    limits = Limits(max_tokens=asked.answer_tokens, system=asked.system)
    shown = list(zip(examples.values(), contexts, strict=True))
    prompts = [template.fill(one.question, passages) for one, passages in shown]
    said: list[str] = []
    for start in range(0, len(prompts), BLOCK):
        shop.progress(f"the {side} answers", start / len(prompts))
        said += model.generate(prompts[start : start + BLOCK], limits)
    return [
        Sample(
            question=one.question,
            contexts=passages,
            answer=answer_of(text),
            reference=one.answer,
        )
        for (one, passages), text in zip(shown, said, strict=True)
    ]
