"""Rerankers on `mlx` and on `cpu`: the same losses, and the same scores and vectors of tokens."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ragd_tune.backends import RerankRequest
from ragd_tune.errors import TuneError, UsageError
from ragd_tune.evaluate import metrics
from ragd_tune.serve import late
from ragd_tune.testing.objectives import COVERED
from ragd_tune.testing.samples import contrastive_rows
from ragd_tune.testing.tiny import tiny_encoder

TEXTS = ["anchor, apple: arrow!", "beach bell", "", "lemon letter " * 40]
ASKED = [RerankRequest(query=text, passages=tuple(TEXTS)) for text in ("anchor lake", "bell?")]
PER_STEP, PER_VALUE, PER_NDCG = 1e-3, 1e-5, 0.005
LEARNS = {"schedule": "cosine", "warmup": 0.2, "learning_rate": 5e-3}


def losses(run: Any) -> Any:
    return np.array([loss for _, loss in run.losses])


def made(pair: Any, objective: str, place: Path, **settings: Any) -> Any:
    return pair(tiny_encoder(place, **settings), rows=COVERED[objective].rows())


def scores(model: Any) -> Any:
    return np.concatenate(model.rerank(ASKED))


def vectors(model: Any) -> Any:
    return [model.embed_tokens(TEXTS, role) for role in ("query", "document")]


def answers(model: Any, objective: str) -> list[Any]:
    """Return arrays that two backends have to agree on."""
    if objective == "relevance":
        return [scores(model)]
    return [part for found in vectors(model) for part in (found.values, found.offsets)]


def same(one: list[Any], two: list[Any], *, by: float = PER_VALUE) -> bool:
    return all(
        a.shape == b.shape and bool(np.abs(a - b).max() <= by)
        for a, b in zip(one, two, strict=True)
    )


HELD_OUT = contrastive_rows(0, 40, seed=1).dev
"""Questions and passages of other words than those that are trained on."""


def ndcg(model: Any, objective: str) -> float:
    """Return nDCG@10 of the held-out questions, each over all of their passages."""
    passages = tuple(str(row["positive"]) for row in HELD_OUT)
    asked = [RerankRequest(query=str(row["query"]), passages=passages) for row in HELD_OUT]
    late_one = objective == "late_interaction"
    found = late.rerank(model.embed_tokens, asked) if late_one else model.rerank(asked)
    rankings = {
        str(number): [str(place) for place in np.argsort(-scores, kind="stable")]
        for number, scores in enumerate(found)
    }
    qrels = {str(number): {str(number): 1} for number in range(len(HELD_OUT))}
    return metrics.score(rankings, qrels).means()["ndcg@10"]


CASES = [
    ("relevance", {}, {"loss": "bce"}),
    ("relevance", {"architecture": "xlm-roberta"}, {"loss": "listwise"}),
    ("late_interaction", {"marks": True}, {"query_length": 12, "token_dimension": 16}),
    ("late_interaction", {"architecture": "xlm-roberta"}, {"expansion_attends": True}),
    ("late_interaction", {}, {"query_expansion": False, "skip_punctuation": False}),
]


@pytest.mark.parametrize(
    ("objective", "settings", "options"),
    CASES,
    ids=lambda one: one if isinstance(one, str) else "-".join(map(str, one.values())) or "bert",
)
def test_each_of_twenty_steps_has_the_same_loss_and_each_loads_what_the_other_made(
    pair: Any,
    cell_of: Any,
    tmp_path: Path,
    objective: str,
    settings: dict[str, Any],
    options: dict[str, Any],
) -> None:
    benches = made(pair, objective, tmp_path, **settings)
    bare = [bench.load_base(objective, "cpu") for bench in benches.both]
    assert bare[0].facts == bare[1].facts
    assert same(*(answers(model, objective) for model in bare))
    runs = benches.train(cell_of("lora", objective), **LEARNS, **options)
    assert len(losses(runs[0])) == 20
    assert np.abs(losses(runs[0]) - losses(runs[1])).max() <= PER_STEP
    assert runs[0].result.facts == runs[1].result.facts
    assert runs[0].files.keys() == runs[1].files.keys()
    idle = benches.mlx.fresh(cell_of("lora", objective), **{**LEARNS, "learning_rate": 1e-7})
    assert np.abs(losses(idle) - losses(runs[0]))[10:].max() > 20 * PER_STEP, "nothing was learned"
    found = []
    for run in runs:
        mine, other = benches.load(run)
        assert mine.facts == other.facts
        assert same(answers(mine, objective), answers(other, objective))
        found.append(ndcg(other, objective))
    assert abs(found[0] - found[1]) <= PER_NDCG
    assert abs(found[0] - ndcg(bare[1], objective)) > PER_NDCG, "no ranking was changed"


@pytest.mark.parametrize("objective", ["relevance", "late_interaction"])
def test_an_adapter_is_described_in_the_words_of_the_cpu_backend(
    pair: Any, cell_of: Any, tmp_path: Path, objective: str
) -> None:
    runs = made(pair, objective, tmp_path).train(cell_of("lora", objective), max_steps=1)
    told = [json.loads(run.files["adapter_config.json"]) for run in runs]
    for key in ("r", "lora_alpha", "target_modules", "modules_to_save", "task_type"):
        assert told[0][key] == told[1][key], key


def test_a_pooler_that_the_base_lacks_is_drawn_trained_and_kept_by_both(
    pair: Any, cell_of: Any, tmp_path: Path
) -> None:
    from safetensors.numpy import load_file, save_file

    place = tiny_encoder(tmp_path)
    kept = load_file(place / "model.safetensors")
    kept = {name: value for name, value in kept.items() if not name.startswith("pooler")}
    save_file(kept, place / "model.safetensors", metadata={"format": "pt"})
    benches = pair(place, rows=COVERED["relevance"].rows())
    runs = benches.train(cell_of("lora", "relevance"), max_steps=4, learning_rate=5e-3)
    assert np.abs(losses(runs[0]) - losses(runs[1])).max() <= PER_STEP
    told = [json.loads(run.files["adapter_config.json"])["modules_to_save"] for run in runs]
    assert set(told[0]) == set(told[1]) == {"classifier", "bert.pooler"}
    for run in runs:
        mine, other = benches.load(run)
        assert np.abs(scores(mine) - scores(other)).max() <= PER_VALUE


def test_a_reranker_that_cpu_tuned_whole_is_served(pair: Any, cell_of: Any, tmp_path: Path) -> None:
    benches = made(pair, "relevance", tmp_path)
    run = benches.cpu.fresh(cell_of("full", "relevance"), max_steps=3)
    mine, other = benches.load(run)
    assert np.abs(scores(mine) - scores(other)).max() <= PER_VALUE


@pytest.mark.parametrize(
    ("objective", "file", "told"),
    [
        ("relevance", "adapter_model.safetensors", "classifier"),
        ("late_interaction", "projection.safetensors", "no ColBERT adapter"),
    ],
)
def test_an_adapter_without_its_head_is_refused(
    pair: Any, cell_of: Any, tmp_path: Path, objective: str, file: str, told: str
) -> None:
    from safetensors.numpy import load_file, save_file

    bench = made(pair, objective, tmp_path).mlx
    run = bench.fresh(cell_of("lora", objective), max_steps=1)
    broken = shutil.copytree(run.plan.out, tmp_path / "broken")
    kept = {n: v for n, v in load_file(broken / file).items() if "lora" in n}
    (broken / file).unlink()
    if kept:
        save_file(kept, broken / file)
    with pytest.raises(TuneError, match=told):
        bench.load(run, adapter=broken)


def test_bases_that_no_reranker_is_made_of_here_say_who_has_them(pair: Any, tmp_path: Path) -> None:
    def refused(objective: str, **config: Any) -> UsageError:
        place = tiny_encoder(
            tmp_path / f"{objective}-{len(config)}-{len(list(tmp_path.iterdir()))}"
        )
        raw = json.loads((place / "config.json").read_text(encoding="utf-8"))
        (place / "config.json").write_text(json.dumps({**raw, **config}), encoding="utf-8")
        with pytest.raises(UsageError) as caught:
            pair(place).mlx.load_base(objective, "cpu")
        return caught.value

    for objective in ("relevance", "late_interaction"):
        told = refused(objective, model_type="modernbert")
        assert "does not compute the architecture modernbert" in told.message
        assert "--backend cpu" in told.mend
    told = refused("late_interaction", architectures=["HF_ColBERT"])
    assert "is a ColBERT checkpoint" in told.message
    assert "--backend cpu" in told.mend
    labels = {"0": "no", "1": "yes"}
    told = refused("relevance", architectures=["BertForSequenceClassification"], id2label=labels)
    assert "tells 2 classes apart" in told.message
    assert "language model" in refused("relevance", architectures=["LlamaForCausalLM"]).message


def test_rerankers_of_one_base_share_its_weights_and_leave_them(
    pair: Any, cell_of: Any, tmp_path: Path
) -> None:
    bench = made(pair, "relevance", tmp_path).mlx
    runs = [bench.fresh(cell_of("lora", "relevance"), seed=seed, max_steps=2) for seed in (0, 1)]
    base = bench.load_base("relevance", "cpu")
    before = scores(base)
    one, two = (bench.load(run) for run in runs)
    assert not np.allclose(scores(one), scores(two), atol=1e-4)
    assert np.array_equal(scores(base), before)
    one.model.close()
    assert np.array_equal(scores(base), before)
