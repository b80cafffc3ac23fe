from __future__ import annotations

import hashlib
import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ragd_tune.errors import NotInstalledError, TuneError, UsageError
from ragd_tune.export import Turns, modelfile
from ragd_tune.export.ollama import Ollama, read_modelfile


class Server(ThreadingHTTPServer):
    """Speaks Ollama's API as far as a model is created, shown, asked and deleted."""

    blobs: dict[str, bytes]
    models: dict[str, dict[str, Any]]
    calls: list[str]


class Answers(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def _end(self, status: int, value: object = None) -> None:
        raw = json.dumps(value).encode() if value is not None else b""
        self.send_response(status)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def do_HEAD(self) -> None:
        self.server.calls.append(f"HEAD {self.path}")
        self._end(200 if self.path.rpartition("/")[2] in self.server.blobs else 404)

    def do_DELETE(self) -> None:
        name = json.loads(self._body())["model"]
        self._end(200 if self.server.models.pop(name, None) else 404)

    def do_POST(self) -> None:
        raw, server = self._body(), self.server
        server.calls.append(f"POST {self.path}")
        if self.path.startswith("/api/blobs/"):
            digest = self.path.rpartition("/")[2]
            sound = digest == f"sha256:{hashlib.sha256(raw).hexdigest()}"
            server.blobs[digest] = raw
            return self._end(201 if sound else 400)
        asked = json.loads(raw)
        if self.path == "/api/create":
            if not set(asked["files"].values()) <= set(server.blobs):
                return self._end(400, {"error": "no such blob"})
            server.models[asked["model"]] = asked
            return self._end(200, {"status": "success"})
        if asked["model"] not in server.models:
            return self._end(404, {"error": "not found"})
        return self._end(200, {"response": f"said: {asked.get('prompt')}"})


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server(("127.0.0.1", 0), Answers)
    made.blobs, made.models, made.calls = {}, {}, []
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    yield made
    made.shutdown()
    made.server_close()


@pytest.fixture
def ollama(server: Server) -> Ollama:
    return Ollama(address=f"http://127.0.0.1:{server.server_port}", seconds=10)


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
