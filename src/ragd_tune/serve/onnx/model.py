"""An ONNX graph that embeds: texts to tokens to vectors, without a machine-learning framework."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragd_tune.errors import TuneError
from ragd_tune.extras import need
from ragd_tune.plan import ModelFacts, Role

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Tokens = dict[str, NDArray[np.int64]]

NEEDS = ("onnxruntime", "tokenizers")
TOKENS_AT_ONCE = 8_192
"""Tokens of one run at most, padding included: bounds the memory at any text length."""


class OnnxModel:
    """A loaded graph; :attr:`facts` says what it is. Calls must not come at the same time.

    :param graph: the file of the graph.
    :param tokenizer: the file of the tokenizer, in the format of ``tokenizers``.
    :raises NotInstalledError: onnxruntime or tokenizers is not here.
    :raises TuneError: onnxruntime cannot load the graph; with its words.
    """

    def __init__(self, graph: Path, tokenizer: Path, facts: ModelFacts) -> None:
        need(NEEDS, extra="onnx", why="they run exported models")
        from tokenizers import Tokenizer

        self._facts = facts
        self._tokenizer: Any = Tokenizer.from_file(str(tokenizer))
        self._padding = int((self._tokenizer.padding or {}).get("pad_id", 0))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(facts.max_length)
        self._session: Any = _session(graph)
        self._inputs = {one.name for one in self._session.get_inputs()}

    @property
    def facts(self) -> ModelFacts:
        """What was loaded."""
        return self._facts

    def embed(
        self, texts: Sequence[str], role: Role, *, dimension: int | None = None
    ) -> NDArray[np.float32]:
        """Return float32 (n, dimension) of ``texts``, with the prompt of their role."""
        import numpy as np

        prompt = self._facts.prompts.get(role, "")
        made = np.zeros((len(texts), self._facts.dimension), np.float32)
        encoded = self._tokenizer.encode_batch([prompt + text for text in texts])
        for rows, tokens in self._batches(encoded):
            made[rows] = self._session.run(None, tokens)[0]
        return made if dimension is None else _cut(made, dimension, self._facts.normalise)

    def _batches(self, encoded: Sequence[Any]) -> Iterator[tuple[list[int], Tokens]]:
        """Yield rows and their tokens, the longest texts first, so that little is padding."""
        order = sorted(range(len(encoded)), key=lambda row: -len(encoded[row].ids))
        start = 0
        while start < len(order):
            width = max(1, len(encoded[order[start]].ids))
            rows = order[start : start + max(1, TOKENS_AT_ONCE // width)]
            yield rows, self._padded([encoded[row] for row in rows], width)
            start += len(rows)

    def _padded(self, encoded: Sequence[Any], width: int) -> Tokens:
        import numpy as np

        fills = {"input_ids": self._padding, "attention_mask": 0, "token_type_ids": 0}
        made = {
            name: np.full((len(encoded), width), fill, np.int64)
            for name, fill in fills.items()
            if name in self._inputs
        }
        for row, one in enumerate(encoded):
            known: Mapping[str, Sequence[int]] = {
                "input_ids": one.ids,
                "attention_mask": one.attention_mask,
                "token_type_ids": one.type_ids,
            }
            for name, values in made.items():
                values[row, : len(one.ids)] = known[name]
        return made

    def close(self) -> None:
        """Give the memory back."""
        self._session = None


def _cut(vectors: NDArray[np.float32], dimension: int, normalise: bool) -> NDArray[np.float32]:
    import numpy as np

    from ragd_tune.unit import unit

    kept = vectors[:, :dimension]
    if normalise:
        kept = unit(kept)
    return np.ascontiguousarray(kept, np.float32)


def _session(graph: Path) -> Any:
    """Open a graph for the processor; as many threads as OpenMP is told, if it is."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    threads = os.environ.get("OMP_NUM_THREADS", "")
    options.intra_op_num_threads = int(threads) if threads.isdigit() else 0
    # A thread that waits should sleep: spinning takes the core from somebody else.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    try:
        # Bytes, not a path: a graph that names other files has no folder to find them in.
        return onnxruntime.InferenceSession(
            graph.read_bytes(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # onnxruntime has a class for each failure, and no base of its own
        raise TuneError(f"{graph}: cannot be loaded: {error}", mend="export it again") from error
