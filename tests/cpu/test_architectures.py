from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch

from ragd_tune.testing.tiny import ARCHITECTURES

TEXTS = ["anchor apple arrow", "beach bell", "an unknown word 檢索", "", "lemon letter " * 40]


def vectors_while_training(lab: Any, plan: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Train ``plan`` and return what the trained model itself says of TEXTS, before it is saved."""
    from ragd_tune_cpu import train

    seen = []
    write = train._write

    def look(plan: Any, trainee: Any, step: int) -> None:
        trainee.model.eval()
        seen.append(trainee.model.encode(TEXTS, normalize_embeddings=True, show_progress_bar=False))
        write(plan, trainee, step)

    monkeypatch.setattr(train, "_write", look)
    return lab.train(plan), seen[0]


@pytest.mark.parametrize("tuning", ["lora", "full"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_loss_falls_and_what_is_saved_is_what_was_trained(
    lab: Any, architecture: str, tuning: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = lab.plan(lab.base(architecture, dropout=0.1), tuning=tuning, max_steps=50)
    result, trained = vectors_while_training(lab, plan, monkeypatch)
    losses = [loss for _, loss in result.losses]
    assert np.mean(losses[-10:]) < np.mean(losses[:10])
    loaded = lab.embed(lab.load(plan, result), TEXTS)
    assert np.abs(loaded - trained).max() <= 1e-5
    assert np.abs(loaded - lab.embed(lab.load(plan), TEXTS)).max() > 1e-3


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_all_linear_takes_every_layer_that_a_vector_passes_and_no_head(
    lab: Any, architecture: str
) -> None:
    plan = lab.plan(lab.base(architecture))
    result = lab.train(plan)
    from safetensors.numpy import load_file

    tensors = load_file(plan.out / "adapter_model.safetensors")
    idle = [name for name, value in tensors.items() if "lora_B" in name and not value.any()]
    assert idle == [], "a matrix that never got a gradient"
    assert len(tensors) > 0
    assert not any("pooler" in name for name in tensors)
    assert result.format == "peft"


def test_named_targets_are_the_only_ones(lab: Any) -> None:
    plan = lab.plan(lab.base(), lora_targets=("query", "value"))
    lab.train(plan)
    config = json.loads((plan.out / "adapter_config.json").read_text(encoding="utf-8"))
    ends = {name.rpartition(".")[2] for name in config["target_modules"]}
    assert ends == {"query", "value"}


def test_a_plain_encoder_gets_mean_pooling_and_normalisation(lab: Any) -> None:
    plan = lab.plan(lab.base(plain=True))
    result = lab.train(plan)
    assert (result.facts.pooling, result.facts.normalise) == ("mean", True)
    lengths = np.linalg.norm(lab.embed(lab.load(plan, result), TEXTS), axis=1)
    assert np.allclose(lengths, 1.0, atol=1e-5)


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")
def test_stock_peft_reads_the_adapter(lab: Any) -> None:
    from peft import PeftModel
    from transformers import AutoModel

    plan = lab.plan(lab.base())
    result = lab.train(plan)
    plain = AutoModel.from_pretrained(plan.base.path)
    inner = PeftModel.from_pretrained(plain, str(plan.out))
    ours = lab.load(plan, result)
    features = ours.model.tokenizer(TEXTS[:2], return_tensors="pt", padding=True)
    with torch.no_grad():
        theirs = inner.eval()(**features).last_hidden_state
        mine = ours.model[0].auto_model(**features).last_hidden_state
    assert float((theirs - mine).abs().max()) <= 1e-5
