"""The data set of the small reader: questions about people, and passages on the same verb."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

from benchmarks.reader.world import PEOPLE, VERBS, Fact, facts

from ragd_tune.data import DataSet, Document, Query, write
from ragd_tune.data.raft import write_examples

NEGATIVES = 8
"""So many are mined for a question; those with its answer are passed over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is learned and asked. ``judged`` distractors stand beside the oracle in the test.

    ``train`` people are told of by each verb, and asked about as often; ``test`` people once. One
    question a person would let a model learn by heart whose answer is absent, and never look.

    The rate is a small model's: ragd-tune's default of 2e-5 suits billions of weights.
    """

    train: int = 500
    test: int = 240
    judged: int = 4
    steps: int = 200
    batch: int = 32
    rate: float = 2e-3


def data_set(folder: Path, size: Size, *, seed: int) -> Path:
    """Write a BEIR folder with answers. Training and test have no person and no passage in common.

    All passages on one verb are as hard as one another, and a search would bring up the same few
    for every question, of training people too: so negatives are dealt at random among a split's.
    """
    draw = random.Random(seed)
    people = draw.sample(PEOPLE, size.train + size.test)
    train, test = people[: size.train], people[size.train :]
    known = [one for kind in VERBS for one in facts(train, draw, kind)]
    told = {
        split: {f"{split}{number}": one for number, one in enumerate(some)}
        for split, some in (("train", known), ("test", facts(test, draw)))
    }
    every = {name: one for some in told.values() for name, one in some.items()}
    data = DataSet.of(
        corpus={name: Document(id=name, text=one.sentence) for name, one in every.items()},
        queries={name: Query(id=name, text=one.question) for name, one in every.items()},
        qrels={split: {name: {name: 1.0} for name in some} for split, some in told.items()},
        negatives={name: _near(name, some, draw) for some in told.values() for name in some},
        source=folder,
    )
    write(data, folder)
    for split, some in told.items():
        write_examples(folder / f"raft_{split}.jsonl", [one.example for one in some.values()])
    return folder


def _near(name: str, told: dict[str, Fact], draw: random.Random) -> tuple[str, ...]:
    """Return passages on the same verb about others."""
    near = [one for one, fact in told.items() if one != name and fact.kind == told[name].kind]
    return tuple(draw.sample(near, min(len(near), NEGATIVES)))
