"""A server on this machine that speaks Ollama's API, as far as ragd-tune and ragd ask it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import queue
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Server(ThreadingHTTPServer):
    """Speaks Ollama's API as far as a model is created, listed, shown, asked and deleted.

    ``prompts`` are those that it was asked, in their order.
    """

    blobs: dict[str, bytes]
    models: dict[str, dict[str, Any]]
    calls: list[str]
    prompts: queue.Queue[str]

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


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

    def do_GET(self) -> None:
        self._end(200, {"models": [{"name": name} for name in self.server.models]})

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
        if self.path == "/api/generate":
            server.prompts.put(asked["prompt"])
        return self._end(200, {"response": f"said: {asked.get('prompt')}", "done": True})


@contextlib.contextmanager
def serving() -> Iterator[Server]:
    """Run a server on a free port of this machine."""
    made = Server(("127.0.0.1", 0), Answers)
    made.blobs, made.models, made.calls = {}, {}, []
    made.prompts = queue.Queue()
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.shutdown()
        made.server_close()
