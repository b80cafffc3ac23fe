from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ragd_tune.data.llm import Endpoint, EndpointError

ASKED = [{"role": "user", "content": "x"}]
STREAM = "text/event-stream; charset=utf-8"


@contextmanager
def saying(*answers: tuple[str, bytes]) -> Iterator[tuple[str, list[dict[str, object]]]]:
    """Serve bodies (type, content) one after the other; yield the address and the requests."""
    seen: list[dict[str, object]] = []

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            kind, content = answers[min(len(seen), len(answers) - 1)]
            seen.append(body)
            self.send_response(400 if kind == "refused" else 200)
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.wfile.write(content)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1", seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def events(*rows: object, done: bool = True) -> tuple[str, bytes]:
    shown = [f"data: {json.dumps(row)}\n\n" for row in rows] + ["data: [DONE]\n\n"] * done
    return STREAM, "".join([": ping\n\n", *shown]).encode()


def piece(text: str = "", finish: str | None = None) -> dict[str, object]:
    return {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish}]}


WHOLE = {"choices": [{"message": {"content": "Hello"}, "finish_reason": "stop"}]}


def client(url: str, **more: object) -> Endpoint:
    return Endpoint(url=url, model="m", pause=0.001, **more)  # type: ignore[arg-type]


def test_pieces_are_put_together_and_counted_as_the_server_counts() -> None:
    usage = {"choices": [], "usage": {"total_tokens": 40}}
    with saying(events(piece("Hel"), piece("lo", "length"), usage)) as (url, seen):
        told = client(url).ask(ASKED)
    assert (told.text, told.tokens, told.cut) == ("Hello", 40, True)
    assert seen[0]["stream"] is True
    assert seen[0]["stream_options"] == {"include_usage": True}


def test_where_no_tokens_are_counted_pieces_are() -> None:
    with saying(events(piece("Hel"), piece("lo"), piece("", "stop"), done=False)) as (url, _):
        told = client(url).ask(ASKED)
    assert (told.text, told.tokens, told.cut) == ("Hello", 2, False)


@pytest.mark.parametrize(
    "bad",
    [
        events(piece("Hel"), done=False),
        events(piece("Hel"), {"error": {"message": "out of memory"}}),
        events(piece("", "stop")),
        (STREAM, b'data: {"choices": [\n\n'),
        (STREAM, b""),
    ],
)
def test_a_stream_that_breaks_off_is_asked_for_again(bad: tuple[str, bytes]) -> None:
    with saying(bad, events(piece("Hello", "stop"))) as (url, seen):
        assert client(url).ask(ASKED).text == "Hello"
    assert len(seen) == 2


def test_an_error_in_a_stream_is_told() -> None:
    with (
        saying(events({"error": "out of memory"})) as (url, _),
        pytest.raises(EndpointError, match="out of memory"),
    ):
        client(url, retries=0).ask(ASKED)


def test_a_server_may_answer_whole_where_a_stream_was_asked_for() -> None:
    with saying(("application/json", json.dumps(WHOLE).encode())) as (url, _):
        assert client(url).ask(ASKED).text == "Hello"


def test_a_server_that_refuses_streams_is_asked_without_one_from_then_on() -> None:
    good = ("application/json", json.dumps(WHOLE).encode())
    with saying(("refused", b"no streams here"), good) as (url, seen):
        endpoint = client(url)
        assert endpoint.ask(ASKED).text == "Hello"
        assert endpoint.ask(ASKED).text == "Hello"
    assert [body["stream"] for body in seen] == [True, False, False]
