"""Dense search over vectors on disk: exact in blocks, or by an approximate index above a size."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from ragd_tune.data.blocks import embedded
from ragd_tune.errors import NotInstalledError
from ragd_tune.evaluate.search import TopK

if TYPE_CHECKING:
    from ragd_tune.data.generate.roundtrip import Embed

Vectors = NDArray[np.float32]
Index = Literal["auto", "exact", "approximate"]

LARGE = 500_000
"""Passages above which ``auto`` takes the approximate index. Building one costs as much as an exact
search by some thousand queries, so it does not pay below."""
BLOCK = 1024
_PROBES = 64
_TRAINING = 64
"""Vectors a cell to train the index on; FAISS asks for 39 at least."""


def embed_all(
    passages: Sequence[str],
    embed: Embed,
    folder: Path,
    *,
    progress: Callable[[str, float], None] = lambda text, done: None,
) -> Vectors:
    """Return the vectors of ``passages`` as a read-only map of a file: float32 (n, dimension).

    They are written to ``folder`` block by block; what an earlier run finished is not done again.
    """
    path, mark = folder / "vectors.f32", folder / "vectors.done"
    done = int(mark.read_text(encoding="ascii")) if mark.is_file() else 0
    with path.open("r+b" if path.is_file() else "w+b") as file:
        for made in embedded(embed, passages[done:], "document", BLOCK):
            file.seek(done * made.shape[1] * 4)
            file.write(np.ascontiguousarray(made, "<f4").tobytes())
            file.flush()
            os.fsync(file.fileno())
            done += len(made)
            _mark(mark, done)
            progress("embedding passages", done / len(passages))
    size = path.stat().st_size // 4
    shape = len(passages), size // max(1, len(passages))
    return np.memmap(path, dtype="<f4", mode="r", shape=shape)


def _mark(path: Path, done: int) -> None:
    """Note atomically how many vectors are on disk."""
    draft = path.with_suffix(".new")
    draft.write_text(str(done), encoding="ascii")
    draft.replace(path)


class Dense:
    """Search over vectors of unit length by inner product.

    Exact search reads the passages block by block. The approximate index (FAISS: inverted lists of
    16-bit vectors) finds most of the same passages.

    :raises NotInstalledError: the approximate index is asked for and FAISS is not here.
    """

    def __init__(self, passages: Vectors, *, index: Index = "auto") -> None:
        large = len(passages) >= LARGE and find_spec("faiss") is not None
        self.passages = passages
        self.approximate = index == "approximate" or (index == "auto" and large)
        self._index = _build(passages) if self.approximate else None

    def search(self, queries: Vectors, k: int) -> tuple[Vectors, NDArray[np.int64]]:
        """Return scores and passage numbers, both (n, min(k, m)), the best first.

        Numbers of what the approximate index misses are -1, with the score 0.
        """
        k = min(k, len(self.passages))
        if self._index is not None:
            scores, numbers = self._index.search(np.ascontiguousarray(queries), k)
            return np.where(numbers < 0, 0, scores).astype(np.float32), numbers.astype(np.int64)
        best = TopK(queries, k)
        for start in range(0, len(self.passages), 4 * BLOCK):
            best.add(np.asarray(self.passages[start : start + 4 * BLOCK]))
        return best.result()


def _build(passages: Vectors) -> Any:
    if find_spec("faiss") is None:
        mend = 'pip install "ragd-tune[mine]"'
        raise NotInstalledError("an approximate index needs the package faiss-cpu", mend=mend)
    import faiss

    count, width = passages.shape
    cells = max(1, min(int(4 * np.sqrt(count)), count // 39))
    made = faiss.IndexIVFScalarQuantizer(
        faiss.IndexFlatIP(width),
        width,
        cells,
        faiss.ScalarQuantizer.QT_fp16,
        faiss.METRIC_INNER_PRODUCT,
    )
    made.cp.seed, made.cp.niter = 0, 10
    rows = np.random.default_rng(0).choice(count, min(count, cells * _TRAINING), replace=False)
    made.train(np.asarray(passages[np.sort(rows)]))
    for start in range(0, count, 16 * BLOCK):
        made.add(np.asarray(passages[start : start + 16 * BLOCK]))
    made.nprobe = min(cells, _PROBES)
    return made
