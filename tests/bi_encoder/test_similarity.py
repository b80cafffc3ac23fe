"""Scored pairs: rows, the proof by Spearman's ρ, and the whole command on a tiny base."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ragd_tune
from ragd_tune.cli import run, train
from ragd_tune.data import DataSet, read
from ragd_tune.data.model import ScoredPair
from ragd_tune.errors import DataError
from ragd_tune.evaluate.correlation import spearman
from ragd_tune.kinds import Trial
from ragd_tune.objectives import SIMILARITY_OBJECTIVE
from ragd_tune.testing.samples import WORDS
from ragd_tune.testing.tiny import tiny_encoder
from ragd_tune_bi_encoder.kind import BiEncoder


def pairs(count: int, split: str, *, seed: int) -> list[ScoredPair]:
    """Return pairs in two languages that share as many words as their score says."""
    draw = random.Random(seed)
    made = []
    for _ in range(count):
        shared = draw.randrange(5)
        words = draw.sample(WORDS[:24], 8)
        other = [f"{word}o" for word in words[:shared] + words[4 : 8 - shared]]
        made.append(ScoredPair(" ".join(words[:4]), " ".join(other), shared / 4, split))
    return made


def data(*extra: ScoredPair) -> DataSet:
    found = [*pairs(200, "train", seed=0), *pairs(20, "dev", seed=1), *pairs(120, "test", seed=2)]
    return DataSet.of(corpus={}, queries={}, qrels={}, scored=(*found, *extra), source="pairs")


class Side:
    """A side whose cosines follow the scores, with some noise."""

    facts = None

    def __init__(self, of: DataSet, noise: float) -> None:
        draw = np.random.default_rng(0)
        self.angle = {
            (pair.text1, pair.text2): np.arccos(pair.score) + noise * draw.standard_normal()
            for pair in of.scored
        }
        self.second = {text: angle for (_, text), angle in self.angle.items()}

    def embed(self, texts: Sequence[str], role: str) -> Any:
        angles = np.array([0.0 if role == "query" else self.second[text] for text in texts])
        return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def prove(of: DataSet, before: float, after: float) -> Any:
    return BiEncoder().prove(
        Trial(
            data=of,
            split="test",
            open_incumbent=lambda: Side(of, before),  # type: ignore[arg-type, return-value]
            open_candidate=lambda: Side(of, after),  # type: ignore[arg-type, return-value]
        )
    )


def test_rows_are_the_scored_pairs_of_train_and_dev() -> None:
    made = BiEncoder().rows(data(), "similarity", {})
    assert (len(made.train), len(made.dev)) == (200, 20)
    for row in (*made.train, *made.dev):
        SIMILARITY_OBJECTIVE.check(row, where="here")


def test_pairs_alone_name_the_objective_that_learns_from_them() -> None:
    with pytest.raises(DataError) as refused:
        BiEncoder().rows(data(), "contrastive", {"negatives": 1})
    assert "--objective similarity" in refused.value.mend
    empty = DataSet.of(corpus={}, queries={}, qrels={})
    with pytest.raises(DataError, match="no scored pairs"):
        BiEncoder().rows(empty, "similarity", {})


def test_the_proof_is_spearmans_correlation_on_the_held_out_pairs() -> None:
    of = data()
    report = prove(of, before=1.0, after=0.1)
    assert report.gate_metric == "spearman"
    assert report.passed, report.reason
    test = [pair for pair in of.scored if pair.split == "test"]
    side = Side(of, 0.1)
    one = side.embed([pair.text1 for pair in test], "query")
    two = side.embed([pair.text2 for pair in test], "document")
    expected = spearman((one * two).sum(axis=1), [pair.score for pair in test])
    assert report.gate.after == pytest.approx(expected, abs=1e-6)
    assert "Spearman's ρ" in report.sentence
    assert not prove(of, before=0.1, after=1.0).passed
    assert not prove(of, before=0.1, after=0.1).passed


def test_pairs_that_training_has_are_left_out_and_counted_in_any_order() -> None:
    of = data()
    known = of.scored[0]
    leaked = ScoredPair(known.text2.upper(), known.text1, 0.5, "test")
    plain, made = prove(of, 1.0, 0.1), prove(data(leaked), 1.0, 0.1)
    assert (plain.counts.excluded, made.counts.excluded) == (0, 1)
    assert made.counts.queries == plain.counts.queries == 120


def test_pairs_that_share_a_text_are_one_cluster_and_known_if_training_had_one() -> None:
    of = data()
    one, two = [pair for pair in of.scored if pair.split == "test"][:2]
    joined = ScoredPair(one.text1, two.text2, 0.5, "test")
    trained = ScoredPair(of.scored[0].text1, "quite another text", 0.5, "test")
    before, after = prove(of, 1.0, 0.1), prove(data(joined, trained), 1.0, 0.1)
    assert after.counts.queries == before.counts.queries + 2
    assert after.gate.difference.clusters == before.gate.difference.clusters
    assert after.counts.known == before.counts.known + 1


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_a_file_of_scored_pairs_trains_and_proves_by_one_command(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    suffix: str,
) -> None:
    monkeypatch.setenv("RAGD_TUNE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(Path, "home", staticmethod(lambda: tmp_path))
    train._registry.cache_clear()
    for split in ("train", "dev", "test"):
        _write(tmp_path / "pairs" / f"{split}.{suffix}", split)
    assert len(read(tmp_path / "pairs").scored) == 340
    base = tiny_encoder(tmp_path / "base")
    given = ("--data", str(tmp_path / "pairs"), "--base", str(base), "--backend", "cpu")
    more = ("--tuning", "full", "--max-length", "32", "--epochs", "3", "--learning-rate", "0.002")
    command = ["train", "bi-encoder", *given, "--objective", "similarity", *more]
    code = run([*command, "--no-forgetting", "--name", "pairs", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert code == (0 if told["passed"] else 3)
    assert told["metric"] == "spearman"
    assert told["adapter"] > told["base"]
    with ragd_tune.load("pairs", slot="embedder") as embedder:
        assert embedder.embed_queries(["castle chair"]).shape == (1, embedder.dimension)


def _write(path: Path, split: str) -> None:
    path.parent.mkdir(exist_ok=True)
    rows = [(p.text1, p.text2, p.score) for p in data().scored if p.split == split]
    if path.suffix == ".csv":
        lines = ["text1,text2,score", *(f"{one},{two},{score}" for one, two, score in rows)]
    else:
        lines = [json.dumps(dict(zip(("text1", "text2", "score"), r, strict=True))) for r in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
