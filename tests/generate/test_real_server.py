"""A real server, ``transformers serve``, with a tiny random model: nonsense by the rules."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from ragd_tune import cli
from ragd_tune.data.journal import Journal
from ragd_tune.data.llm import Budget, Endpoint, EndpointError, Job, ask_all
from ragd_tune.errors import BAD_DATA, NOT_INSTALLED
from ragd_tune.testing.machine import Machine
from ragd_tune.testing.tiny_lm import tiny_lm

HELLO = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Say something."}]


class Server:
    """The server's process and address."""

    def __init__(self, model: Path, home: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.model, self.root = str(model), f"http://127.0.0.1:{port}"
        given = (self.model, "--device", "cpu", "--host", "127.0.0.1", "--port", str(port))
        variables = {"HF_HOME": str(home), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
        self.log = home / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "transformers.cli.transformers", "serve", *given],
                env=os.environ | variables,
                stdout=log,
                stderr=log,
            )

    def wait(self) -> None:
        """Return when it answers; fail with its log where it dies first."""
        while self.process.poll() is None:
            try:
                with urllib.request.urlopen(f"{self.root}/health", timeout=5):
                    return
            except OSError:
                time.sleep(0.1)
        pytest.fail(self.log.read_text("utf-8", errors="replace")[-2000:])

    def client(self, **more: object) -> Endpoint:
        settings = {"model": self.model, "temperature": 0.0, "max_tokens": 8, "retries": 0, **more}
        return Endpoint(url=f"{self.root}/v1", **settings)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if find_spec("fastapi") is None and os.environ.get("CI", "").lower() != "true":
        pytest.skip("transformers serve needs fastapi and openai")
    home = tmp_path_factory.mktemp("served")
    made = Server(tiny_lm(home, max_length=8192), home)
    try:
        made.wait()
        yield made
    finally:
        made.process.kill()
        made.process.wait()


def test_a_stream_and_a_whole_answer_say_the_same_and_count_the_same(server: Server) -> None:
    pieces, whole = (server.client(stream=on).ask(HELLO) for on in (True, False))
    assert pieces == whole
    assert pieces.text.strip()
    assert pieces.cut
    assert pieces.tokens > 8


def test_a_schema_that_it_does_not_know_is_no_hindrance(server: Server) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    assert server.client().ask(HELLO, schema=schema).text == server.client().ask(HELLO).text


def test_many_requests_are_journalled_counted_and_kept_within_their_budget(
    server: Server, tmp_path: Path
) -> None:
    jobs = [
        Job(key=str(n), messages=[HELLO[0], {"role": "user", "content": f"{n}"}]) for n in "abcdef"
    ]
    with Journal(tmp_path / "j", {}) as journal:
        told = ask_all(
            server.client(), jobs, journal, lambda text: [text], workers=2, budget=Budget(tokens=60)
        )
        assert "tokens" in told.stopped
        assert 0 < told.asked < 6
        assert told.tokens >= 60
        again = ask_all(server.client(), jobs, journal, lambda text: [text], workers=2)
        assert (again.known, again.asked, again.failed) == (told.asked, 6 - told.asked, [])


def test_a_refusal_is_told_in_the_servers_own_words(server: Server) -> None:
    with pytest.raises(EndpointError, match="pinned to") as told:
        server.client(model="other").ask(HELLO)
    assert "model's name" in told.value.mend


def test_a_server_that_does_not_list_its_models_is_asked_for_the_one_that_is_named(
    server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    machine = Machine.make(tmp_path, monkeypatch, queries=20)
    page = tmp_path / "pages" / "pump.md"
    page.parent.mkdir()
    page.write_text("# Pump\n\nThe red pump is started by the lever.\n", encoding="utf-8")
    given = ["data", "generate", str(page.parent), "--out", str(tmp_path / "out"), "--offline"]
    given += ["--base", str(machine.base), "--endpoint", f"{server.root}/v1", "--workers", "1"]
    assert cli.run(given) == NOT_INSTALLED
    assert "--model" in capsys.readouterr().err
    assert cli.run([*given, "--model", server.model]) == BAD_DATA
    assert "no usable question" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_server_that_stands_still_times_out_and_one_that_dies_is_gone(server: Server) -> None:
    hasty = server.client(timeout=0.3)
    server.process.send_signal(signal.SIGSTOP)
    try:
        with pytest.raises(EndpointError, match=r"no answer within 0\.3 s"):
            hasty.ask(HELLO)
    finally:
        server.process.send_signal(signal.SIGCONT)
    assert server.client().ask(HELLO).text
    server.process.kill()
    server.process.wait()
    with pytest.raises(EndpointError, match="nothing answers there"):
        server.client().ask(HELLO)
