"""A model hub on this machine: as much of its protocol as reading and writing a repository needs.

Repositories are folders, with one commit each. It is a real server, so that the hub's own library
is what is tested against it.
"""

from __future__ import annotations

import base64
import contextlib
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

SHA = "c0ffee" + "0" * 34
"""The one commit of every repository."""


@dataclass
class Hub:
    """Repositories by name, who may do what, and what was asked for.

    ``breaks_after`` lets a download of a file break off after so many bytes, once a file;
    ``token`` is what a writer has to send, anything if empty; ``lies`` are sizes that the listing
    claims; ``ranges`` are the first bytes of downloads that went on.
    """

    root: Path
    repos: dict[str, Path] = field(default_factory=dict)
    private: dict[str, bool] = field(default_factory=dict)
    gated: bool = False
    token: str = ""
    breaks_after: int = 0
    lies: dict[str, int] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    endpoint: str = ""
    broken: set[str] = field(default_factory=set)
    ranges: list[int] = field(default_factory=list)
    blobs: dict[str, bytes] = field(default_factory=dict)

    def files(self, repo: str) -> list[dict[str, object]]:
        """Return the files of a repository as the hub lists them."""
        folder = self.repos[repo]
        return [
            {
                "type": "file",
                "path": (name := path.relative_to(folder).as_posix()),
                "rfilename": name,
                "size": self.lies.get(name, path.stat().st_size),
                "oid": sha256(path.read_bytes()).hexdigest()[:40],
            }
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        ]


@contextlib.contextmanager
def serve(hub: Hub) -> Iterator[Hub]:
    """Serve ``hub`` on a free port of this machine; ``hub.endpoint`` is its address."""
    handler = type("Handler", (_Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    hub.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub

    def log_message(self, *args: object) -> None:
        """Stay quiet."""

    def do_HEAD(self) -> None:
        self._read()

    def do_GET(self) -> None:
        self._read()

    def do_POST(self) -> None:
        self._write()

    def do_PUT(self) -> None:
        self._write()

    # -- reading ------------------------------------------------------------------------------

    def _read(self) -> None:
        path = self._path()
        repo = next((one for one in self.hub.repos if f"/{one}" in path), None)
        if repo is None:
            self._refuse(404, "RepoNotFound")
        elif self.hub.gated:
            self._refuse(403, "GatedRepo")
        elif path.startswith(f"/{repo}/resolve/"):
            self._file(repo, path.split("/", 5)[5])
        else:
            self._listing(repo, path.removeprefix(f"/api/models/{repo}"))

    def _listing(self, repo: str, rest: str) -> None:
        if rest in {"", "/revision/main", f"/revision/{SHA}"}:
            private = self.hub.private.get(repo, False)
            told = {"id": repo, "sha": SHA, "private": private, "siblings": self.hub.files(repo)}
            self._json(told)
        elif rest.startswith("/tree/"):
            self._json(self.hub.files(repo))
        else:
            self._refuse(404, "RevisionNotFound")

    def _file(self, repo: str, name: str) -> None:
        path = self.hub.repos[repo] / name
        if not path.is_file():
            self._refuse(404, "EntryNotFound")
            return
        data = path.read_bytes()
        tags = {"ETag": f'"{sha256(data).hexdigest()}"', "X-Repo-Commit": SHA}
        asked = re.fullmatch(r"bytes=(\d+)-\d*", self.headers.get("Range") or "")
        start = int(asked[1]) if asked else 0
        if start:
            self.hub.ranges.append(start)
            tags["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        breaks = self.command == "GET" and 0 < self.hub.breaks_after < len(data) - start
        if breaks and path.name not in self.hub.broken:
            self.hub.broken.add(path.name)
            self._send(200, data, tags, only=self.hub.breaks_after)
        else:
            self._send(206 if start else 200, data[start:], tags)

    # -- writing ------------------------------------------------------------------------------

    def _write(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path, hub = self._path(), self.hub
        held = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        if path.startswith("/blobs/"):
            hub.blobs[path.rpartition("/")[2]] = raw
            self._json({})
        elif path == "/api/validate-yaml":
            self._json({"errors": [], "warnings": []})
        elif hub.token and held != hub.token:
            self._refuse(401, "")
        elif path == "/api/repos/create":
            self._create(json.loads(raw))
        elif path.endswith("/info/lfs/objects/batch"):
            self._batch(json.loads(raw))
        elif "/preupload/" in path:
            self._json({"files": [_mode(one["path"]) for one in json.loads(raw)["files"]]})
        else:
            self._commit(path.removeprefix("/api/models/").partition("/commit/")[0], raw)

    def _create(self, asked: dict[str, str]) -> None:
        repo = f"{asked['organization']}/{asked['name']}"
        self.hub.repos[repo] = self.hub.root / repo
        self.hub.repos[repo].mkdir(parents=True)
        self.hub.private[repo] = asked.get("visibility") == "private"
        (self.hub.repos[repo] / ".gitattributes").write_text("*.safetensors filter=lfs\n")
        self._json({"url": f"{self.hub.endpoint}/{repo}"})

    def _batch(self, asked: dict[str, list[dict[str, object]]]) -> None:
        def upload(one: dict[str, object]) -> dict[str, object]:
            href = f"{self.hub.endpoint}/blobs/{one['oid']}"
            return {**one, "actions": {"upload": {"href": href}}}

        self._json({"transfer": "basic", "objects": [upload(one) for one in asked["objects"]]})

    def _commit(self, repo: str, raw: bytes) -> None:
        for line in raw.splitlines():
            told = json.loads(line)
            value = told["value"]
            if told["key"] == "header":
                continue
            path = self.hub.repos[repo] / value["path"]
            if told["key"] == "deletedFile":
                path.unlink()
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            large = told["key"] == "lfsFile"
            content = self.hub.blobs[value["oid"]] if large else base64.b64decode(value["content"])
            path.write_bytes(content)
        address = f"{self.hub.endpoint}/{repo}/commit/{SHA}"
        self._json({"commitUrl": address, "commitOid": SHA})

    # -- answering ----------------------------------------------------------------------------

    def _path(self) -> str:
        path = unquote(urlsplit(self.path).path)
        self.hub.asked.append(f"{self.command} {path}")
        return path

    def _json(self, value: object) -> None:
        self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _refuse(self, code: int, why: str) -> None:
        self._send(code, b"{}", {"X-Error-Code": why} if why else {})

    def _send(
        self, code: int, data: bytes, headers: dict[str, str], *, only: int | None = None
    ) -> None:
        self.send_response(code)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data[:only])


def _mode(path: str) -> dict[str, object]:
    mode = "lfs" if path.endswith(".safetensors") else "regular"
    return {"path": path, "uploadMode": mode, "shouldIgnore": False}
