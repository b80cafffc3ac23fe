from __future__ import annotations

from collections.abc import Sequence
from zlib import crc32

import numpy as np
import pytest

from ragd_tune.backends import MultiVector, RerankRequest
from ragd_tune.plan import Role
from ragd_tune.serve import late
from ragd_tune.serve.maxsim import maxsim


class Words:
    """A vector for every word, and an account of what was embedded."""

    def __init__(self) -> None:
        self.asked: list[tuple[Role, list[str]]] = []

    def __call__(self, texts: Sequence[str], role: Role) -> MultiVector:
        self.asked.append((role, list(texts)))
        words = [text.split() for text in texts]
        rows = [
            np.random.default_rng(crc32(w.encode())).standard_normal(4) for t in words for w in t
        ]
        values = np.array(rows, np.float32).reshape(len(rows), 4)
        offsets = np.cumsum([0, *map(len, words)]).astype(np.int64)
        return MultiVector(values=values, offsets=offsets)


REQUESTS = [
    RerankRequest(query="a b", passages=("b c", "d e f", "a")),
    RerankRequest(query="f", passages=()),
    RerankRequest(query="e f g", passages=("a", "b c", "a")),
]


@pytest.mark.parametrize("block", [1, 2, 100])
def test_scores_are_the_maxsim_of_each_query_with_its_own_passages(
    block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(late, "BLOCK", block)
    embed = Words()
    found = late.rerank(embed, REQUESTS)
    for one, scores in zip(REQUESTS, found, strict=True):
        assert scores.dtype == np.float32
        wanted = maxsim(embed([one.query], "query"), embed(one.passages, "document"))[0]
        assert np.allclose(scores, wanted, atol=1e-6)


def test_a_passage_that_several_queries_share_is_embedded_once() -> None:
    embed = Words()
    late.rerank(embed, REQUESTS)
    texts = [text for role, asked in embed.asked if role == "document" for text in asked]
    assert sorted(texts) == ["a", "b c", "d e f"]


def test_one_vector_a_text_is_many_with_one_each() -> None:
    found = late.multi(np.eye(3, dtype=np.float32))
    assert found.offsets.tolist() == [0, 1, 2, 3]


def test_no_requests_have_no_scores() -> None:
    assert late.rerank(Words(), []) == []
