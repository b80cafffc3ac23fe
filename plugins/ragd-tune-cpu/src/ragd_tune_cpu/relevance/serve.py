"""A loaded reranker: the handle that the core keeps, and the scores that it gives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sentence_transformers import CrossEncoder

from ragd_tune.backends import LoadRequest, RerankRequest
from ragd_tune.plan import ModelFacts
from ragd_tune_cpu import lora
from ragd_tune_cpu.relevance.model import Opened, facts_of, open_folder
from ragd_tune_cpu.session import TorchHandle, quiet

if TYPE_CHECKING:
    from numpy.typing import NDArray

TOKENIZED = 2_048
"""Pairs whose tokens are held at once."""

TOKENS_AT_ONCE = {"cpu": 4_096, "mps": 16_384, "cuda": 65_536}
"""Tokens of one forward pass at most, padding included: bounds the activations."""


class PairScorer(TorchHandle[CrossEncoder]):
    """A loaded model; :attr:`facts` says what it is."""

    def __init__(self, opened: Opened, facts: ModelFacts) -> None:
        super().__init__(opened.model, facts)

    def rerank(self, requests: Sequence[RerankRequest]) -> list[NDArray[np.float32]]:
        """Return scores between 0 and 1 by request, float32 (passages,)."""
        pairs = [(one.query, passage) for one in requests for passage in one.passages]
        scores = np.empty(len(pairs), np.float32)
        with quiet(), torch.inference_mode():
            for start in range(0, len(pairs), TOKENIZED):
                scores[start : start + TOKENIZED] = self._score(pairs[start : start + TOKENIZED])
        ends = np.cumsum([len(one.passages) for one in requests]).tolist()
        return [part.copy() for part in np.split(scores, ends[:-1])] if requests else []

    def _score(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        """Return scores in the order of ``pairs``: tokenized once, the longest ones first."""
        tokens = self._tokens(pairs)
        lengths = np.array([len(ids) for ids in tokens["input_ids"]])
        found = np.empty(len(pairs), np.float32)
        device = self.model.device
        budget = TOKENS_AT_ONCE.get(device.type, TOKENS_AT_ONCE["cpu"])
        for rows in groups(lengths, budget):
            features = self._padded(tokens, rows, int(lengths[rows[0]]))
            on_device = {name: value.to(device) for name, value in features.items()}
            logits = self.model(on_device)["scores"].reshape(-1).float()
            found[rows] = torch.sigmoid(logits).cpu().numpy()
        return found

    def _tokens(self, pairs: Sequence[tuple[str, str]]) -> dict[str, list[list[int]]]:
        queries, passages = (list(side) for side in zip(*pairs, strict=True))
        tokenizer: Any = self.model.tokenizer
        made = tokenizer(
            queries, passages, truncation=True, max_length=self._facts.max_length, padding=False
        )
        return {name: made[name] for name in tokenizer.model_input_names if name in made}

    def _padded(
        self, tokens: dict[str, list[list[int]]], rows: NDArray[np.int64], width: int
    ) -> dict[str, torch.Tensor]:
        tokenizer: Any = self.model.tokenizer
        fills = {
            "input_ids": tokenizer.pad_token_id or 0,
            "token_type_ids": getattr(tokenizer, "pad_token_type_id", 0),
        }
        left = tokenizer.padding_side == "left"
        made = {}
        for name, columns in tokens.items():
            block = np.full((len(rows), width), fills.get(name, 0), np.int64)
            for line, row in zip(block, rows, strict=True):
                ids = columns[row]
                line[width - len(ids) if left else 0 :][: len(ids)] = ids
            made[name] = torch.from_numpy(block)
        return made


def groups(lengths: NDArray[np.int64], budget: int) -> Iterator[NDArray[np.int64]]:
    """Yield indices of texts of like length, the longest first, of at most ``budget`` tokens.

    A text that is longer than the budget goes alone.
    """
    order = np.argsort(-lengths, kind="stable")
    start = 0
    while start < len(order):
        size = max(1, budget // max(1, int(lengths[order[start]])))
        yield order[start : start + size]
        start += size


def load(request: LoadRequest) -> PairScorer:
    """Load what ``request`` names, in float32 and in evaluation mode.

    :raises TuneError: the files do not make a model.
    """
    opened = _open(request)
    facts = request.facts or facts_of(opened)
    length = min(request.max_length or facts.max_length, facts.max_length)
    opened.model.max_seq_length = length
    opened.model.eval()
    return PairScorer(opened, replace(facts, max_length=length))


def _open(request: LoadRequest) -> Opened:
    if request.format == "full":
        assert request.adapter is not None
        return open_folder(request.adapter, name=str(request.adapter), device=request.device)
    opened = open_folder(request.base.path, name=request.base.name, device=request.device)
    if request.format == "peft":
        assert request.adapter is not None
        lora.merge(opened.model, request.adapter)
    return opened
