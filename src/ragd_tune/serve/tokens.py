"""Token vectors of documents on disk: float16, memory-mapped, read a few documents at a time.

A folder of ``tokens-00000.safetensors`` and so on (tensors ``values`` float16 (tokens, dimension)
and ``offsets`` int64 (documents + 1,)), and ``tokens.json``, which is written last and names the
documents, the model whose vectors they are, and how many were pooled to one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ragd_tune.backends import MultiVector
from ragd_tune.errors import StoreError
from ragd_tune.serve.maxsim import maxsim
from ragd_tune.serve.token_pooling import pooled
from ragd_tune.store.weights import read_header

INDEX = "tokens.json"
SHARD_TOKENS = 1 << 18
"""Tokens of a file at most: 64 MiB at 128 dimensions. A document that has more has its own."""
BLOCK_TOKENS = 1 << 15
"""Tokens read at once: 16 MiB as float32 at 128 dimensions."""

Block = tuple[Sequence[str], MultiVector]


@dataclass(frozen=True, slots=True)
class _Shard:
    """A file's tensors: the values mapped into memory, the offsets read."""

    values: NDArray[np.float16]
    offsets: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Named:
    """A file, and the documents in it."""

    file: str
    ids: list[str]


class TokenStore:
    """Documents' token vectors in a folder; made by :meth:`write`, read by :meth:`open`."""

    def __init__(self, folder: Path, raw: dict[str, object]) -> None:
        self.folder = folder
        self._raw = raw

    @classmethod
    def write(
        cls, folder: Path, blocks: Iterable[Block], *, model: str, pool: int = 1
    ) -> TokenStore:
        """Write documents as they come, block by block: (ids, their vectors).

        :param model: what tells these vectors from others: an adapter's id, a base's fingerprint.
        :param pool: how many vectors become one (see :mod:`ragd_tune.serve.token_pooling`).
        :raises StoreError: a document comes twice, or the folder holds a store already.
        """
        if (folder / INDEX).exists():
            raise StoreError(f"{folder}: holds token vectors already", mend="name another folder")
        folder.mkdir(parents=True, exist_ok=True)
        writer = _Writer(folder)
        for ids, vectors in blocks:
            writer.add(ids, pooled(vectors, pool))
        raw = {"schema": 1, "model": model, "pool": pool, **writer.finish()}
        part = folder / f"{INDEX}.part"
        part.write_text(json.dumps(raw), encoding="utf-8")
        part.replace(folder / INDEX)
        return cls(folder, raw)

    @classmethod
    def open(cls, folder: Path, *, model: str) -> TokenStore:
        """Open what :meth:`write` wrote for ``model``.

        :raises StoreError: it is not whole, or holds another model's vectors.
        """
        try:
            raw = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise StoreError(
                f"{folder}: holds no whole token vectors", mend="embed again"
            ) from error
        if raw.get("model") != model:
            raise StoreError(
                f"{folder}: these are token vectors of {str(raw.get('model'))[:12]}, "
                f"not of {model[:12]}",
                mend="embed the documents with this model",
            )
        return cls(folder, raw)

    @cached_property
    def ids(self) -> list[str]:
        """The documents, in the order in which they were written."""
        return [one for shard in self._shards for one in shard.ids]

    @cached_property
    def _shards(self) -> list[_Named]:
        found = self._raw["shards"]
        assert isinstance(found, list)
        return [_Named(str(one["file"]), [str(name) for name in one["ids"]]) for one in found]

    @cached_property
    def _places(self) -> dict[str, tuple[int, int]]:
        return {
            one: (number, row)
            for number, shard in enumerate(self._shards)
            for row, one in enumerate(shard.ids)
        }

    @cached_property
    def _open(self) -> list[_Shard]:
        return [_map(self.folder / shard.file) for shard in self._shards]

    @property
    def bytes(self) -> int:
        """What the vectors take on disk."""
        return sum((self.folder / shard.file).stat().st_size for shard in self._shards)

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, ids: Sequence[str]) -> MultiVector:
        """Return the vectors of some documents, float32, in the order of ``ids``.

        :raises StoreError: one is not here.
        """
        parts, offsets = [], np.zeros(len(ids) + 1, np.int64)
        for at, one in enumerate(ids):
            if one not in self._places:
                raise StoreError(f"{self.folder}: there is no document {one!r}")
            number, row = self._places[one]
            shard = self._open[number]
            part = shard.values[shard.offsets[row] : shard.offsets[row + 1]]
            offsets[at + 1] = offsets[at] + len(part)
            parts.append(part)
        width = self._raw["dimension"]
        assert isinstance(width, int)
        whole = np.concatenate(parts) if parts else np.zeros((0, width), np.float16)
        return MultiVector(values=whole.astype(np.float32), offsets=offsets)

    def blocks(self, tokens: int = BLOCK_TOKENS) -> Iterator[Block]:
        """Yield all documents, about ``tokens`` token vectors at once."""
        start = 0
        for stop in self._stops(tokens):
            yield self.ids[start:stop], self.take(self.ids[start:stop])
            start = stop

    def _stops(self, tokens: int) -> Iterator[int]:
        lengths = np.concatenate([np.diff(shard.offsets) for shard in self._open] or [np.zeros(0)])
        held = 0
        for row, length in enumerate(lengths):
            if held and held + length > tokens:
                yield row
                held = 0
            held += int(length)
        if len(lengths):
            yield len(lengths)

    def score(self, query: MultiVector, ids: Sequence[str]) -> NDArray[np.float32]:
        """Return the MaxSim of one query with each document of ``ids``, in that order."""
        scores: NDArray[np.float32] = maxsim(query, self.take(ids))[0]
        return scores

    def search(self, queries: MultiVector, k: int) -> list[list[tuple[str, float]]]:
        """Return the k best documents of every query by MaxSim, exactly, the best first.

        Every document is looked at, a block at a time; a tie goes to the one written earlier.
        """
        count = len(queries.offsets) - 1
        scores: NDArray[np.float32] = np.empty((count, 0), np.float32)
        rows: NDArray[np.int64] = np.empty((count, 0), np.int64)
        seen = 0
        for ids, vectors in self.blocks():
            found = maxsim(queries, vectors)
            numbers = np.broadcast_to(np.arange(seen, seen + len(ids)), found.shape)
            scores, rows = np.hstack([scores, found]), np.hstack([rows, numbers])
            best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
            scores = np.take_along_axis(scores, best, axis=1)
            rows = np.take_along_axis(rows, best, axis=1)
            seen += len(ids)
        return [
            [(self.ids[row], float(score)) for row, score in zip(*pair, strict=True)]
            for pair in zip(rows, scores, strict=True)
        ]


