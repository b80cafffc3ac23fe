"""Activating a language model: Ollama's model and ragd's key, forth and back."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.export.ollama_server import Server, serving
from tests.raft.conftest import Command, House

from ragd_tune.errors import NotInstalledError, NotProvenError, TuneError, UsageError
from ragd_tune.pipeline import llm_hosting
from ragd_tune.pipeline.gguf import export_gguf
from ragd_tune.pipeline.workshop import Workshop, workshop
from ragd_tune.ragd.llm import model_name
from ragd_tune.ragd.switch import Switch

CONVERTER = """
import sys
from pathlib import Path
Path(sys.argv[sys.argv.index("--outfile") + 1]).write_bytes(b"GGUF of a model")
"""
CONFIG = """# mine
llm:
  model: llama3.2:3b  # the one I like
  base_url: {address}
embedding: {{model: all-MiniLM-L6-v2}}
"""


@dataclass(frozen=True)
class Host:
    """A user with ragd, Ollama, and a store with one tuned language model."""

    shop: Workshop
    server: Server
    config: Path
    folder: Path
    adapter: str

    @property
    def model(self) -> str:
        return model_name(self.adapter)

    @property
    def active(self) -> str | None:
        found = self.shop.store.active("generator")
        return found.id if found else None

    def prove(self) -> None:
        self.shop.store.record(self.adapter, "proof", {"passed": True})

    def activate(self, **more: Any) -> Any:
        plan = llm_hosting.plan_model(self.shop, "mine", self.folder, **more)
        return llm_hosting.carry_out(self.shop, plan, prompts=["anchor apple"])


@pytest.fixture(scope="module")
def folder(house: House, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("exported")
    (home / "convert.py").write_text(CONVERTER)
    return export_gguf(house.shop, "mine", home / "out", converter=home / "convert.py").out


@pytest.fixture
def host(
    house: House, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Host]:
    shutil.copytree(house.store.root, tmp_path / "store")
    monkeypatch.setattr(Path, "home", staticmethod(lambda: tmp_path))
    config = tmp_path / ".ragd" / "config.yaml"
    config.parent.mkdir()
    with serving() as server:
        config.write_text(CONFIG.format(address=server.address))
        shop = workshop(home=tmp_path / "store")
        yield Host(shop=shop, server=server, config=config, folder=folder, adapter=house.made.id)


def test_a_model_is_created_asked_and_switched_to_and_all_of_it_is_taken_back(host: Host) -> None:
    host.prove()
    before, rights = host.config.read_bytes(), host.config.stat().st_mode
    change, (answer,) = host.activate()
    assert host.server.models[host.model]["system"] == "Be brief."
    wanted = before.replace(b"llama3.2:3b", f'"{host.model}"'.encode())
    assert host.config.read_bytes() == wanted
    assert (host.active, change.adapter) == (host.adapter, host.adapter)
    assert answer.theirs == "said: anchor apple"
    assert not answer.same

    taken, notes = llm_hosting.roll_back(host.shop)
    assert taken is not None
    assert (host.config.read_bytes(), host.config.stat().st_mode) == (before, rights)
    assert host.server.models == {}
    assert host.active is None
    assert notes == (f"{host.model} is taken out of Ollama",)


def test_what_is_not_proven_is_refused_before_ollama_is_asked(host: Host) -> None:
    with pytest.raises(NotProvenError):
        host.activate()
    assert host.server.calls == []
    host.activate(force=True)
    assert host.shop.store.history()[-1].forced


def test_a_folder_that_was_not_exported_from_this_adapter_is_refused(
    host: Host, tmp_path: Path
) -> None:
    host.prove()
    with pytest.raises(UsageError, match="is not there yet") as refused:
        llm_hosting.plan_model(host.shop, "mine", None)
    assert "--format gguf" in refused.value.mend
    shutil.copytree(host.folder, tmp_path / "other")
    mark = tmp_path / "other" / "ragd-tune-export.json"
    for text in ('{"adapter": "0"}', "[]", "{"):
        mark.write_text(text)
        with pytest.raises(UsageError, match="was not exported from mine"):
            llm_hosting.plan_model(host.shop, "mine", tmp_path / "other")


def test_if_anything_fails_before_the_switch_nothing_is_left(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.prove()
    before = host.config.read_bytes()

    def broken(*_: object) -> Any:
        raise TuneError("it says nothing")

    monkeypatch.setattr(llm_hosting, "compare_ollama", broken)
    with pytest.raises(TuneError, match="it says nothing"):
        host.activate()
    assert host.server.models == {}
    assert (host.config.read_bytes(), host.active) == (before, None)


def test_a_model_that_was_there_before_is_used_and_not_taken_away_by_a_failure(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.prove()
    host.activate()
    llm_hosting.roll_back(host.shop)
    host.server.models[host.model] = {"model": host.model}
    calls = len(host.server.calls)

    def broken(*_: object) -> Any:
        raise TuneError("it says nothing")

    monkeypatch.setattr(llm_hosting, "compare_ollama", broken)
    with pytest.raises(TuneError):
        host.activate()
    assert host.model in host.server.models
    assert "POST /api/create" not in host.server.calls[calls:]


def test_what_the_user_changed_meanwhile_stays_when_the_model_is_taken_back(host: Host) -> None:
    host.prove()
    host.activate()
    host.config.write_bytes(host.config.read_bytes() + b"chat: {min_relevance: 0.4}\n")
    _, notes = llm_hosting.roll_back(host.shop)
    text = host.config.read_text()
    assert text.endswith("chat: {min_relevance: 0.4}\n")
    assert "llama3.2:3b" in text
    assert "# the one I like" in text
    assert "only llm.model is taken back" in notes[0]


def test_a_silent_ollama_stops_an_activation_and_no_way_back(host: Host) -> None:
    host.prove()
    host.activate()
    switched = host.config.read_bytes()
    gone = switched.replace(host.server.address.encode(), b"http://127.0.0.1:9")
    host.config.write_bytes(gone)
    _, notes = llm_hosting.roll_back(host.shop)
    assert f"ollama rm {host.model}" in notes[-1]
    assert host.active is None
    with pytest.raises(NotInstalledError, match="Ollama does not answer"):
        host.activate()
    assert host.active is None


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("llm:\n", "llm:\n  provider: openai\n", "only Ollama's models"),
        ("model: llama3.2:3b", "model: 3", "which is no text"),
        ("http://127.0.0.1", "http://192.0.2.1", "is not on this machine"),
    ],
)
def test_a_ragd_that_asks_elsewhere_is_refused_and_left_alone(
    host: Host, old: str, new: str, why: str
) -> None:
    host.prove()
    host.config.write_text(host.config.read_text().replace(old, new))
    before = host.config.read_bytes()
    with pytest.raises(UsageError, match=why):
        host.activate()
    assert (host.config.read_bytes(), host.active) == (before, None)
    assert host.server.models == {}


def test_the_embedders_way_back_is_not_that_of_the_language_model(host: Host) -> None:
    host.prove()
    host.activate()
    switch = Switch(host.shop.store, host.config)
    with switch.alone():
        assert switch.in_force() is None


def test_the_commands_show_what_changes_and_do_it_when_told(host: Host, command: Command) -> None:
    before, store = host.config.read_bytes(), host.shop.store
    told = ["adapters", "activate", "mine", "--exported", str(host.folder), "--force"]
    code, said = command(store, *told, "--dry-run")
    assert code == 0, said
    assert f'+  model: "{host.model}"' in said
    assert (host.config.read_bytes(), host.server.models) == (before, {})
    assert command(store, *told)[0] == 130, "it asks, and nobody answers"
    assert host.config.read_bytes() == before
    code, said = command(store, *told, "--yes")
    assert code == 0, said
    assert "0 of 3 answers are the same as the adapter's" in said
    assert host.active == host.adapter
    code, said = command(store, "adapters", "rollback", "generator")
    assert code == 0, said
    assert f"{host.config} is as it was before" in said
    assert host.config.read_bytes() == before
    assert host.server.models == {}
    forced = ["adapters", "activate", "mine", "--force"]
    assert "is not there yet" in command(store, *forced, "--yes")[1]
    assert command(store, *forced, "--no-host")[0] == 0
    assert host.active == host.adapter
