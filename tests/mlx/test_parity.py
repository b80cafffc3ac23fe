"""The same plan on `mlx` and on `cpu`: the same losses, the same vectors, the same rankings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

TEXTS = ["anchor apple arrow", "beach bell", "an unknown word 檢索", "", "lemon letter " * 40]
PER_STEP = 1e-3
BASES = [
    {"architecture": "bert", "pooling": "mean"},
    {"architecture": "bert", "pooling": "cls"},
    {"architecture": "bert", "pooling": "max"},
    {"architecture": "xlm-roberta", "pooling": "cls"},
    {"architecture": "bert", "plain": True},
    {"architecture": "modernbert", "pooling": "cls"},
]
LEARNS = {"lora": 5e-3, "full": 1e-3}

every_base = pytest.mark.parametrize(
    "settings", BASES, ids=lambda one: "-".join(map(str, one.values()))
)
every_tuning = pytest.mark.parametrize("tuning", ["lora", "full"])


def losses(run: Any) -> Any:
    return np.array([loss for _, loss in run.losses])


@every_tuning
@every_base
def test_each_of_twenty_steps_has_the_same_loss_and_each_loads_what_the_other_made(
    pair: Any, cell_of: Any, tuning: str, settings: dict[str, Any]
) -> None:
    given = {"schedule": "cosine", "warmup": 0.2, "negatives": 2, "query_prompt": "lake "}
    given |= {"learning_rate": LEARNS[tuning]}
    benches = pair(**settings)
    one, two = benches.train(cell_of(tuning), **given)
    assert len(losses(one)) == 20
    assert np.abs(losses(one) - losses(two)).max() <= PER_STEP
    for run in (one, two):
        mine, other = benches.load(run)
        assert mine.facts == other.facts
        for role in ("query", "document"):
            found = mine.embed(TEXTS, role), other.embed(TEXTS, role)
            assert np.abs(found[0] - found[1]).max() <= 1e-5
    if settings is not BASES[0]:
        return
    idle = benches.mlx.fresh(cell_of(tuning), **{**given, "learning_rate": 1e-7})
    assert (losses(idle) - losses(one))[10:].mean() > 20 * PER_STEP, "nothing was learned"


@pytest.mark.parametrize(
    "options",
    [
        {"matryoshka_dims": (8, 16)},
        {"weight_decay": 0.5, "max_grad_norm": 0.01},
        {"query_prompt": "castle ", "document_prompt": "desert ", "max_length": 12},
        {"lora_targets": ("query", "value"), "lora_alpha": 3.0},
        {"training_length": 7},
        {"temperature": 0.5, "max_grad_norm": 0.0, "schedule": "linear"},
    ],
    ids=lambda one: "-".join(one),
)
def test_options_mean_the_same(pair: Any, cell_of: Any, options: dict[str, Any]) -> None:
    one, two = pair().train(cell_of("lora"), learning_rate=5e-3, **options)
    assert np.abs(losses(one) - losses(two)).max() <= PER_STEP
    assert one.result.facts == two.result.facts
    found = np.array(one.result.dev_losses), np.array(two.result.dev_losses)
    assert len(found[0]) > 0
    assert np.abs(found[0] - found[1]).max() <= PER_STEP


def test_a_lora_adapter_of_either_is_described_in_the_same_words(pair: Any, cell_of: Any) -> None:
    told = [
        json.loads(run.files["adapter_config.json"])
        for run in pair().train(cell_of("lora"), max_steps=1, lora_alpha=7.0)
    ]
    shared = told[0].keys() & told[1].keys()
    assert {"r", "lora_alpha", "target_modules", "task_type", "bias"} <= shared
    assert {key: told[0][key] for key in shared} == {key: told[1][key] for key in shared}


@pytest.mark.parametrize("activation", ["Tanh", "Identity"])
def test_a_dense_head_is_computed_trained_and_saved(
    pair: Any, cell_of: Any, tmp_path: Path, activation: str
) -> None:
    place = headed(pair, tmp_path, activation)
    benches = pair(place)
    base = [bench.load_base("contrastive", "cpu") for bench in benches.both]
    assert base[0].facts == base[1].facts
    assert base[0].facts.dimension == 8
    assert np.abs(base[0].embed(TEXTS) - base[1].embed(TEXTS)).max() <= 1e-5
    runs = benches.train(cell_of("full"), learning_rate=1e-3)
    assert np.abs(losses(runs[0]) - losses(runs[1])).max() <= PER_STEP
    for run in runs:
        mine, other = benches.load(run)
        assert np.abs(mine.embed(TEXTS) - other.embed(TEXTS)).max() <= 1e-5
        assert np.abs(mine.embed(TEXTS) - base[0].embed(TEXTS)).max() > 1e-3


def headed(pair: Any, tmp_path: Path, activation: str) -> Path:
    """Return a tiny base with a dense head behind its pooling."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Dense

    torch.manual_seed(0)
    model = SentenceTransformer(str(pair().mlx.base("contrastive").path))
    kinds = {"Tanh": torch.nn.Tanh(), "Identity": torch.nn.Identity()}
    model.insert(2, Dense(32, 8, activation_function=kinds[activation]))
    model.save_pretrained(str(tmp_path / "headed"), create_model_card=False)
    return tmp_path / "headed"
