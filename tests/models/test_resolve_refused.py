"""What is no base model, is not whole, or would run code: refused by name, and never a crash."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.models.places import MINILM, carried, into_cache

from ragd_tune.errors import NotInstalledError, RefusedAdapterError, TuneError
from ragd_tune.models import fingerprint, length_limit, resolve


def test_a_tampered_carried_copy_is_refused(
    tmp_path: Path, home: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = carried(tmp_path, monkeypatch) / "model.safetensors"
    assert resolve(MINILM, offline=True, home=home, cache=cache).path == weights.parent
    raw = bytearray(weights.read_bytes())
    raw[-1] ^= 1
    weights.write_bytes(raw)
    with pytest.raises(RefusedAdapterError, match="is not all-MiniLM-L6-v2: its sha256") as refused:
        resolve(MINILM, offline=True, home=home, cache=cache)
    assert "--force-reinstall" in refused.value.mend


def test_a_folder_with_pickles_only_is_refused(model: Path, home: Path) -> None:
    (model / "model.safetensors").rename(model / "pytorch_model.bin")
    with pytest.raises(NotInstalledError, match=r"pytorch_model\.bin and no safetensors"):
        resolve(str(model), home=home)


def test_a_module_with_pickles_only_is_refused(model: Path, home: Path) -> None:
    (model / "2_Dense" / "model.safetensors").rename(model / "2_Dense" / "pytorch_model.bin")
    with pytest.raises(NotInstalledError, match=r"pytorch_model\.bin and no safetensors"):
        resolve(str(model), home=home)


@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json"])
def test_a_model_that_brings_code_is_refused_by_the_name_of_the_key(
    model: Path, home: Path, file: str
) -> None:
    raw = json.loads((model / file).read_text(encoding="utf-8"))
    raw["auto_map"] = {"AutoModel": "modeling_own.OwnModel"}
    (model / file).write_text(json.dumps(raw), encoding="utf-8")
    with pytest.raises(RefusedAdapterError, match="auto_map") as refused:
        resolve(str(model), home=home)
    assert file in refused.value.message


def test_a_module_class_of_its_own_is_refused_by_name(model: Path, home: Path) -> None:
    raw = json.loads((model / "modules.json").read_text(encoding="utf-8"))
    raw[1]["type"] = "modeling_own.OwnPooling"
    (model / "modules.json").write_text(json.dumps(raw), encoding="utf-8")
    with pytest.raises(RefusedAdapterError, match=r"modeling_own\.OwnPooling"):
        resolve(str(model), home=home)


@pytest.mark.parametrize("place", ["../outside", "/etc", "C:\\outside"])
def test_a_module_outside_the_folder_is_refused(model: Path, home: Path, place: str) -> None:
    raw = json.loads((model / "modules.json").read_text(encoding="utf-8"))
    raw[1]["path"] = place
    (model / "modules.json").write_text(json.dumps(raw), encoding="utf-8")
    with pytest.raises(RefusedAdapterError):
        resolve(str(model), home=home)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "1_Pooling", "extra.json"])
def test_a_link_out_of_a_local_folder_is_refused(
    model: Path, home: Path, tmp_path: Path, name: str
) -> None:
    outside = tmp_path / "outside"
    if (model / name).exists():
        (model / name).rename(outside)
    else:
        outside.write_text("{}", encoding="utf-8")
    (model / name).symlink_to(outside)
    with pytest.raises(RefusedAdapterError, match=f"{name}.* is a link out of the folder"):
        resolve(str(model), home=home)


def test_links_inside_a_local_folder_are_fine(model: Path, home: Path) -> None:
    before = fingerprint(model)
    (model / "config.json").rename(model / "real.json")
    (model / "config.json").symlink_to("real.json")
    assert resolve(str(model), home=home).fingerprint == before


def test_a_snapshot_that_links_past_its_own_blobs_is_refused(
    model: Path, home: Path, cache: Path, tmp_path: Path
) -> None:
    snapshot = into_cache(cache, "o/tiny", model)
    (tmp_path / "secret.json").write_text("{}", encoding="utf-8")
    (snapshot / "config.json").unlink()
    (snapshot / "config.json").symlink_to(tmp_path / "secret.json")
    with pytest.raises(RefusedAdapterError, match="is a link out of the folder"):
        resolve("o/tiny", offline=True, home=home, cache=cache)


def test_an_adapter_is_not_taken_for_a_base(model: Path, home: Path) -> None:
    (model / "adapter_config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(NotInstalledError, match="is an adapter on another model"):
        resolve(str(model), home=home)


def test_an_empty_folder_is_no_model(tmp_path: Path, home: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotInstalledError, match=r"holds no model\.safetensors"):
        resolve(str(tmp_path / "empty"), home=home)


def test_a_missing_carried_file_names_the_command_that_brings_it_back(
    tmp_path: Path, home: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (carried(tmp_path, monkeypatch) / "model.safetensors").unlink()
    with pytest.raises(NotInstalledError, match="is missing") as missed:
        resolve(MINILM, offline=True, home=home, cache=cache)
    assert "--force-reinstall" in missed.value.mend


def test_a_missing_shard_is_named(model: Path, home: Path) -> None:
    (model / "model.safetensors").unlink()
    index = {"weight_map": {"a": "model-1-of-1.safetensors"}}
    (model / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    with pytest.raises(NotInstalledError, match=r"model-1-of-1\.safetensors is missing"):
        resolve(str(model), home=home)


@pytest.mark.parametrize("shard", ["../outside.safetensors", "/etc/passwd", "a\\b.safetensors"])
def test_a_shard_elsewhere_is_refused(model: Path, home: Path, shard: str) -> None:
    (model / "model.safetensors").unlink()
    index = json.dumps({"weight_map": {"a": shard}})
    (model / "model.safetensors.index.json").write_text(index, encoding="utf-8")
    with pytest.raises(RefusedAdapterError):
        resolve(str(model), home=home)


ODD_JSON = ["[]", "3", "null", '"x"', "{}", '{"weight_map": 3}', '{"weight_map": {"a": 3}}',
            '{"types": 3}', '{"types": ["x"]}', '{"prompts": "x"}', '{"prompts": [1]}',
            '[{"type": 3}]', '[{"type": "sentence_transformers.models.Pooling", "path": 3}]',
            "", "\x00", "[" * 100_000]  # fmt: skip


@pytest.mark.parametrize("odd", ODD_JSON, ids=[str(i) for i in range(len(ODD_JSON))])
@pytest.mark.parametrize(
    "file",
    ["modules.json", "config.json", "tokenizer.json", "config_sentence_transformers.json",
     "sentence_bert_config.json", "model.safetensors.index.json", "router_config.json",
     "1_Pooling/config.json"],
)  # fmt: skip
def test_odd_json_is_refused_or_harmless_and_never_a_crash(
    model: Path, home: Path, file: str, odd: str
) -> None:
    if file == "model.safetensors.index.json":
        (model / "model.safetensors").unlink()
    (model / file).write_text(odd, encoding="utf-8")
    try:
        found = resolve(str(model), home=home)
    except TuneError as error:
        assert str(model) in error.message or file in error.message  # noqa: PT017
    else:
        length_limit(found.path)
