from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from ragd_tune.errors import TuneError, UsageError
from ragd_tune.evaluate import evaluate_retrieval, score

Vectors = NDArray[np.float32]

RNG = np.random.default_rng(0)
DOCUMENTS = RNG.normal(size=(300, 32)).astype(np.float32)
RELEVANT = RNG.permutation(300)[:40]
QUERIES = (DOCUMENTS[RELEVANT] + RNG.normal(0, 1.2, (40, 32))).astype(np.float32)
QUERY_IDS = [f"q{i}" for i in range(40)]
DOCUMENT_IDS = [f"d{i}" for i in range(300)]
QRELS = {f"q{i}": {f"d{relevant}": 1.0} for i, relevant in enumerate(RELEVANT)}


def by_hand(dims: int) -> dict[str, list[str]]:
    queries, documents = QUERIES[:, :dims].astype(float), DOCUMENTS[:, :dims].astype(float)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    documents /= np.linalg.norm(documents, axis=1, keepdims=True)
    order = np.argsort(-(queries @ documents.T), axis=1, kind="stable")
    return {q: [f"d{i}" for i in row] for q, row in zip(QUERY_IDS, order, strict=True)}


def stream(size: int) -> Iterator[Vectors]:
    for start in range(0, 300, size):
        yield DOCUMENTS[start : start + size]


def test_every_dimension_is_scored_by_cosine_in_one_pass_over_a_stream() -> None:
    found = evaluate_retrieval(
        QUERIES,
        stream(37),
        query_ids=QUERY_IDS,
        document_ids=DOCUMENT_IDS,
        qrels=QRELS,
        dims=(32, 8, 4),
    )
    assert list(found) == [32, 8, 4]
    for dims, scores in found.items():
        whole = score({q: r[:100] for q, r in by_hand(dims).items()}, QRELS)
        for metric, values in whole.values.items():
            np.testing.assert_allclose(scores.values[metric], values, err_msg=metric)
        assert scores.first.tolist() == whole.first.tolist()
    assert found[32].means()["ndcg@10"] > found[4].means()["ndcg@10"]


def test_the_full_dimension_is_the_default_and_deep_cut_offs_are_searched_for() -> None:
    found = evaluate_retrieval(
        QUERIES,
        DOCUMENTS,
        query_ids=QUERY_IDS,
        document_ids=DOCUMENT_IDS,
        qrels=QRELS,
        metrics=["recall@300"],
    )
    assert list(found) == [32]
    assert found[32].means()["recall@300"] == 1.0


def test_duplicates_are_wrong_without_their_texts_and_one_document_with_them() -> None:
    documents = np.concatenate([DOCUMENTS[RELEVANT[0]][None], DOCUMENTS])
    ids = ["copy", *DOCUMENT_IDS]
    query = DOCUMENTS[RELEVANT[0]][None]
    qrels = {"q0": QRELS["q0"]}
    arguments = {"query_ids": ["q0"], "document_ids": ids, "qrels": qrels, "block": 10}
    plain = evaluate_retrieval(query, documents, **arguments)[32]  # type: ignore[arg-type]
    assert plain.first.tolist() == [2]
    assert plain.collapsed == 0
    texts = [f"text {RELEVANT[0]}", *(f"text {i}" for i in range(300))]
    found = evaluate_retrieval(query, documents, texts=texts, **arguments)[32]  # type: ignore[arg-type]
    assert found.first.tolist() == [1]
    assert found.collapsed == 1


def test_collapsed_documents_do_not_use_up_the_depth_of_a_ranking() -> None:
    documents = np.concatenate([np.tile(QUERIES[:1], (150, 1)), DOCUMENTS])
    found = evaluate_retrieval(
        QUERIES[:1],
        documents,
        query_ids=["q0"],
        document_ids=[*(f"spam{i}" for i in range(150)), *DOCUMENT_IDS],
        qrels={"q0": QRELS["q0"]},
        texts=[*["spam"] * 150, *DOCUMENT_IDS],
    )[32]
    assert found.collapsed == 149
    assert 2 <= found.first[0] <= 100


def test_a_document_that_is_not_finite_is_named_by_its_row_even_after_duplicates() -> None:
    documents = DOCUMENTS.copy()
    documents[200, 0] = np.nan
    with pytest.raises(TuneError, match="document 200 holds NaN"):
        evaluate_retrieval(
            QUERIES,
            documents,
            query_ids=QUERY_IDS,
            document_ids=DOCUMENT_IDS,
            qrels=QRELS,
            texts=["same"] * 300,
        )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"document_ids": DOCUMENT_IDS[:-1]}, "299 document ids came with at least 300 rows"),
        ({"document_ids": [*DOCUMENT_IDS, "x"]}, "301 document ids came with 300 rows"),
        ({"query_ids": QUERY_IDS[:-1]}, "39 query ids came with at least 40 rows"),
        ({"query_ids": ["q1", *QUERY_IDS[1:]]}, "a query id stands twice"),
        ({"texts": ["x"]}, "300 document ids came with 1 rows"),
    ],
)
def test_ids_that_do_not_match_their_vectors_are_refused(
    change: dict[str, object], message: str
) -> None:
    arguments: dict[str, object] = {
        "query_ids": QUERY_IDS,
        "document_ids": DOCUMENT_IDS,
        "qrels": QRELS,
        "block": 64,
    }
    with pytest.raises(TuneError, match=message):
        evaluate_retrieval(QUERIES, DOCUMENTS, **arguments | change)  # type: ignore[arg-type]


def test_a_dimension_above_the_models_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="32 values to 64"):
        evaluate_retrieval(
            QUERIES,
            DOCUMENTS,
            query_ids=QUERY_IDS,
            document_ids=DOCUMENT_IDS,
            qrels=QRELS,
            dims=(64,),
        )
