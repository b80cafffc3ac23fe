from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ragd_tune.errors import TuneError, UsageError
from ragd_tune.objectives import Rows
from ragd_tune.serve.maxsim import maxsim

TEXTS = ["anchor apple, arrow", "beach!", "", "lemon letter " * 40]
ROLES = ("query", "document")


@pytest.fixture
def late(lab: Any) -> Any:
    """The lab with rows of this objective, and plans with a small projection."""
    lab.rows = Rows(objective="late_interaction", train=lab.rows.train, dev=lab.rows.dev)
    plain = lab.plan

    def plan(base: Path, **options: Any) -> Any:
        small = {"objective": "late_interaction", "token_dimension": 16, "query_length": 12}
        return plain(base, **{**small, **options})

    lab.plan = plan
    return lab


def vectors(lab: Any, model: Any) -> dict[str, Any]:
    return {role: lab.embed(model, TEXTS, role) for role in ROLES}


def assert_same(one: dict[str, Any], two: dict[str, Any], tolerance: float = 1e-5) -> None:
    for role in ROLES:
        assert one[role].offsets.tolist() == two[role].offsets.tolist()
        assert np.abs(one[role].values - two[role].values).max() <= tolerance


def export(lab: Any, model: Any, format_: str) -> Path:
    out: Path = lab.folder / f"exported-{format_}"
    files = lab.registry.call("cpu", "ragd_tune_export", model=model, format=format_, out=out)
    assert files == sorted(path for path in out.rglob("*") if path.is_file())
    return out


def test_the_loss_of_a_step_is_the_softmax_over_the_cores_maxsim(late: Any) -> None:
    plan = late.plan(late.base(marks=True), max_steps=1, temperature=2.0, batch_size=14)
    plan = replace(plan, options={**plan.options, "negatives": 0})
    lone = [{**row, "positive_key": str(i), "relevant_keys": [str(i)], "negatives": []}
            for i, row in enumerate(late.rows.train)]  # fmt: skip
    late.rows = Rows(objective="late_interaction", train=lone)
    result = late.train(plan)
    base = late.load(plan, facts=result.facts)
    queries = late.embed(base, [str(row["query"]) for row in lone], "query")
    found = maxsim(queries, late.embed(base, [str(row["positive"]) for row in lone])) / 2.0
    own = np.diagonal(found)
    loss = float(np.mean(np.logaddexp.reduce(found.astype(np.float64), axis=1) - own))
    assert result.losses[0][1] == pytest.approx(loss, abs=1e-4)


def test_the_block_of_the_loss_changes_nothing_and_tokens_that_do_not_count_do_not(
    late: Any,
) -> None:
    import torch

    from ragd_tune_cpu.late.loss import maxsim as batched

    draw = torch.Generator().manual_seed(0)
    queries, documents = (torch.randn(n, 7, 8, generator=draw) for n in (5, 6))
    counted = [torch.rand(n, 7, generator=draw) > 0.4 for n in (5, 6)]
    for mask in counted:
        mask[:, 0] = True
    whole = batched(queries, counted[0], documents, counted[1])
    assert torch.equal(whole, batched(queries, counted[0], documents, counted[1], block=1))
    by_hand = [
        [
            float((q[a] @ d[b].T).max(dim=1).values.sum())
            for d, b in zip(documents, counted[1], strict=True)
        ]
        for q, a in zip(queries, counted[0], strict=True)
    ]
    assert np.abs(np.array(by_hand) - whole.numpy()).max() <= 1e-5


def test_documents_in_pieces_have_the_vectors_of_the_whole(late: Any) -> None:
    from ragd_tune_cpu import pieces
    from ragd_tune_cpu.late.loss import tokens

    model = late.load(late.plan(late.base())).model
    texts = ["anchor, " * (1 + 7 * i % 30) for i in range(90)]
    features = model.preprocess(texts, task="document")
    assert len(pieces.cut(features)) > 3
    whole = model(dict(features), task="document")
    found, counted = tokens(model, features, "document")
    assert (counted == whole["attention_mask"]).all()
    assert float((found - whole["token_embeddings"])[counted].abs().max().detach()) <= 1e-6


def test_queries_are_filled_up_with_masks_that_search_and_documents_lose_punctuation(
    late: Any,
) -> None:
    model = late.load(late.plan(late.base(marks=True)))
    found = vectors(late, model)
    assert np.diff(found["query"].offsets).tolist() == [32] * 4
    words = np.diff(found["document"].offsets).tolist()
    assert words == [6, 4, 3, 64]  # [CLS], the mark and [SEP] beside the words
    assert np.allclose(np.linalg.norm(found["query"].values, axis=1), 1.0, atol=1e-5)


def test_every_setting_reaches_the_adapter_and_comes_back(late: Any) -> None:
    options = {"query_expansion": False, "skip_punctuation": False, "expansion_attends": True}
    plan = late.plan(late.base(marks=True), max_length=20, **options)
    result = late.train(plan)
    assert dict(result.facts.settings) == {**options, "query_length": 12}
    found = vectors(late, late.load(plan, result))
    assert np.diff(found["query"].offsets).tolist() == [7, 5, 3, 12]
    assert np.diff(found["document"].offsets).tolist() == [7, 5, 3, 20]


