"""A reranker from the store: what it gives, and that it stays the one that it is."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ragd_tune.errors import UsageError
from ragd_tune.options import LORA, RELEVANCE, RUN
from ragd_tune.plan import TrainPlan
from ragd_tune.serve import Embedder, Reranker
from ragd_tune.serve.load import load
from ragd_tune.store import Entry, Manifest
from ragd_tune.testing.objectives.relevance import Relevance

PASSAGES = ["anchor apple lamp", "garden", "anchor apple"]


def train(shop: Any, name: str, seed: int = 0) -> Entry:
    """Train a reranker on the sample rows and commit it."""
    rows = Relevance().rows()
    options = {option.name: option.default for option in (*RUN, *RELEVANCE, *LORA)}
    plan = TrainPlan(
        kind="cross-encoder", objective="relevance", tuning="lora", side="both", backend="fake",
        device="cpu", base=shop.base, data_fingerprint="d", rows_fingerprint=rows.fingerprint,
        options={**options, "batch_size": 4, "max_steps": 6, "seed": seed},
        out=Path(tempfile.mkdtemp(dir=shop.folder)) / "out",
    )  # fmt: skip
    result = shop.registry.call(
        "fake", "ragd_tune_train", plan=plan, rows=rows, emit=lambda event: None
    )
    draft = shop.store.draft()
    shutil.copytree(plan.out, draft, dirs_exist_ok=True)
    manifest = Manifest.build(
        draft, kind=plan.kind, objective=plan.objective, tuning="lora", side="both",
        format=result.format, base={"name": "fake-base", "fingerprint": shop.base.fingerprint},
        dimension=0, dimensions=(), max_length=result.facts.max_length, prompts={}, pooling="",
        normalise=False, space=None,
    )  # fmt: skip
    shop.store.commit(draft, manifest, names=[name])
    entry: Entry = shop.store.get(name)
    return entry


@pytest.fixture
def rerankers(shop: Any) -> Any:
    from ragd_tune_cross_encoder import plugin

    assert shop.registry.register(plugin, name="cross-encoder", distribution="cross-encoder")
    return shop


def opened(shop: Any, ref: str, **more: Any) -> Reranker:
    found = load(ref, home=shop.store.root, registry=shop.registry, offline=True, **more)
    assert isinstance(found, Reranker)
    return found


def test_scores_are_float32_one_a_passage_and_none_for_none(rerankers: Any) -> None:
    entry = train(rerankers, "mine")
    with opened(rerankers, "mine") as model:
        assert (model.id, model.model_name) == (entry.id, "mine")
        scores = model.rerank("anchor apple", PASSAGES)
        assert scores.dtype == np.float32
        assert scores.shape == (3,)
        assert scores.argmax() != 1
        assert model.rerank("anchor", []).shape == (0,)
        assert model.rerank_many([]) == []
        one, two = model.rerank_many([("anchor apple", PASSAGES), ("garden", PASSAGES[:1])])
        np.testing.assert_array_equal(one, scores)
        assert two.shape == (1,)


def test_it_stays_what_it_is_when_its_name_goes_to_another(rerankers: Any) -> None:
    train(rerankers, "mine")
    with opened(rerankers, "mine") as model:
        before = model.rerank("anchor apple", PASSAGES)
        other = train(rerankers, "mine", seed=1)
        assert model.id != other.id
        np.testing.assert_array_equal(model.rerank("anchor apple", PASSAGES), before)


def test_a_lazy_one_loads_at_the_first_call_and_a_closed_one_says_so(rerankers: Any) -> None:
    train(rerankers, "mine")
    model = opened(rerankers, "mine", lazy=True)
    loaded = [model.is_loaded]
    model.rerank("anchor", PASSAGES)
    loaded.append(model.is_loaded)
    assert loaded == [False, True]
    model.close()
    with pytest.raises(UsageError, match="reranker mine is closed"):
        model.rerank("anchor", PASSAGES)


def test_the_slot_says_what_an_adapter_has_to_be(rerankers: Any) -> None:
    train(rerankers, "scores")
    rerankers.train("vectors")
    assert isinstance(opened(rerankers, "scores", slot="reranker"), Reranker)
    with pytest.raises(UsageError, match="scores is a reranker"):
        opened(rerankers, "scores", slot="embedder")
    with pytest.raises(UsageError, match="vectors is an embedder"):
        opened(rerankers, "vectors", slot="reranker")
    found = load("vectors", home=rerankers.store.root, registry=rerankers.registry, offline=True)
    assert isinstance(found, Embedder)
    with pytest.raises(UsageError, match="no dimension"):
        opened(rerankers, "scores", dimension=8)


@pytest.mark.parametrize("passages", ["one text", [3]])
def test_passages_have_to_be_texts(rerankers: Any, passages: Any) -> None:
    train(rerankers, "mine")
    with opened(rerankers, "mine") as model, pytest.raises(UsageError, match="passages"):
        model.rerank("anchor", passages)