class _Writer:
    """Gathers documents to files of bounded size."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.shards: list[dict[str, object]] = []
        self.seen: set[str] = set()
        self.dimension = 0
        self._ids: list[str] = []
        self._parts: list[NDArray[np.float16]] = []
        self._held = 0

    def add(self, ids: Sequence[str], vectors: MultiVector) -> None:
        self.dimension = vectors.values.shape[1]
        for row, one in enumerate(ids):
            if one in self.seen:
                raise StoreError(f"the document {one!r} comes twice")
            self.seen.add(one)
            part = vectors.values[vectors.offsets[row] : vectors.offsets[row + 1]]
            if self._held and self._held + len(part) > SHARD_TOKENS:
                self._flush()
            self._ids.append(one)
            self._parts.append(part.astype(np.float16))
            self._held += len(part)

    def finish(self) -> dict[str, object]:
        self._flush()
        return {"dimension": self.dimension, "shards": self.shards}

    def _flush(self) -> None:
        from safetensors.numpy import save_file

        if not self._ids:
            return
        name = f"tokens-{len(self.shards):05d}.safetensors"
        offsets = np.zeros(len(self._parts) + 1, np.int64)
        np.cumsum([len(part) for part in self._parts], out=offsets[1:])
        save_file({"values": np.concatenate(self._parts), "offsets": offsets}, self.folder / name)
        self.shards.append({"file": name, "ids": self._ids})
        self._ids, self._parts, self._held = [], [], 0


def _map(path: Path) -> _Shard:
    """Map a file's tensors into memory: only what is looked at is read."""
    found = {one.name: one for one in read_header(path)}
    values, offsets = found["values"], found["offsets"]
    return _Shard(
        np.memmap(path, np.float16, "r", values.begin, values.shape),
        np.fromfile(path, np.int64, offsets.shape[0], offset=offsets.begin),
    )
