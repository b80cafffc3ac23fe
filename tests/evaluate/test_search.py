from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ragd_tune.errors import TuneError, UsageError
from ragd_tune.evaluate.search import TopK, top_k

Vectors = NDArray[np.float32]


def unit(rng: np.random.Generator, rows: int, width: int = 16) -> Vectors:
    vectors = rng.normal(size=(rows, width)).astype(np.float32)
    unit_length: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit_length


def brute_force(queries: Vectors, documents: Vectors, k: int) -> NDArray[np.int64]:
    scores = (queries.astype(np.float64) @ documents.astype(np.float64).T).astype(np.float32)
    return np.argsort(-scores, axis=1, kind="stable")[:, :k]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    rows=st.integers(1, 40),
    distinct=st.integers(1, 40),
    k=st.integers(1, 50),
    block=st.integers(1, 50),
)
def test_blocked_search_equals_brute_force_with_ties_to_the_lower_index(
    seed: int, rows: int, distinct: int, k: int, block: int
) -> None:
    rng = np.random.default_rng(seed)
    documents = unit(rng, distinct)[rng.integers(distinct, size=rows)]  # with exact duplicates
    queries = unit(rng, 3)
    scores, indices = top_k(queries, documents, k, block=block)
    assert indices.tolist() == brute_force(queries, documents, k).tolist()
    found = np.einsum("nd,nkd->nk", queries, documents[indices])
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, found, atol=1e-6)


def test_negative_zero_and_zero_scores_tie() -> None:
    queries = np.array([[1e-30, 0.0]], np.float32)
    documents = np.array([[-1e-30, 1], [0, 1], [-1, 0], [0.5, 0], [-1e-30, 0]], np.float32)
    scores, indices = top_k(queries, documents, 5)  # -1e-60 is -0.0 in float32
    assert indices.tolist() == [[3, 0, 1, 4, 2]]
    assert scores[0, 1:4].tolist() == [0, 0, 0]


def test_the_result_is_the_same_for_every_block_size_and_for_an_iterator() -> None:
    rng = np.random.default_rng(0)
    documents, queries = unit(rng, 1000, 64), unit(rng, 300, 64)
    scores, indices = top_k(queries, documents, 20)
    for block in (1, 7, 999):
        again = top_k(queries, documents, 20, block=block)
        assert np.array_equal(again[0], scores)
        assert np.array_equal(again[1], indices)
    streamed = top_k(queries, (documents[i : i + 13] for i in range(0, 1000, 13)), 20)
    assert np.array_equal(streamed[1], indices)


def test_cut_vectors_get_unit_length_again() -> None:
    queries = np.array([[0.6, 0.0, 0.8]], np.float32)
    documents = np.array([[0.6, 0.8, 0.0], [0.1, 0.0, 0.995]], np.float32)
    scores, indices = top_k(queries, documents, 2, dims=1)
    assert scores.tolist() == [[1.0, 1.0]]
    assert indices.tolist() == [[0, 1]]
    scores, _ = top_k(queries, documents, 1, dims=2)
    assert scores[0, 0] == pytest.approx(1.0)  # document 1 cut to (0.1, 0) points the same way


def test_a_vector_that_is_cut_to_nothing_scores_zero() -> None:
    queries = np.array([[0.0, 1.0]], np.float32)
    assert top_k(queries, np.eye(2, dtype=np.float32), 2, dims=1)[0].tolist() == [[0, 0]]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_vector_that_is_not_finite_is_named_by_its_row(bad: float) -> None:
    rng = np.random.default_rng(0)
    documents, queries = unit(rng, 50), unit(rng, 5)
    documents[37, 3] = bad
    with pytest.raises(TuneError, match="document 37 holds NaN or infinity"):
        top_k(queries, documents, 3, block=10)
    queries[2, 0] = bad
    with pytest.raises(TuneError, match="query 2 holds NaN or infinity"):
        top_k(queries, documents, 3)


def test_vectors_of_two_models_are_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(TuneError, match="query vectors have 8 values, document vectors 16"):
        top_k(unit(rng, 2, 8), unit(rng, 2, 16), 1)


@pytest.mark.parametrize("dims", [0, 17])
def test_a_dimension_that_the_vectors_lack_is_a_usage_error(dims: int) -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(UsageError, match=f"16 values to {dims}"):
        top_k(unit(rng, 2), unit(rng, 2), 1, dims=dims)


def test_calls_that_cannot_be_meant_are_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="k is 0"):
        top_k(unit(rng, 1), unit(rng, 1), 0)
    with pytest.raises(ValueError, match="block is 0"):
        top_k(unit(rng, 1), unit(rng, 1), 1, block=0)
    with pytest.raises(ValueError, match="shape"):
        top_k(unit(rng, 1)[0], unit(rng, 1), 1)


def test_no_documents_give_an_empty_ranking() -> None:
    scores, indices = top_k(unit(np.random.default_rng(0), 3), [], 5)
    assert scores.shape == indices.shape == (3, 0)


def test_documents_that_are_not_kept_are_numbered_and_never_found() -> None:
    rng = np.random.default_rng(0)
    documents, queries = unit(rng, 30), unit(rng, 4)
    keep = np.arange(30) % 3 > 0
    search = TopK(queries, 30)
    search.add(documents[:14], keep=keep[:14])
    search.add(documents[14:], keep=keep[14:])
    ranking = brute_force(queries, documents, 30)
    assert search.result()[1].tolist() == [[i for i in row if i % 3] for row in ranking.tolist()]
