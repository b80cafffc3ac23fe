from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

TEXTS = ["anchor apple arrow", "beach", "", "lemon letter " * 40]


def exported(lab: Any, model: Any) -> Any:
    out = lab.folder / "exported"
    files = lab.registry.call("cpu", "ragd_tune_export", model=model, format="folder", out=out)
    assert files == sorted(path for path in out.rglob("*") if path.is_file())
    return out


@pytest.mark.parametrize("tuning", ["lora", "full"])
@pytest.mark.parametrize("plain", [False, True])
def test_an_exported_folder_is_the_model_that_was_trained(
    lab: Any, tuning: str, plain: bool
) -> None:
    from sentence_transformers import SentenceTransformer

    plan = lab.plan(lab.base(plain=plain), tuning=tuning)
    model = lab.load(plan, lab.train(plan))
    folder = exported(lab, model)
    theirs = SentenceTransformer(str(folder), device="cpu").encode(TEXTS)
    assert np.abs(theirs - lab.embed(model, TEXTS)).max() <= 1e-5


def test_prompts_by_role_reach_the_folder_and_the_vectors(lab: Any) -> None:
    from sentence_transformers import SentenceTransformer

    plan = lab.plan(lab.base(), query_prompt="key ", document_prompt="lake ")
    model = lab.load(plan, lab.train(plan))
    theirs = SentenceTransformer(str(exported(lab, model)), device="cpu")
    for role, encode in (("query", theirs.encode_query), ("document", theirs.encode_document)):
        ours = lab.embed(model, TEXTS, role)
        assert np.abs(encode(TEXTS) - ours).max() <= 1e-5
    assert np.abs(lab.embed(model, TEXTS, "query") - lab.embed(model, TEXTS)).max() > 1e-3


def test_an_export_does_not_overwrite(lab: Any) -> None:
    from ragd_tune.errors import UsageError

    model = lab.load(lab.plan(lab.base()))
    exported(lab, model)
    with pytest.raises(UsageError, match="is there already"):
        exported(lab, model)


def test_vectors_are_float32_unit_length_and_do_not_depend_on_their_neighbours(lab: Any) -> None:
    model = lab.load(lab.plan(lab.base()))
    many = lab.embed(model, TEXTS * 30)
    assert many.dtype == np.float32
    assert many.shape == (120, 32)
    assert np.allclose(np.linalg.norm(many, axis=1), 1.0, atol=1e-5)
    alone = np.concatenate([lab.embed(model, [text]) for text in TEXTS])
    assert np.abs(many[:4] - alone).max() <= 1e-5


@pytest.mark.parametrize("dimension", [None, 8])
@pytest.mark.parametrize("kept", [None, 16])
@pytest.mark.parametrize("plain", [False, True])
def test_one_text_alone_has_the_very_vector_that_the_library_gives_it(
    lab: Any, dimension: int | None, kept: int | None, plain: bool
) -> None:
    base = lab.base(plain=plain)
    if kept and not plain:
        settings = base / "config_sentence_transformers.json"
        told = json.loads(settings.read_text(encoding="utf-8")) | {"truncate_dim": kept}
        settings.write_text(json.dumps(told), encoding="utf-8")
    model = lab.load(lab.plan(base), dimension=dimension)
    for text in TEXTS:
        own = model.model.encode([text], normalize_embeddings=True, truncate_dim=dimension)
        assert np.abs(lab.embed(model, [text]) - own).max() <= 1e-7
        assert lab.embed(model, [text]).shape == own.shape


def test_no_texts_give_an_array_without_rows(lab: Any) -> None:
    assert lab.embed(lab.load(lab.plan(lab.base())), []).shape == (0, 32)
    assert lab.embed(lab.load(lab.plan(lab.base()), dimension=8), []).shape == (0, 8)


def test_a_shorter_length_can_be_asked_for_and_a_longer_one_cannot(lab: Any) -> None:
    plan = lab.plan(lab.base())
    short = lab.load(plan, max_length=8)
    assert short.facts.max_length == 8
    assert lab.load(plan, max_length=4096).facts.max_length == 64
    assert np.abs(lab.embed(short, TEXTS[3:]) - lab.embed(lab.load(plan), TEXTS[3:])).max() > 1e-6


def test_the_bases_own_prompts_are_the_default_and_an_empty_option_takes_them_away(
    lab: Any,
) -> None:
    base = lab.base(prompts={"query": "ask "})
    assert lab.train(lab.plan(base)).facts.prompts == {"query": "ask "}
    assert lab.train(lab.plan(base, query_prompt="")).facts.prompts == {}


def test_a_column_in_pieces_has_the_vectors_of_the_whole(lab: Any) -> None:
    from ragd_tune_cpu import pieces

    model = lab.load(lab.plan(lab.base("xlm-roberta"))).model
    texts = ["anchor " * (1 + 7 * i % 60) for i in range(90)]
    features = model.preprocess(texts, task="document")
    found = pieces.cut(features)
    assert sorted(int(row) for rows, _ in found for row in rows) == list(range(90))
    assert len(found) > 3
    whole = model(dict(features))["sentence_embedding"]
    assert float((pieces.embed(model, features) - whole).abs().max().detach()) <= 1e-6
