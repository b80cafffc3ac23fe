"""An endpoint that speaks OpenAI's protocol, and judges as RAGAS asks it to by the words it finds.

A statement is a sentence. It is supported where each of its words is in the passage; a passage is
of use where the answer is in it. Texts are embedded as counts of letters.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class JudgeServer(ThreadingHTTPServer):
    """Keeps what it was asked in ``bodies``, and answers no JSON where ``mute``."""

    daemon_threads = True

    def __init__(self, *, mute: bool = False) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.mute = mute
        self.bodies: list[dict[str, Any]] = []
        self.keys: set[str] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class Handler(BaseHTTPRequestHandler):
    server: JudgeServer
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self._send({"object": "list", "data": [{"id": "judge", "object": "model"}]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.bodies.append(body)
        self.server.keys.add(self.headers.get("Authorization", ""))
        if self.path.endswith("/embeddings"):
            self._send(embedded(body))
            return
        said = (
            "I would rather not." if self.server.mute else answer(body["messages"][-1]["content"])
        )
        message = {"role": "assistant", "content": said}
        self._send(
            {
                "id": "1",
                "object": "chat.completion",
                "created": 0,
                "model": body["model"],
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
            }
        )

    def _send(self, told: object) -> None:
        content = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def embedded(body: dict[str, Any]) -> dict[str, Any]:
    """Return the vectors of a request: how often each letter is in a text."""
    texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
    rows = [[float(text.lower().count(letter)) for letter in LETTERS] for text in texts]
    data = [{"object": "embedding", "index": at, "embedding": row} for at, row in enumerate(rows)]
    usage = {"prompt_tokens": 1, "total_tokens": 1}
    return {"object": "list", "data": data, "model": body["model"], "usage": usage}


LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


def answer(prompt: str) -> str:
    """Return the JSON that a prompt of RAGAS asks for."""
    given = json.loads(prompt.rpartition("input: ")[2].rpartition("Output:")[0])
    if "statements" in given:
        verdicts = [
            {"statement": one, "reason": "words", "verdict": _supported(one, given["context"])}
            for one in given["statements"]
        ]
        return json.dumps({"statements": verdicts})
    if "response" in given:
        asked = given["response"].partition("?")[0] + "?"
        return json.dumps({"question": asked, "noncommittal": int("know" in asked)})
    if "context" not in given:
        return json.dumps({"statements": _sentences(given["answer"])})
    if "classifications" in prompt:
        found = [
            {"statement": one, "reason": "words", "attributed": _supported(one, given["context"])}
            for one in _sentences(given["answer"])
        ]
        return json.dumps({"classifications": found})
    return json.dumps({"reason": "words", "verdict": _supported(given["answer"], given["context"])})


def _sentences(text: str) -> list[str]:
    return [one for one in re.split(r"(?<=[.!])\s+", text.strip()) if one]


def _supported(statement: str, context: str) -> int:
    words = set(re.findall(r"\w+", context.lower()))
    return int(set(re.findall(r"\w+", statement.lower())) <= words)


@contextmanager
def serving(**how: Any) -> Iterator[JudgeServer]:
    """Serve until the block ends."""
    server = JudgeServer(**how)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
