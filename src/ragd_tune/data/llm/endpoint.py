"""One request to an OpenAI-compatible endpoint, with retries.

``http.client`` follows no redirects and reads no proxies from the environment: either would send
documents where nobody asked for.
"""

from __future__ import annotations

import http.client
import json
import random
import socket
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ragd_tune.data.llm.address import Address, check
from ragd_tune.data.llm.stream import LARGEST, AskAgainError, is_stream, read_stream
from ragd_tune.errors import TuneError

DEFAULT = "http://localhost:11434/v1"
"""Ollama's."""
KEY = "RAGD_TUNE_API_KEY"
"""The environment variable that the key comes from: no list of processes shows it."""
_AGAIN = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
_LONGEST_WAIT = 60.0

Messages = Sequence[Mapping[str, str]]


class EndpointError(TuneError):
    """An endpoint did not answer, or refused; ``fatal``: no other request will do better.

    ``answered`` False says that nothing is there at all.
    """

    def __init__(
        self, message: str, *, mend: str = "", fatal: bool = False, answered: bool = True
    ) -> None:
        super().__init__(message, mend=mend)
        self.fatal = fatal
        self.answered = answered


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a model said, and how many tokens it took (prompt and answer; 0 if it is not told)."""

    text: str
    tokens: int = 0
    cut: bool = False
    """Whether the answer stopped at its limit."""


@dataclass(slots=True)
class Endpoint:
    """An endpoint and how to ask it. Threads may share one.

    ``timeout`` is in seconds: for a whole answer, or in a ``stream`` for the pause between two
    pieces of it. ``retries`` come after the first try, with waits of 1, 2, 4 … times ``pause``
    seconds and up to as much again by chance.
    """

    url: str = DEFAULT
    model: str = ""
    key: str = field(default="", repr=False)
    allow_remote: bool = False
    timeout: float = 300.0
    retries: int = 5
    pause: float = 1.0
    temperature: float = 0.7
    max_tokens: int = 1024
    seed: int = 0
    schema: bool = True
    """Whether to ask for JSON by a schema; switched off at the first endpoint that refuses it."""
    stream: bool = True
    """Whether to ask for the answer in pieces; switched off at the first endpoint that refuses."""
    _address: Address | None = None

    @property
    def address(self) -> Address:
        """The checked address; see :func:`ragd_tune.data.llm.address.check` for what it raises."""
        if self._address is None:
            self._address = check(self.url, allow_remote=self.allow_remote)
        return self._address

    def models(self) -> list[str]:
        """Return the ids of the models that the endpoint offers.

        :raises EndpointError: nothing answers there, or it does not say.
        """
        try:
            told = self._exchange("GET", "/models", None)
        except AskAgainError as error:
            mend = "name a model with --model" if error.answered else _START
            raise EndpointError(
                f"{self.url}: {error}", mend=mend, fatal=True, answered=error.answered
            ) from error
        rows = told.get("data")
        rows = rows if isinstance(rows, list) else []
        found = [row.get("id") for row in rows if isinstance(row, dict)]
        return [one for one in found if isinstance(one, str)]

    def ask(self, messages: Messages, *, schema: Mapping[str, object] | None = None) -> Answer:
        """Return the answer to ``messages``; ``schema`` is a JSON schema to ask for.

        :raises EndpointError: every try failed, or the endpoint refuses the request.
        """
        for attempt in range(self.retries + 1):
            try:
                return self._once(messages, schema)
            except AskAgainError as error:
                if attempt == self.retries:
                    times = f"{attempt + 1} times" if attempt else "once"
                    raise EndpointError(f"{self.url}: {error} (asked {times})") from error
                wait = min(_LONGEST_WAIT, self.pause * 2**attempt * (1 + random.random()))
                time.sleep(max(wait, min(error.wait, _LONGEST_WAIT)))
        raise AssertionError("unreachable")

    def _once(self, messages: Messages, schema: Mapping[str, object] | None) -> Answer:
        body: dict[str, object] = {
            "model": self.model,
            "messages": list(messages),
            "temperature": self.temperature,
            "max_tokens": self.max_tokens,
            "seed": self.seed,
            "stream": self.stream,
        }
        if self.stream:
            body["stream_options"] = {"include_usage": True}
        asked = schema is not None and self.schema
        if asked:
            told = {"name": "answer", "schema": schema, "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": told}
        try:
            return _answer(self._exchange("POST", "/chat/completions", body))
        except EndpointError as error:
            if error.fatal or not (asked or body["stream"]):
                raise
        if asked:
            self.schema = False  # it knows no schemas; what comes is parsed anyhow
        else:
            self.stream = False
        return self._once(messages, schema)

    def _exchange(
        self, method: str, path: str, body: Mapping[str, object] | None
    ) -> Mapping[str, object]:
        address = self.address
        headers = {"Host": f"{address.host}:{address.port}", "Accept": "application/json"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        content = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            content = json.dumps(body, ensure_ascii=False).encode("utf-8", errors="replace")
        connection = _connect(address, self.timeout)
        try:
            connection.request(method, address.path + path, body=content, headers=headers)
            response = connection.getresponse()
            if is_stream(response):
                return read_stream(response)
            raw = response.read(LARGEST + 1)
        except (OSError, http.client.HTTPException) as error:
            raise AskAgainError(_why(error, self.timeout), answered=False) from error
        finally:
            connection.close()
        return _checked(response, raw, self.url)


_START = "start the server (for example: ollama serve)"


def _connect(address: Address, timeout: float) -> http.client.HTTPConnection:
    if address.scheme == "http":
        return http.client.HTTPConnection(address.ip, address.port, timeout=timeout)
    context = ssl.create_default_context()
    return http.client.HTTPSConnection(address.host, address.port, timeout=timeout, context=context)


def _why(error: Exception, timeout: float) -> str:
    if isinstance(error, TimeoutError | socket.timeout):
        return f"no answer within {timeout:g} s"
    if isinstance(error, ConnectionRefusedError):
        return "nothing answers there"
    return f"the connection broke off ({type(error).__name__}: {error})"


def _checked(response: http.client.HTTPResponse, raw: bytes, url: str) -> Mapping[str, object]:
    said = raw[:300].decode("utf-8", errors="replace").strip()
    if response.status in _AGAIN:
        wait = response.headers.get("Retry-After", "")
        seconds = float(wait) if wait.replace(".", "", 1).isdigit() else 0.0
        raise AskAgainError(f"it answers {response.status} ({said})", wait=seconds)
    if response.status >= 300:
        raise EndpointError(
            f"{url}: it answers {response.status}: {said}",
            mend="check the address, the model's name and the key",
            fatal=response.status < 400 or response.status in (401, 403, 404),
        )
    if len(raw) > LARGEST:
        raise AskAgainError("the answer has no end")
    try:
        told = json.loads(raw)
    except ValueError:
        raise AskAgainError(f"the answer is not JSON ({said[:80]!r})") from None
    if not isinstance(told, dict):
        raise AskAgainError("the answer is no JSON object")
    return told


def _answer(told: Mapping[str, object]) -> Answer:
    try:
        choice = told["choices"][0]  # type: ignore[index]
        text = choice["message"]["content"]
    except (KeyError, IndexError, TypeError):
        raise AskAgainError("the answer has no choices") from None
    if not isinstance(text, str) or not text.strip():
        raise AskAgainError("the answer is empty")
    usage = told.get("usage")
    total = usage.get("total_tokens") if isinstance(usage, dict) else None
    tokens = total if isinstance(total, int) else 0
    return Answer(text=text, tokens=tokens, cut=choice.get("finish_reason") == "length")
