"""The same model here and in RAGatouille, compared by numbers."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ragd_tune.backends import LoadRequest
from ragd_tune.plan import BaseModel
from ragd_tune.registry import discover
from ragd_tune.serve import ServedModel
from ragd_tune.serve.maxsim import maxsim
from ragd_tune.serve.ragatouille import Ragatouille
from ragd_tune.serve.tokens import TokenStore
from ragd_tune.testing.samples import WORDS
from ragd_tune.testing.tiny import tiny_encoder

pytestmark = pytest.mark.slow

PATIENCE = 3600.0
"""Seconds: what is tested is not how fast a busy machine imports PyTorch and compiles C++."""

DOCUMENTS = 200
TOP = 10
ROUNDED = 0.15
"""How far a score of an index may lie from the exact one; queries have 32 tokens."""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ragatouille]:
    python = Path(os.environ["RAGD_TUNE_RAGATOUILLE"])
    with Ragatouille(python, tmp_path_factory.mktemp("ragatouille"), seconds=PATIENCE) as made:
        yield made


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> ServedModel:
    """A model with random weights: it ranks by nothing worth knowing, and the same everywhere."""
    base = tiny_encoder(tmp_path_factory.mktemp("base"), marks=True)
    return loaded(base)


def loaded(folder: Path) -> ServedModel:
    registry = discover()
    request = LoadRequest(
        objective="late_interaction",
        format="base",
        base=BaseModel(name="tiny", path=folder, fingerprint="f" * 64),
        device="cpu",
    )
    model = registry.call("cpu", "ragd_tune_load_adapter", request=request)
    return ServedModel(registry, "cpu", "cpu", model, objective="late_interaction")


@pytest.fixture(scope="module")
def exported(ours: ServedModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("exported") / "stanford"
    ours.export("stanford", out)
    return out


def texts(count: int, words: int, seed: int) -> list[str]:
    draw = random.Random(seed)
    return [", ".join(draw.sample(WORDS, draw.randint(2, words))) for _ in range(count)]


QUERIES = texts(12, 6, seed=1)
CORPUS = {f"d{i}": text for i, text in enumerate(texts(DOCUMENTS, 20, seed=2))}


def multi(model: ServedModel, found: list[str], role: Any) -> Any:
    return model.embed(found, role)


def test_maxsim_through_its_own_checkpoint_agrees_within_a_ten_thousandth(
    engine: Ragatouille, ours: ServedModel, exported: Path
) -> None:
    documents = [*list(CORPUS.values())[:40], "lake! lamp? ...", "garden forest " * 200]
    theirs = engine.scores(exported, QUERIES, documents)
    mine = maxsim(multi(ours, QUERIES, "query"), multi(ours, documents, "document"))
    sys.stderr.write(f"MaxSim differs by {np.abs(theirs - mine).max():.1e} at most\n")
    assert np.abs(theirs - mine).max() <= 1e-4
    assert np.ptp(mine) > 0.1  # else any scores at all would agree


def test_a_checkpoint_that_was_exported_is_the_same_model_here(
    ours: ServedModel, exported: Path
) -> None:
    again = loaded(exported)
    for role in ("query", "document"):
        one, two = multi(ours, QUERIES, role), multi(again, QUERIES, role)
        assert np.abs(one.values - two.values).max() <= 1e-5


def test_an_index_read_again_gives_our_ranking(
    engine: Ragatouille, ours: ServedModel, exported: Path, tmp_path: Path
) -> None:
    """An index rounds vectors to a few bits: what we hold further apart comes in our order."""
    index = engine.index(exported, CORPUS, tmp_path / "rag", length=64)
    engine.close()  # what searches is a new process, which reads the index from its folder
    vectors = multi(ours, list(CORPUS.values()), "document")
    store = TokenStore.write(tmp_path / "tokens", [(list(CORPUS), vectors)], model="ours")
    mine = store.search(multi(ours, QUERIES, "query"), DOCUMENTS)
    theirs = engine.search(index, QUERIES, TOP)
    furthest, shared = 0.0, 0
    for whole, found in zip(mine, theirs, strict=True):
        exact = dict(whole)
        furthest = max(furthest, *(abs(score - exact[name]) for name, score in found))
        shared += len({name for name, _ in found} & {name for name, _ in whole[:TOP]})
        assert len(found) == TOP
        assert max(abs(score - exact[name]) for name, score in found) <= ROUNDED
        scores = np.array([exact[name] for name, _ in found])
        assert (np.maximum.accumulate(scores[::-1])[::-1] - scores).max() <= 2 * ROUNDED
        assert scores.min() >= whole[TOP - 1][1] - 2 * ROUNDED
        assert np.ptp([score for _, score in whole]) > 10 * ROUNDED  # else any order would agree
    share = shared / (TOP * len(QUERIES))
    sys.stderr.write(
        f"{share:.0%} of the best {TOP} are the same; scores differ by {furthest:.3f}\n"
    )
