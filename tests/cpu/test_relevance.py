"""Rerankers on the cpu backend: heads, losses, interchange, and what scoring costs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from peft import PeftModel
from safetensors.torch import load_file, save_file
from sentence_transformers import CrossEncoder
from transformers import AutoModelForSequenceClassification

from ragd_tune.backends import RerankRequest
from ragd_tune.errors import TuneError, UsageError
from ragd_tune.testing.objectives.relevance import Relevance, listwise, logit
from ragd_tune.testing.tiny import ARCHITECTURES, tiny_encoder
from ragd_tune_cpu.relevance.model import open_folder
from ragd_tune_cpu.relevance.serve import groups
from ragd_tune_cpu.session import quiet

QUERY = "anchor apple"
PASSAGES = ("anchor apple lamp", "garden", "harbour hill honey " * 30, "")


@pytest.fixture
def bench(lab: Any) -> Any:
    lab.rows = Relevance().rows()
    return lab


def plan_of(lab: Any, base: Path, **options: Any) -> Any:
    return lab.plan(base, objective="relevance", **{"max_steps": 3, **options})


def scores(lab: Any, model: Any, passages: tuple[str, ...] = PASSAGES) -> np.ndarray:
    asked = [RerankRequest(query=QUERY, passages=passages)]
    (found,) = lab.registry.call("cpu", "ragd_tune_rerank", model=model, requests=asked)
    assert isinstance(found, np.ndarray)
    return found


# -- heads -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", ARCHITECTURES[:4])
@pytest.mark.parametrize("plain", [False, True], ids=["sentence-transformers", "transformers"])
def test_a_new_head_depends_on_the_seed_and_names_alone(
    tmp_path: Path, architecture: str, *, plain: bool
) -> None:
    base = tiny_encoder(tmp_path, architecture, plain=plain)
    made = []
    for state, seed in ((1, 0), (2, 0), (1, 1)):
        torch.manual_seed(state)  # what transformers draws a new head from
        opened = open_folder(base, name="tiny", device="cpu", seed=seed)
        assert opened.untrained
        heads = {n: p for n, p in opened.model.named_parameters() if "classifier" in n}
        made.append({name: parameter.detach().clone() for name, parameter in heads.items()})
    first, same, other = made
    assert first.keys()
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize("architecture", ARCHITECTURES[1:4])
@pytest.mark.parametrize("tuning", ["lora", "full"])
def test_every_architecture_comes_back_as_it_was_trained(
    bench: Any, architecture: str, tuning: str
) -> None:
    base = bench.base(architecture)
    plan = plan_of(bench, base, tuning=tuning)
    result = bench.train(plan)
    found = scores(bench, bench.load(plan, result))
    untouched = scores(bench, bench.load(plan))
    assert not np.allclose(found, untouched, atol=1e-5)
    assert np.isfinite(found).all()


def test_a_head_that_a_base_brings_is_kept(bench: Any) -> None:
    plan = plan_of(bench, bench.base(), tuning="full")
    result = bench.train(plan)
    assert bench.load(plan).facts.settings == {"untrained_head": True}
    assert result.facts is not None
    assert result.facts.settings == {}
    own = bench.load(plan_of(bench, plan.out, seed=5))
    assert own.facts.settings == {}
    np.testing.assert_allclose(
        scores(bench, own), scores(bench, bench.load(plan, result)), atol=1e-6
    )


def test_only_the_head_and_lora_matrices_are_saved(bench: Any) -> None:
    plan = plan_of(bench, bench.base())
    bench.train(plan)
    names = set(load_file(plan.out / "adapter_model.safetensors"))
    rest = {name for name in names if ".lora_" not in name}
    assert rest == {f"base_model.model.classifier.{part}" for part in ("weight", "bias")}
    assert any("pooler.dense.lora_A" in name for name in names), "a head reads what a pooler gives"


def test_a_pooler_that_the_base_lacks_is_saved_whole(bench: Any) -> None:
    base = bench.base()
    kept = {n: t for n, t in load_file(base / "model.safetensors").items() if "pooler" not in n}
    save_file(kept, base / "model.safetensors", metadata={"format": "pt"})
    plan = plan_of(bench, base)
    result = bench.train(plan)
    names = set(load_file(plan.out / "adapter_model.safetensors"))
    assert "base_model.model.bert.pooler.dense.weight" in names
    assert np.isfinite(scores(bench, bench.load(plan, result))).all()


def _config(base: Path, **values: object) -> Path:
    path = base / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}), encoding="utf-8")
    return base


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"architectures": ["BertForCausalLM"]}, "language model"),
        (
            {
                "architectures": ["BertForSequenceClassification"],
                "id2label": {"0": "no", "1": "maybe", "2": "yes"},
            },
            "3 classes",
        ),
    ],
    ids=["language-model", "three-classes"],
)
def test_a_base_that_gives_no_single_score_is_refused(
    tmp_path: Path, values: dict[str, object], said: str
) -> None:
    base = _config(tiny_encoder(tmp_path), **values)
    with pytest.raises(UsageError, match=said) as refused:
        open_folder(base, name="tiny", device="cpu")
    assert refused.value.mend


def test_a_folder_that_leads_out_of_itself_is_refused(tmp_path: Path) -> None:
    base = tiny_encoder(tmp_path)
    modules = base / "modules.json"
    raw = json.loads(modules.read_text())
    raw[0]["path"] = "../elsewhere"
    modules.write_text(json.dumps(raw), encoding="utf-8")
    with pytest.raises(TuneError, match="outside"):
        open_folder(base, name="tiny", device="cpu")


# -- losses ----------------------------------------------------------------------------------------


def test_the_listwise_loss_is_that_of_the_loaded_model(bench: Any) -> None:
    base = bench.base()
    plan = plan_of(bench, base, tuning="full", loss="listwise", batch_size=64, max_steps=1)
    bench.train(plan)
    model = bench.load(plan)
    asked = [
        RerankRequest(query=str(row["query"]), passages=tuple(row["passages"]))
        for row in bench.rows.train
    ]
    found = bench.registry.call("cpu", "ragd_tune_rerank", model=model, requests=asked)
    told = next(event.loss for event in bench.events if event.type == "step")
    assert listwise([logit(one) for one in found], bench.rows.train) == pytest.approx(
        told, abs=1e-4
    )


def test_bfloat16_trains_and_says_nearly_the_same(bench: Any) -> None:
    base, losses = bench.base(), []
    for precision in ("fp32", "bf16"):
        plan = plan_of(bench, base, precision=precision, max_steps=1)
        result = bench.train(plan)
        losses.append(result.losses[0][1])
    assert losses[0] == pytest.approx(losses[1], abs=0.02)
    assert losses[0] != losses[1]


# -- interchange -----------------------------------------------------------------------------------


@pytest.mark.parametrize("tuning", ["lora", "full"])
def test_the_exported_folder_gives_sentence_transformers_the_same_scores(
    bench: Any, tuning: str, tmp_path: Path
) -> None:
    plan = plan_of(bench, bench.base(), tuning=tuning)
    model = bench.load(plan, bench.train(plan))
    bench.registry.call(
        "cpu", "ragd_tune_export", model=model, format="folder", out=tmp_path / "out"
    )
    theirs = CrossEncoder(str(tmp_path / "out"), device="cpu", local_files_only=True)
    found = theirs.predict([(QUERY, passage) for passage in PASSAGES])
    np.testing.assert_allclose(found, scores(bench, model), atol=1e-5)
    assert (found > 0).all(), "ragd drops scores below 0"


def test_peft_itself_loads_the_adapter(bench: Any) -> None:
    plan = plan_of(bench, bench.base())
    model = bench.load(plan, bench.train(plan))
    with quiet():
        base = AutoModelForSequenceClassification.from_pretrained(plan.base.path, num_labels=1)
        theirs = PeftModel.from_pretrained(base, str(plan.out)).eval()
    tokenizer = model.model.tokenizer
    tokens = tokenizer([QUERY] * 2, list(PASSAGES[:2]), padding=True, return_tensors="pt")
    with torch.inference_mode():
        found = torch.sigmoid(theirs(**tokens).logits[:, 0]).numpy()
    np.testing.assert_allclose(found, scores(bench, model)[:2], atol=1e-5)


def test_an_adapter_of_another_base_is_refused(bench: Any) -> None:
    plan = plan_of(bench, bench.base())
    result = bench.train(plan)
    other = bench.plan(bench.base("mpnet"), objective="relevance")
    with pytest.raises(TuneError, match="does not fit this base"):
        bench.load(plan, result, base=other.base)


# -- scoring ---------------------------------------------------------------------------------------


@given(
    lengths=st.lists(st.integers(1, 600), min_size=1, max_size=200), budget=st.integers(64, 5_000)
)
def test_groups_hold_every_text_once_and_keep_to_the_budget(
    lengths: list[int], budget: int
) -> None:
    array = np.array(lengths)
    made = [rows.tolist() for rows in groups(array, budget)]
    assert sorted(row for rows in made for row in rows) == list(range(len(lengths)))
    for rows in made:
        assert len(rows) == 1 or len(rows) * max(array[rows]) <= budget
        assert array[rows[0]] == max(array[rows])


def _seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def test_scoring_costs_no_more_than_sentence_transformers_own(bench: Any) -> None:
    """CPU seconds, the best of three in turn; the bound is wider than 1.1 for a busy machine."""
    plan = plan_of(bench, bench.base(), max_length=64)
    model = bench.load(plan)
    passages = tuple(" ".join(["garden", "lamp"] * (1 + i % 25)) for i in range(400))
    pairs = [(QUERY, passage) for passage in passages]
    times: dict[str, list[float]] = {"ours": [], "theirs": []}
    for _ in range(3):
        times["ours"].append(_seconds(lambda: scores(bench, model, passages)))
        times["theirs"].append(_seconds(lambda: model.model.predict(pairs)))
    assert min(times["ours"]) <= 1.5 * min(times["theirs"])
