"""Adapters to a hub and back, through the hub's own library and a server on this machine."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

import ragd_tune
from ragd_tune.cli import run, train
from ragd_tune.errors import UsageError
from ragd_tune.models import adopt, remote
from ragd_tune.store import Store
from ragd_tune.testing.hub import SHA, Hub, serve
from ragd_tune.testing.machine import Machine

# The hub's own library calls what its HTTP library is about to drop.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

REPO = "me/my-adapter"
TOKEN = "hf_" + "a" * 34


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    # The library reads its environment when it is imported; the tests run offline otherwise.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub-cache"))
    # Large files by the older of the two ways to send them: the newer one is a service of its own.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with serve(Hub(root=tmp_path / "hub-repos", token=TOKEN)) as made:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", made.endpoint)
        url = f"{made.endpoint}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", url)
        yield made


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    train._registry.cache_clear()
    made = Machine.make(tmp_path, monkeypatch)
    assert run(made.train("--epochs", "5", "--name", "mine")) == 0
    return made


def files(hub: Hub) -> set[str]:
    folder = hub.repos[REPO]
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, machine: Machine) -> Store:
    """Go to another store, which knows the base."""
    monkeypatch.setenv("RAGD_TUNE_HOME", str(tmp_path / "other"))
    adopt(Path(machine.base))
    return Store()


# -- there and back ------------------------------------------------------------------------------


def test_an_adapter_goes_to_the_hub_and_comes_back_the_same_in_another_store(
    machine: Machine, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Store().get("mine")
    vectors = ragd_tune.load("mine", slot="embedder").embed(["castle chair lamp"])
    assert run(["adapters", "push", REPO, "mine"]) == 0
    assert hub.private[REPO] is True
    listed = {"ragd-tune.json", "README.md", *before.manifest.files}
    assert files(hub) == listed | {".gitattributes"}
    there = elsewhere(tmp_path, monkeypatch, machine)
    assert run(["adapters", "pull", REPO, "--name", "theirs"]) == 0
    assert there.get("theirs").id == before.id
    assert ragd_tune.load("theirs", slot="embedder").embed(["castle chair lamp"]) == vectors
    assert there.verify() == ()
    assert run(["adapters", "activate", "theirs"]) == 3  # its proof stayed where it was made


def test_nothing_is_sent_without_the_command_and_a_dry_run_sends_nothing(
    machine: Machine, hub: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["adapters", "push", REPO, "mine", "--dry-run"]) == 0
    assert hub.asked == []
    out = capsys.readouterr().out
    assert "nothing was sent" in out
    assert "# `my-adapter`" in out


def test_a_second_push_replaces_the_first_and_leaves_no_stale_file(
    machine: Machine, hub: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    run(["adapters", "push", REPO, "mine"])
    (hub.repos[REPO] / "old.safetensors").write_bytes(b"old")
    run(machine.train("--max-steps", "3", "--name", "second"))
    capsys.readouterr()
    assert run(["adapters", "push", REPO, "second", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["commit"].endswith(SHA)
    manifest = Store().get("second").manifest
    assert files(hub) == {"ragd-tune.json", "README.md", ".gitattributes", *manifest.files}
    assert (hub.repos[REPO] / "ragd-tune.json").read_bytes() == manifest.to_bytes()


# -- the card ------------------------------------------------------------------------------------


def test_the_card_holds_the_proofs_numbers_and_no_text_of_the_data(
    machine: Machine, hub: Hub
) -> None:
    run(["adapters", "push", REPO, "mine"])
    card = (hub.repos[REPO] / "README.md").read_text(encoding="utf-8")
    store = Store()
    entry = store.get("mine")
    report = store.records(entry.id, "proof")[-1].payload["report"]
    cell = report["cells"][0]
    for number in (cell["before"], cell["after"]):
        assert f"{number:.4f}" in card
    assert entry.id in card
    assert entry.manifest.base.fingerprint in card
    assert f"ragd-tune adapters pull {REPO}" in card
    data = store.records(entry.id, "proof")[-1].payload["data"]
    assert data["fingerprint"] in card
    texts = [one["text"] for one in (*report["gained"], *report["lost"])]
    assert texts
    assert not [text for text in texts if text in card]
    assert str(machine.home.parent) not in card


def test_the_front_of_the_card_is_yaml_for_the_hub(machine: Machine, hub: Hub) -> None:
    run(["adapters", "push", REPO, "mine"])
    card = (hub.repos[REPO] / "README.md").read_text(encoding="utf-8")
    front = yaml.safe_load(card.split("---")[1])
    assert front["tags"] == ["ragd-tune", "bi-encoder", Store().get("mine").manifest.tuning]
    assert front["pipeline_tag"] == "sentence-similarity"


def test_no_record_is_sent(machine: Machine, hub: Hub) -> None:
    run(["adapters", "push", REPO, "mine"])
    assert not [name for name in files(hub) if "proof" in name or "record" in name]
    said = b"".join(path.read_bytes() for path in hub.repos[REPO].rglob("*") if path.is_file())
    query = Store().records(Store().get("mine").id, "proof")[-1].payload["report"]["gained"][0]
    assert query["text"].encode() not in said


# -- who may see it ------------------------------------------------------------------------------


def test_a_public_repository_is_not_pushed_to_by_accident(
    machine: Machine, hub: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["adapters", "push", REPO, "mine", "--public"]) == 0
    assert hub.private[REPO] is False
    before = len(hub.asked)
    assert run(["adapters", "push", REPO, "mine"]) == 2
    assert "everybody would see" in capsys.readouterr().err
    assert not [one for one in hub.asked[before:] if one.startswith(("POST", "PUT"))]


def test_a_wrong_token_is_told_with_the_way_to_log_in(
    machine: Machine, hub: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.token = "another"
    assert run(["adapters", "push", REPO, "mine"]) == 1
    error = capsys.readouterr().err
    assert "does not let you write" in error
    assert "hf auth login" in error
    assert TOKEN not in error


def test_offline_nothing_is_asked(
    machine: Machine,
    hub: Hub,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for command in (["push", REPO, "mine"], ["pull", REPO]):
        assert run(["adapters", *command]) == 4
        assert "offline" in capsys.readouterr().err
    assert hub.asked == []


@pytest.mark.parametrize("name", ["mine", "a/b/c", "../x", "o/..", "o/x@", "https://x/y", ""])
def test_what_is_no_repositorys_name_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="is no repository"):
        remote.parse(name)


# -- an adapter from a stranger ------------------------------------------------------------------


def damage(folder: Path, how: str) -> None:
    weights = next(folder.glob("*.safetensors"))
    if how == "bytes":
        raw = bytearray(weights.read_bytes())
        raw[-1] ^= 1
        weights.write_bytes(raw)
    elif how == "missing":
        weights.unlink()
    elif how == "size":
        weights.write_bytes(weights.read_bytes() + b"more")
    elif how == "path":
        raw_manifest = json.loads((folder / "ragd-tune.json").read_text(encoding="utf-8"))
        raw_manifest["files"]["../outside.json"] = {"sha256": "0" * 64, "size": 1}
        (folder / "ragd-tune.json").write_text(json.dumps(raw_manifest), encoding="utf-8")
    elif how == "pickle":
        raw_manifest = json.loads((folder / "ragd-tune.json").read_text(encoding="utf-8"))
        (folder / "weights.bin").write_bytes(b"\x80\x02")
        raw_manifest["files"]["weights.bin"] = {"sha256": "0" * 64, "size": 2}
        (folder / "ragd-tune.json").write_text(json.dumps(raw_manifest), encoding="utf-8")


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("bytes", "wrong hash"),
        ("missing", "is missing in the repository"),
        ("size", "bytes there"),
        ("path", "outside"),
        ("pickle", "a pickle runs code"),
    ],
)
def test_what_an_import_would_refuse_a_pull_refuses_and_leaves_nothing(
    machine: Machine, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], how: str, words: str,
) -> None:  # fmt: skip
    run(["adapters", "push", REPO, "mine"])
    damage(hub.repos[REPO], how)
    there = elsewhere(tmp_path, monkeypatch, machine)
    capsys.readouterr()
    assert run(["adapters", "pull", REPO]) == 1
    assert words in capsys.readouterr().err
    assert there.list() == []


def test_files_that_the_manifest_does_not_name_are_never_fetched(
    machine: Machine, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(["adapters", "push", REPO, "mine"])
    (hub.repos[REPO] / "modeling.py").write_text("raise SystemExit", encoding="utf-8")
    elsewhere(tmp_path, monkeypatch, machine)
    hub.asked.clear()
    assert run(["adapters", "pull", REPO]) == 0
    assert not [one for one in hub.asked if "modeling" in one or "README" in one]


def test_an_oversized_manifest_is_not_fetched(
    machine: Machine, hub: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    run(["adapters", "push", REPO, "mine"])
    hub.lies["ragd-tune.json"] = 5_000_000
    hub.asked.clear()
    assert run(["adapters", "pull", REPO]) == 1
    assert "more than 4,000,000 bytes" in capsys.readouterr().err
    assert not [one for one in hub.asked if "/resolve/" in one]


def test_a_repository_without_an_adapter_or_none_at_all_is_told_so(
    machine: Machine, hub: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    run(["adapters", "push", REPO, "mine"])
    (hub.repos[REPO] / "ragd-tune.json").unlink()
    assert run(["adapters", "pull", REPO]) == 1
    assert "holds no ragd-tune.json" in capsys.readouterr().err
    assert run(["adapters", "pull", "o/nothing"]) == 4
    assert "is not there" in capsys.readouterr().err


def test_without_its_base_an_adapter_is_not_taken_in(
    machine: Machine,
    hub: Hub,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run(["adapters", "push", REPO, "mine"])
    monkeypatch.setenv("RAGD_TUNE_HOME", str(tmp_path / "bare"))
    shutil.rmtree(machine.home)
    assert run(["adapters", "pull", REPO]) == 4
    assert "base" in capsys.readouterr().err
    assert Store().list() == []
