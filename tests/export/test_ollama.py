from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.export.ollama_server import Server, serving

from ragd_tune.errors import NotInstalledError, TuneError, UsageError
from ragd_tune.export import Turns, modelfile
from ragd_tune.export.ollama import Ollama, read_modelfile


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as made:
        yield made


@pytest.fixture
def ollama(server: Server) -> Ollama:
    return Ollama(address=server.address, seconds=10)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model.gguf").write_bytes(b"GGUF weights")
    turns = Turns(user=("<|user|>\n", "<|end|>\n"), answer="<|model|>\n", end="<|end|>")
    text = modelfile("model.gguf", turns, stop=["<|end|>", "<|user|>"], num_ctx=512, system="Be.")
    (tmp_path / "Modelfile").write_text(text)
    return tmp_path


def test_a_model_is_created_once_from_what_was_exported(
    server: Server, ollama: Ollama, folder: Path
) -> None:
    assert not ollama.has("tuned")
    ollama.create("tuned", folder)
    assert ollama.has("tuned")
    made = server.models["tuned"]
    (digest,) = made["files"].values()
    assert server.blobs[digest] == b"GGUF weights"
    assert made["template"].startswith("{{ if .Prompt }}<|user|>\n{{ .Prompt }}<|end|>\n{{ end }}")
    assert made["system"] == "Be."
    assert made["parameters"] == {
        "num_ctx": 512,
        "temperature": 0,
        "stop": ["<|end|>", "<|user|>"],
    }
    assert "adapters" not in made
    ollama.create("again", folder)
    assert server.calls.count(f"POST /api/blobs/{digest}") == 1, "weights are sent once"


def test_a_model_is_taken_away_and_a_second_time_is_no_error(ollama: Ollama, folder: Path) -> None:
    ollama.create("tuned", folder)
    assert ollama.generate("tuned", "Why?", tokens=3) == "said: Why?"
    ollama.delete("tuned")
    ollama.delete("tuned")
    assert not ollama.has("tuned")


def test_a_refusal_is_told_in_the_servers_words(ollama: Ollama) -> None:
    with pytest.raises(TuneError, match="not found"):
        ollama.generate("none", "Why?", tokens=3)


def test_no_server_says_how_to_start_one() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(NotInstalledError) as refused:
        Ollama(address=f"http://127.0.0.1:{port}", seconds=2).has("x")
    assert refused.value.mend == "start it: ollama serve"


@pytest.mark.parametrize("address", ["http://192.0.2.1:11434", "http://models.example"])
def test_a_model_does_not_leave_this_machine(address: str) -> None:
    with pytest.raises(UsageError, match="not on this machine"):
        Ollama(address=address, seconds=0.1).has("x")


def test_a_modelfile_that_is_not_ours_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "Modelfile"
    path.write_text("FROM ./model.gguf\nADAPTER ./x.gguf\n")
    with pytest.raises(UsageError, match="no Modelfile that ragd-tune wrote"):
        read_modelfile(path)
