"""The side ``query``: documents keep the base's vectors and its space; each is embedded once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from ragd_tune.errors import TuneError, UsageError
from ragd_tune.models import space_id
from ragd_tune.objectives import Rows
from ragd_tune_cpu.query.frozen import Frozen

LONG = "garden forest " * 40
TEXTS = ["anchor apple", "harbour hill honey", LONG]


def query_plan(lab: Any, base: Any, **options: Any) -> Any:
    return replace(lab.plan(base, **options), side="query")


@pytest.mark.parametrize("tuning", ["lora", "map"])
def test_documents_are_the_bases_own_at_its_own_length_and_lie_in_its_space(
    lab: Any, tuning: str
) -> None:
    plan = query_plan(lab, lab.base(), tuning=tuning, max_length=8)
    result = lab.train(plan)
    base, tuned = lab.load(plan), lab.load(plan, result, side="query")
    assert base.facts.max_length > 8
    vectors = lab.embed(tuned, TEXTS)
    np.testing.assert_allclose(vectors, lab.embed(base, TEXTS), rtol=0, atol=1e-6)
    assert space_id(result.facts, encoder="b") == space_id(base.facts, encoder="b")
    queries = lab.embed(tuned, [LONG, "garden forest " * 4], "query")
    np.testing.assert_allclose(queries[0], queries[1], rtol=0, atol=1e-6)
    assert np.abs(lab.embed(tuned, TEXTS, "query") - vectors).max() > 1e-3


def test_each_document_goes_through_the_model_once_whatever_the_epochs(
    lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    embed = Frozen._embed

    def noted(self: Frozen, texts: list[str], width: int) -> Any:
        seen.extend(texts)
        return embed(self, texts, width)

    monkeypatch.setattr(Frozen, "_embed", noted)
    lab.train(query_plan(lab, lab.base(), max_steps=None, epochs=3.0))
    rows = [*lab.rows.train, *lab.rows.dev]
    texts = {row["positive"] for row in rows} | {t for r in rows for t in r.get("negatives", ())}
    assert sorted(seen) == sorted(texts)
    assert any("embedding" in e.message for e in lab.events if e.type == "log")


@pytest.mark.parametrize("tuning", ["lora", "map"])
def test_explicit_negatives_reach_the_loss(lab: Any, tuning: str) -> None:
    train = [
        {
            **row,
            "negatives": [f"letter {i} lemon", f"lamp {i}"],
            "negative_keys": [f"{i}a", f"{i}b"],
        }
        for i, row in enumerate(lab.rows.train)
    ]
    lab.rows = Rows(objective="contrastive", train=train)
    base = lab.base()
    losses = [
        lab.train(query_plan(lab, base, tuning=tuning, negatives=count, max_steps=1)).losses[0][1]
        for count in (0, 1, 2)
    ]
    assert losses[0] < losses[1] < losses[2], "each negative adds to the softmax"


def test_the_map_is_one_matrix_that_queries_are_multiplied_by(lab: Any) -> None:
    plan = query_plan(lab, lab.base(), tuning="map")
    result = lab.train(plan)
    assert result.format == "map"
    assert [path.name for path in plan.out.iterdir()] == ["map.safetensors"]
    matrix = load_file(plan.out / "map.safetensors")["map"]
    made = lab.embed(lab.load(plan), TEXTS[:2], "query") @ matrix.T
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    tuned = lab.embed(lab.load(plan, result, side="query"), TEXTS[:2], "query")
    np.testing.assert_allclose(tuned, made, rtol=0, atol=1e-5)
    cut = lab.embed(lab.load(plan, result, side="query", dimension=4), TEXTS[:2], "query")
    short = made[:, :4] / np.linalg.norm(made[:, :4], axis=1, keepdims=True)
    np.testing.assert_allclose(cut, short, rtol=0, atol=1e-5)


def test_a_map_of_another_size_is_refused(lab: Any) -> None:
    plan = query_plan(lab, lab.base(), tuning="map", max_steps=1)
    result = lab.train(plan)
    save_file({"map": np.eye(16, dtype=np.float32)}, plan.out / "map.safetensors")
    with pytest.raises(TuneError, match="fits no vectors of 32 dimensions"):
        lab.load(plan, result, side="query")


def test_a_whole_model_serves_queries_beside_the_bare_base(lab: Any) -> None:
    plan = lab.plan(lab.base(), tuning="full")
    result = lab.train(plan)
    both = lab.load(plan, result)
    apart, base = lab.load(plan, result, side="query"), lab.load(plan, max_length=32)
    queries = [lab.embed(model, TEXTS, "query") for model in (apart, both)]
    documents = [lab.embed(model, TEXTS) for model in (apart, base)]
    np.testing.assert_allclose(queries[0], queries[1], rtol=0, atol=1e-6)
    np.testing.assert_allclose(documents[0], documents[1], rtol=0, atol=1e-6)


def test_what_is_two_encoders_is_not_written_as_one_folder(lab: Any) -> None:
    plan = query_plan(lab, lab.base(), max_steps=1)
    model = lab.load(plan, lab.train(plan), side="query")
    out = lab.folder / "exported"
    with pytest.raises(UsageError, match="no single model does both"):
        lab.registry.call("cpu", "ragd_tune_export", model=model, format="folder", out=out)
    assert not out.exists()


def test_the_time_of_embedding_documents_is_in_the_estimate(
    lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = query_plan(lab, lab.base())
    monkeypatch.setattr(Frozen, "seconds", lambda self: self.fill() or 1000.0)
    assert lab.estimate(plan).seconds > 1000.0
