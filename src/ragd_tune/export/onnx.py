"""Weights of an ONNX graph in eight bits, and how far what comes of it is from the adapter."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ragd_tune.errors import DataError
from ragd_tune.extras import need

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ragd_tune.data import DataSet

Form = Literal["fp32", "int8"]
LARGEST = 256
"""Texts of each role that are compared."""
HITS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """Cosines with the adapter's own vectors below which an export is refused."""

    mean: float
    least: float


TOLERANCES: dict[Form, Tolerance] = {
    "fp32": Tolerance(mean=0.99999, least=0.9999),
    "int8": Tolerance(mean=0.99, least=0.95),
}
"""float32 differs by rounding alone. int8 of all-MiniLM-L6-v2 has .995 on average and .990 at the
least, on 96 passages of medquad: what is well below that has lost something."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """An export beside its adapter: cosines of each text's two vectors.

    ``hits`` is the share of the first ten passages that both find for the same question, each
    searching its own vectors; None where there were no questions or fewer passages.
    """

    texts: int
    mean: float
    least: float
    hits: float | None

    def within(self, wanted: Tolerance) -> bool:
        """Say whether it is near enough."""
        return self.mean >= wanted.mean and self.least >= wanted.least

    def told(self) -> str:
        """Say it in a line."""
        line = (
            f"cosine with the adapter's vectors on {self.texts:,} texts: {self.mean:.5f} on "
            f"average, {self.least:.5f} at the least"
        )
        if self.hits is not None:
            line += f"; {self.hits:.1%} of the first {HITS} hits are the same"
        return line

    def to_json(self) -> dict[str, object]:
        """Return a JSON-shaped copy."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Texts of the user's own to compare by."""

    queries: tuple[str, ...]
    documents: tuple[str, ...]


def sample(source: Path) -> Sample:
    """Read a data set, or a text file with a text a line; of many, evenly spread ones are taken.

    :raises DataError: there is no text in it.
    """
    from ragd_tune.data import read

    if source.suffix == ".txt":
        lines = (line.strip() for line in source.read_text(encoding="utf-8").splitlines())
        found = Sample(queries=(), documents=_spread([line for line in lines if line]))
    else:
        found = _of(read(source))
    if not found.queries and not found.documents:
        raise DataError(f"{source}: there is no text in it to compare by", mend="name another file")
    return found


def _of(data: DataSet) -> Sample:
    pairs = [text for pair in data.scored for text in (pair.text1, pair.text2)]
    documents = [document.passage for document in data.corpus.values()] or pairs
    return Sample(
        queries=_spread([query.text for query in data.queries.values()]),
        documents=_spread(documents),
    )


def _spread(texts: Sequence[str]) -> tuple[str, ...]:
    step = max(1, -(-len(texts) // LARGEST))
    return tuple(texts[::step])


def agreement(
    one: tuple[NDArray[np.float32], NDArray[np.float32]],
    two: tuple[NDArray[np.float32], NDArray[np.float32]],
) -> Agreement:
    """Compare vectors (queries, documents) of the adapter with those of its export."""
    import numpy as np

    cosines = np.concatenate([_cosines(a, b) for a, b in zip(one, two, strict=True)])
    hits = None
    if len(one[0]) and len(one[1]) >= HITS:
        first, second = (_hits(queries, documents) for queries, documents in (one, two))
        shared = [len(set(a) & set(b)) / HITS for a, b in zip(first, second, strict=True)]
        hits = float(np.mean(shared))
    return Agreement(
        texts=len(cosines), mean=float(cosines.mean()), least=float(cosines.min()), hits=hits
    )


def _cosines(one: NDArray[np.float32], two: NDArray[np.float32]) -> NDArray[np.float64]:
    import numpy as np

    a, b = np.asarray(one, np.float64), np.asarray(two, np.float64)
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    alike = (a == b).all(axis=1)  # two zero vectors are the same, too
    found: NDArray[np.float64] = np.where(alike, 1.0, (a * b).sum(1) / np.maximum(lengths, 1e-12))
    return found


def _hits(queries: NDArray[np.float32], documents: NDArray[np.float32]) -> list[list[int]]:
    import numpy as np

    found: list[list[int]] = np.argsort(-(queries @ documents.T), axis=1)[:, :HITS].tolist()
    return found


def quantise(path: Path) -> None:
    """Hold the weight matrices of a graph in int8, each column with its own scale.

    Activations are scaled as they come (dynamic quantisation). Embeddings of tokens are held so,
    too: with all-MiniLM-L6-v2 they are half of the file, and the cosines are the same without.

    :raises NotInstalledError: onnxruntime or onnx is not here.
    """
    need(("onnxruntime", "onnx"), extra="onnx", why="nothing here makes int8 weights")
    from onnxruntime.quantization import QuantType, quantize_dynamic

    part = path.with_name(f"{path.name}.part")
    before = logging.root.level
    logging.root.setLevel(logging.ERROR)  # it recommends, through the root logger, what is no need
    try:
        quantize_dynamic(path, part, per_channel=True, weight_type=QuantType.QInt8)
        part.replace(path)
    finally:
        logging.root.setLevel(before)
        part.unlink(missing_ok=True)
