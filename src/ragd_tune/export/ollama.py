"""Ollama's own API, as far as a model is put there and taken away again.

The weights stay on this machine: an address that is not local is refused unless it is asked for.
"""

from __future__ import annotations

import hashlib
import http.client
import ipaddress
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ragd_tune.errors import NotInstalledError, TuneError, UsageError

LOCAL = "http://127.0.0.1:11434"
_LINE = re.compile(
    r'^(FROM|TEMPLATE|SYSTEM|PARAMETER)\s+(?:(\w+)\s+)?("""(.*?)"""|"(.*?)"|(\S+))$', re.M | re.S
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ollama:
    """A server at ``address``. ``seconds`` bounds the wait for each answer."""

    address: str = LOCAL
    seconds: float = 600.0
    elsewhere: bool = False

    def create(self, name: str, folder: Path) -> None:
        """Make the model ``name`` of the Modelfile and the GGUF file in ``folder``.

        :raises TuneError: the server refuses; with its own words.
        """
        asked = read_modelfile(folder / "Modelfile")
        weights = folder / str(asked.pop("from"))
        with weights.open("rb") as file:
            digest = f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
        if self._call("HEAD", f"/api/blobs/{digest}", allow=(404,))[0] == 404:
            with weights.open("rb") as file:
                self._call("POST", f"/api/blobs/{digest}", body=file, size=weights.stat().st_size)
        self._json("POST", "/api/create", {"model": name, "files": {weights.name: digest}, **asked})

    def has(self, name: str) -> bool:
        """Say whether there is a model ``name``."""
        status, _ = self._json("POST", "/api/show", {"model": name}, allow=(404,))
        return status != 404

    def delete(self, name: str) -> None:
        """Take the model ``name`` away; one that is not there is no error."""
        self._json("DELETE", "/api/delete", {"model": name}, allow=(404,))

    def generate(self, name: str, prompt: str, *, tokens: int) -> str:
        """Return the greedy answer to ``prompt``, through the model's own template."""
        options = {"num_predict": tokens, "temperature": 0}
        asked = {"model": name, "prompt": prompt, "stream": False, "options": options}
        return str(self._json("POST", "/api/generate", asked)[1].get("response", ""))

    def _json(
        self, method: str, path: str, value: Mapping[str, object], allow: tuple[int, ...] = ()
    ) -> tuple[int, dict[str, Any]]:
        body = json.dumps({**value, "stream": False}).encode()
        status, raw = self._call(method, path, body=body, size=len(body), allow=allow)
        try:
            found = json.loads(raw) if raw else {}
        except ValueError as error:
            raise TuneError(f"{self.address}{path} answered no JSON: {error}") from error
        return status, found if isinstance(found, dict) else {}

    def _call(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        size: int = 0,
        allow: tuple[int, ...] = (),
    ) -> tuple[int, bytes]:
        place = urlsplit(self.address)
        if not self.elsewhere and not _is_local(place.hostname):
            raise UsageError(
                f"{self.address} is not on this machine, and the model holds its training",
                mend="use a server on this machine",
            )
        kind = (
            http.client.HTTPSConnection if place.scheme == "https" else http.client.HTTPConnection
        )
        connection = kind(place.hostname or "", place.port, timeout=self.seconds)
        try:
            connection.request(method, path, body=body, headers={"Content-Length": str(size)})
            answer = connection.getresponse()
            raw = answer.read()
        except OSError as error:
            raise NotInstalledError(
                f"Ollama does not answer at {self.address}: {error}", mend="start it: ollama serve"
            ) from error
        finally:
            connection.close()
        if answer.status >= 400 and answer.status not in allow:
            said = raw.decode("utf-8", "replace")[:300]
            raise TuneError(f"{self.address}{path} refuses ({answer.status}): {said}")
        return answer.status, raw


def _is_local(host: str | None) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def read_modelfile(path: Path) -> dict[str, object]:
    """Return a Modelfile of ours as Ollama's API takes it; ``from`` is the weights' file.

    :raises UsageError: it holds what ours do not.
    """
    text = path.read_text(encoding="utf-8")
    made: dict[str, object] = {}
    options: dict[str, object] = {}
    stops: list[str] = []
    if _LINE.sub("", text).strip():
        raise UsageError(f"{path}: is no Modelfile that ragd-tune wrote")
    for word, name, _, long, short, bare in _LINE.findall(text):
        value = long or short or bare
        if word == "PARAMETER" and name == "stop":
            stops.append(value)
        elif word == "PARAMETER":
            options[name] = json.loads(value)
        else:
            made[word.lower()] = value.removeprefix("./") if word == "FROM" else value
    return {**made, "parameters": {**options, **({"stop": stops} if stops else {})}}
