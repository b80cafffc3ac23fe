"""The hub comes last: played by a server on this machine, with all that it may answer."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from ragd_tune.errors import NotInstalledError
from ragd_tune.models import fingerprint, resolve
from ragd_tune.testing.hub import SHA, Hub, serve


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


def test_the_hubs_own_switch_for_offline_work_is_obeyed(
    home: Path, cache: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(NotInstalledError, match="not asked: offline"):
        resolve("o/tiny", home=home, cache=cache, endpoint=hub.endpoint)
    assert hub.asked == []
