"""Read an answer as it is written: server-sent events, put together to what one answer is.

A slow model on a CPU may write for longer than any sensible time-out for a whole answer. In a
stream the time-out is for the pause between two pieces.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator, Mapping

LARGEST = 8 * 2**20
"""Bytes of an answer at most."""


class AskAgainError(Exception):
    """The request may work later; ``wait`` is what the server asked for, in seconds.

    ``answered`` says whether anything came at all.
    """

    def __init__(self, message: str, *, wait: float = 0.0, answered: bool = True) -> None:
        super().__init__(message)
        self.wait = wait
        self.answered = answered


def is_stream(response: http.client.HTTPResponse) -> bool:
    """Say whether an answer comes in pieces: not every server that is asked to does it."""
    kind = response.headers.get("Content-Type", "")
    return response.status < 300 and kind.partition(";")[0].strip().lower() == "text/event-stream"


def read_stream(response: http.client.HTTPResponse) -> dict[str, object]:
    """Return the pieces of a streamed answer in the shape of a whole one.

    Where the server counts no tokens, each piece counts as one.

    :raises AskAgainError: it breaks off, holds an error, is too large, or is no stream of answers.
    """
    said, pieces, finish, total = [], 0, "", 0
    for told in _events(response):
        if "error" in told:
            raise AskAgainError(f"the answer broke off ({str(told['error'])[:200]})")
        usage = told.get("usage")
        if isinstance(usage, dict) and isinstance(usage.get("total_tokens"), int):
            total = usage["total_tokens"]
        text, reason = _piece(told)
        if text:
            said.append(text)
            pieces += 1
        finish = reason or finish
    if not finish:
        raise AskAgainError("the answer broke off before its end")
    message = {"role": "assistant", "content": "".join(said)}
    choice = {"index": 0, "message": message, "finish_reason": finish}
    return {"choices": [choice], "usage": {"total_tokens": total or pieces}}


def _events(response: http.client.HTTPResponse) -> Iterator[Mapping[str, object]]:
    size = 0
    while line := response.readline(LARGEST + 1):
        size += len(line)
        if size > LARGEST:
            raise AskAgainError("the answer has no end")
        name, _, value = line.decode("utf-8", errors="replace").strip().partition(":")
        value = value.strip()
        if name != "data" or not value:
            continue  # comments keep a connection alive
        if value == "[DONE]":
            return
        try:
            told = json.loads(value)
        except ValueError:
            raise AskAgainError(f"a piece of the answer is not JSON ({value[:80]!r})") from None
        if isinstance(told, dict):
            yield told


def _piece(told: Mapping[str, object]) -> tuple[str, str]:
    """Return text and reason to finish of an event; both may be empty."""
    choices = told.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else {}
    first = first if isinstance(first, dict) else {}
    delta, reason = first.get("delta"), first.get("finish_reason")
    text = delta.get("content") if isinstance(delta, dict) else None
    return text if isinstance(text, str) else "", reason if isinstance(reason, str) else ""
