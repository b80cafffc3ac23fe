from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from ragd_tune.backends import MultiVector
from ragd_tune.errors import UsageError
from ragd_tune.serve.maxsim import maxsim

VALUES = st.floats(-4, 4, width=16)


@st.composite
def sides(draw: st.DrawFn) -> MultiVector:
    lengths = draw(st.lists(st.integers(0, 4), max_size=5))
    values = draw(arrays(np.float32, (sum(lengths), 3), elements=VALUES))
    return MultiVector(values=values, offsets=np.cumsum([0, *lengths]).astype(np.int64))


def by_hand(queries: MultiVector, documents: MultiVector) -> NDArray[np.float64]:
    def texts(side: MultiVector) -> list[NDArray[np.float32]]:
        ends = zip(side.offsets[:-1], side.offsets[1:], strict=True)
        return [side.values[start:stop] for start, stop in ends]

    return np.array(
        [
            [
                sum(max((float(q @ d) for d in document), default=-np.inf) for q in query)
                for document in texts(documents)
            ]
            for query in texts(queries)
        ],
        np.float64,
    ).reshape(len(queries.offsets) - 1, len(documents.offsets) - 1)


@given(queries=sides(), documents=sides(), block=st.integers(1, 40))
def test_scores_are_those_of_the_definition_whatever_the_block(
    queries: MultiVector, documents: MultiVector, block: int
) -> None:
    scores = maxsim(queries, documents, block=block)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, by_hand(queries, documents), rtol=1e-5, atol=1e-5)


def test_a_document_without_tokens_comes_last() -> None:
    one = MultiVector(values=-np.eye(3, dtype=np.float32), offsets=np.array([0, 3]))
    two = MultiVector(values=np.eye(3, dtype=np.float32), offsets=np.array([0, 0, 3]))
    scores = maxsim(one, two)
    assert scores[0, 0] == -np.inf
    assert np.isfinite(scores[0, 1])


def test_two_dimensions_are_refused() -> None:
    one = MultiVector(values=np.zeros((1, 3), np.float32), offsets=np.array([0, 1]))
    two = MultiVector(values=np.zeros((1, 4), np.float32), offsets=np.array([0, 1]))
    with pytest.raises(UsageError, match="queries have 3 dimensions, documents 4"):
        maxsim(one, two)