@pytest.mark.parametrize("tuning", ["lora", "full"])
def test_an_exported_folder_is_the_model_that_was_trained(late: Any, tuning: str) -> None:
    from sentence_transformers import MultiVectorEncoder

    plan = late.plan(late.base(marks=True), tuning=tuning)
    model = late.load(plan, late.train(plan))
    theirs = MultiVectorEncoder(str(export(late, model, "folder")), device="cpu")
    ours = vectors(late, model)
    for role, encode in (("query", theirs.encode_query), ("document", theirs.encode_document)):
        found = np.concatenate(encode(TEXTS, convert_to_numpy=True))
        assert np.abs(found - ours[role].values).max() <= 1e-5


@pytest.mark.parametrize("tuning", ["lora", "full"])
def test_a_stanford_checkpoint_that_was_exported_loads_here_as_a_base(
    late: Any, tuning: str
) -> None:
    plan = late.plan(late.base(marks=True), tuning=tuning, max_length=24)
    model = late.load(plan, late.train(plan))
    folder = export(late, model, "stanford")
    again = late.load(late.plan(folder))
    assert again.facts == model.facts
    assert_same(vectors(late, again), vectors(late, model))
    metadata = json.loads((folder / "artifact.metadata").read_text(encoding="utf-8"))
    assert (metadata["dim"], metadata["query_maxlen"], metadata["doc_maxlen"]) == (16, 12, 24)


def test_training_goes_on_from_a_checkpoint_with_its_own_settings(late: Any) -> None:
    first = late.plan(late.base(marks=True), query_length=9, skip_punctuation=False)
    model = late.load(first, late.train(first))
    folder = export(late, model, "stanford")
    unset = {"token_dimension": None, "query_length": None}
    plan = late.plan(folder, **unset)
    result = late.train(plan)
    assert result.facts.settings == model.facts.settings
    assert result.facts.dimension == 16
    assert result.facts.prompts == model.facts.prompts
    tuned = vectors(late, late.load(plan, result))
    assert np.abs(tuned["query"].values - vectors(late, model)["query"].values).max() > 1e-4
    with pytest.raises(UsageError, match="a projection to 16 already"):
        late.train(late.plan(folder, token_dimension=8))


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"query_expansion": False}, "always filled up with masks"),
        ({"query_prompt": "harbour lamp "}, "'harbour lamp' is 2 of this vocabulary"),
        ({"document_prompt": ""}, "one token before every document, and this model puts none"),
    ],
)
def test_what_the_stanford_layout_has_no_room_for_is_refused_with_the_reason(
    late: Any, options: dict[str, Any], reason: str
) -> None:
    plan = late.plan(late.base(marks=True), max_steps=1, **options)
    model = late.load(plan, late.train(plan))
    with pytest.raises(UsageError, match="no Stanford ColBERT checkpoint") as refused:
        export(late, model, "stanford")
    assert reason in refused.value.message
    assert not (late.folder / "exported-stanford").exists()


def test_an_architecture_that_colbert_does_not_know_is_refused(late: Any) -> None:
    plan = late.plan(late.base("modernbert", marks=True), max_steps=1)
    model = late.load(plan, late.train(plan))
    with pytest.raises(UsageError, match="this base is modernbert"):
        export(late, model, "stanford")
    export(late, model, "folder")


def test_a_base_without_marks_in_its_vocabulary_does_without_them(late: Any) -> None:
    plan = late.plan(late.base("xlm-roberta"), max_steps=1)
    result = late.train(plan)
    assert result.facts.prompts == {}
    late.load(plan, result)


def test_an_adapter_without_its_projection_is_refused(late: Any) -> None:
    plan = late.plan(late.base(), max_steps=1)
    result = late.train(plan)
    (plan.out / "projection.safetensors").unlink()
    with pytest.raises(TuneError, match="is no ColBERT adapter"):
        late.load(plan, result)


def test_bfloat16_changes_the_loss_a_little_and_not_the_format_of_the_vectors(late: Any) -> None:
    base = late.base()
    exact, rough = (late.train(late.plan(base, precision=one)) for one in ("fp32", "bf16"))
    one, two = exact.losses[0][1], rough.losses[0][1]
    assert one != two
    assert one == pytest.approx(two, rel=0.05)


def test_a_smaller_dimension_is_the_start_of_every_vector_at_unit_length(late: Any) -> None:
    plan = late.plan(late.base())
    whole, cut = (late.load(plan, dimension=size) for size in (None, 8))
    start = late.embed(whole, TEXTS).values[:, :8]
    start /= np.linalg.norm(start, axis=1, keepdims=True)
    assert np.abs(late.embed(cut, TEXTS).values - start).max() <= 1e-6
    assert late.embed(cut, []).values.shape == (0, 8)
