"""The objective ``relevance``: rows to pairs, and the losses over their logits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import mlx.core as mx

from ragd_tune.objectives import Row, Rows
from ragd_tune.objectives.reading import passages, targets
from ragd_tune_mlx.relevance.model import Scorer
from ragd_tune_mlx.tokens import Tokenizer, Tokens

TOKENS_AT_ONCE = 16_384
"""Tokens of one piece at most, unless one row has more: bounds the activations of a step."""


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """Some rows of a batch: all their pairs, and what each pair's score is to be.

    ``sizes`` are the pairs of each row; ``of`` is what the batch's loss is a mean over.
    """

    tokens: Tokens
    targets: mx.array
    sizes: tuple[int, ...]
    of: int


class Relevance:
    """Binary cross-entropy over all pairs of a batch, or the listwise softmax over its rows.

    Listwise is -Σ target · log softmax(logits) within a row, the mean over the rows: ListNet's
    top-one loss (Cao et al. 2007) where the targets are a teacher's, and the contrastive loss of
    Gao et al. (2021, arXiv 2101.08751) where one passage is the answer.
    """

    def __init__(self, rows: Rows, tokenizer: Tokenizer, *, listwise: bool) -> None:
        self._rows = {"train": rows.train, "dev": rows.dev}
        self._tokenizer = tokenizer
        self._listwise = listwise

    def pieces(self, part: str, indices: Sequence[int]) -> list[Pairs]:
        """Return the pairs of a batch in pieces of whole rows."""
        rows = [self._rows[part][i] for i in indices]
        of = len(rows) if self._listwise else sum(len(passages(row)) for row in rows)
        return [self._piece(some, of) for some in self._parts(rows)]

    def _parts(self, rows: Sequence[Row]) -> Iterator[list[Row]]:
        """Yield rows that are computed together: those of one batch, if it is not too large."""
        limit = max(1, TOKENS_AT_ONCE // self._tokenizer.length)
        some: list[Row] = []
        count = 0
        for row in rows:
            if some and count + len(passages(row)) > limit:
                yield some
                some, count = [], 0
            some.append(row)
            count += len(passages(row))
        yield some

    def _piece(self, rows: list[Row], of: int) -> Pairs:
        found = [(str(row["query"]), passage) for row in rows for passage in passages(row)]
        queries, texts = zip(*found, strict=True)
        return Pairs(
            tokens=self._tokenizer.pairs(queries, texts),
            targets=mx.array(
                [target for row in rows for target in targets(row, listwise=self._listwise)]
            ),
            sizes=tuple(len(passages(row)) for row in rows),
            of=of,
        )

    def loss(self, model: Scorer, piece: Pairs) -> mx.array:
        """Return the piece's share of the batch's mean loss, a scalar in float32."""
        logits = model(piece.tokens)
        if not self._listwise:
            # log(1 + exp(z)) - target · z, which is the cross-entropy and never overflows
            return (mx.logaddexp(0.0, logits) - piece.targets * logits).sum() / piece.of
        lost, start = mx.array(0.0), 0
        for size in piece.sizes:
            z, target = logits[start : start + size], piece.targets[start : start + size]
            lost = lost - (target * (z - mx.logsumexp(z))).sum()
            start += size
        return lost / piece.of
