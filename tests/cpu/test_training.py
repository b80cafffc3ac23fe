from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ragd_tune.objectives import Rows, batches
from ragd_tune.plan import Event, Stop
from ragd_tune.testing import contrastive_rows
from ragd_tune.testing.bench import snapshot

TUNINGS = ["lora", "full"]


def stop_after(step: int) -> Any:
    def emit(event: Event) -> None:
        if event.type == "step" and event.step == step:
            raise Stop

    return emit


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("tuning", TUNINGS)
def test_a_stopped_and_resumed_run_ends_with_the_same_bytes_with_dropout_and_over_epochs(
    lab: Any, tuning: str, precision: str
) -> None:
    base = lab.base()
    options = {
        "tuning": tuning,
        "precision": precision,
        "max_steps": 9,
        "schedule": "cosine",
        "lora_dropout": 0.1,
        "dropout": 0.1,
    }
    whole, parted = lab.plan(base, **options), lab.plan(base, **options)
    undisturbed = lab.train(whole)
    for step in (2, 7):
        with pytest.raises(Stop):
            lab.train(parted, stop_after(step))
    resumed = lab.train(parted)
    assert snapshot(parted.out) == snapshot(whole.out)
    assert resumed.losses == undisturbed.losses
    assert resumed.dev_losses == undisturbed.dev_losses
    assert resumed.resumed_from == 7


def test_dropout_is_at_work(lab: Any) -> None:
    dry, wet = (lab.plan(lab.base(), dropout=p) for p in (0.0, 0.5))
    assert lab.train(dry).losses[0] != lab.train(wet).losses[0]


def test_an_estimate_before_leaves_the_weights_as_they_would_be(lab: Any) -> None:
    base = lab.base()
    one, two = lab.plan(base, dropout=0.2), lab.plan(base, dropout=0.2)
    lab.train(one)
    lab.estimate(two)
    lab.train(two)
    assert snapshot(one.out) == snapshot(two.out)


def test_the_adapter_names_the_base_only_where_the_name_means_something_elsewhere(
    lab: Any,
) -> None:
    for name, told in (
        ("all-MiniLM-L6-v2", "all-MiniLM-L6-v2"),
        (str(lab.folder / "here"), ""),
        ("./here", ""),
        ("C:\\models\\here", ""),
    ):
        plan = lab.plan(lab.base(), name=name, max_steps=1)
        lab.train(plan)
        config = json.loads((plan.out / "adapter_config.json").read_text(encoding="utf-8"))
        assert config["base_model_name_or_path"] == told


@pytest.mark.parametrize("tuning", TUNINGS)
def test_what_is_written_does_not_depend_on_the_place_of_base_and_run(
    lab: Any, tuning: str
) -> None:
    import shutil

    base = lab.base()
    moved = shutil.copytree(base, lab.folder / "elsewhere" / "another-name")
    one, two = lab.plan(base, tuning=tuning), lab.plan(moved, tuning=tuning)
    lab.train(one)
    lab.train(two)
    assert snapshot(one.out) == snapshot(two.out)
    for data in snapshot(one.out).values():
        assert str(lab.folder).encode() not in data
        assert sys.prefix.encode() not in data


def test_a_full_folder_holds_no_versions_and_nothing_to_unpickle(lab: Any) -> None:
    plan = lab.plan(lab.base(), tuning="full")
    lab.train(plan)
    files = snapshot(plan.out)
    assert not any(name.endswith((".bin", ".pt", ".py", ".md")) for name in files)
    for name, data in files.items():
        if name.endswith(".json"):
            assert b"__version__" not in data
            assert b"transformers_version" not in data
    modules = json.loads(files["modules.json"])
    assert all(module["type"].startswith("sentence_transformers.") for module in modules)


def test_negatives_are_used_row_by_row_and_may_be_of_different_number(lab: Any) -> None:
    rows = contrastive_rows(8, 0)
    train = [dict(row) for row in rows.train]
    for number, row in enumerate(train):
        row["negatives"] = [f"letter lemon {number} {i}" for i in range(number % 4)]
        row["negative_keys"] = [f"n{number}.{i}" for i in range(number % 4)]
    lab.rows = Rows(objective="contrastive", train=train)
    base = lab.base()
    losses = [
        lab.train(lab.plan(base, negatives=count, max_steps=1)).losses[0][1] for count in (0, 1, 3)
    ]
    assert losses[0] < losses[1] < losses[2], "each negative adds to the softmax"


def test_the_loss_is_the_in_batch_softmax_over_cosines(lab: Any) -> None:
    base = lab.base()
    plan = lab.plan(base, max_steps=1, temperature=0.1, negatives=2, query_prompt="key ")
    first = lab.train(plan).losses[0][1]
    group = batches(lab.rows.train, batch_size=4, seed=0, epoch=0)[0]
    rows = [lab.rows.train[i] for i in group]
    model = lab.load(plan)
    queries = lab.embed(model, [f"key {row['query']}" for row in rows])
    passages = [row["positive"] for row in rows]
    passages += [text for row in rows for text in row.get("negatives", [])]
    logits = queries @ lab.embed(model, passages).T / 0.1
    own = logits[np.arange(len(rows)), np.arange(len(rows))]
    assert first == pytest.approx(float(np.mean(np.log(np.exp(logits).sum(1)) - own)), abs=1e-4)


def test_matryoshka_raises_the_quality_of_the_leading_dimensions(lab: Any) -> None:
    base = lab.base()
    options = {"tuning": "full", "max_steps": 120, "learning_rate": 1e-3}
    plain, nested = lab.plan(base, **options), lab.plan(base, **options, matryoshka_dims=(4,))
    results = [lab.train(plan) for plan in (plain, nested)]
    assert results[1].facts.dimensions == (32, 4)
    hits = []
    for plan, result in zip((plain, nested), results, strict=True):
        model = lab.load(plan, result, dimension=4)
        queries = lab.embed(model, [row["query"] for row in lab.rows.train[5:]], "query")
        passages = lab.embed(model, [row["positive"] for row in lab.rows.train[5:]])
        assert queries.shape[1] == 4
        assert np.allclose(np.linalg.norm(queries, axis=1), 1.0, atol=1e-5)
        gaps = queries @ passages.T
        hits.append(float(np.mean(np.diag(gaps) - gaps.mean(1))))
    assert hits[1] > hits[0]


def test_a_held_out_loss_is_told_at_the_end_and_at_quarters_of_a_longer_run(lab: Any) -> None:
    assert [step for step, _ in lab.train(lab.plan(lab.base())).dev_losses] == [6]
    longer = lab.train(lab.plan(lab.base(), max_steps=24))
    assert [step for step, _ in longer.dev_losses] == [6, 12, 18, 24]
    assert [e.step for e in lab.events if e.type == "dev"] == [6, 6, 12, 18, 24]


def test_looking_at_the_held_out_loss_changes_nothing(lab: Any) -> None:
    base = lab.base()
    with_dev, without = (lab.plan(base, max_steps=24, dropout=0.2) for _ in range(2))
    lab.train(with_dev)
    lab.rows = Rows(objective="contrastive", train=lab.rows.train)
    lab.train(without)
    assert snapshot(with_dev.out) == snapshot(without.out)


def test_fractional_epochs_take_a_part_of_the_batches(lab: Any) -> None:
    epoch = len(batches(lab.rows.train, batch_size=4, seed=0, epoch=0))
    assert lab.train(lab.plan(lab.base(), max_steps=None, epochs=0.5)).steps == round(epoch / 2)


@pytest.mark.parametrize("cap", [8, 4096])
def test_texts_are_cut_to_the_option_or_to_what_the_base_can(lab: Any, cap: int) -> None:
    result = lab.train(lab.plan(lab.base(), max_length=cap))
    assert result.facts.max_length == min(cap, 64)


def test_the_libraries_say_nothing_of_their_own(
    lab: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    plan = lab.plan(lab.base(), tuning="full")
    capfd.readouterr()
    lab.estimate(plan)
    result = lab.train(plan)
    lab.embed(lab.load(plan, result), ["anchor"])
    assert capfd.readouterr() == ("", "")


def test_a_long_run_reports_at_most_a_thousand_losses_the_last_included() -> None:
    from ragd_tune.training.job import is_told

    for count in (1, 997, 998, 999, 1000, 1001, 1999, 54_321):
        kept = [step for step in range(1, count + 1) if is_told(step, count)]
        assert len(kept) < 1000, "a run that time cuts off adds its last step"
        assert (kept[0], kept[-1]) == (1, count)


def test_a_run_writes_only_out_and_checkpoints(lab: Any, tmp_path: Path) -> None:
    plan = lab.plan(lab.base(), checkpoint_steps=2)
    lab.train(plan)
    assert {path.name for path in plan.out.parent.iterdir()} == {"out", "checkpoints"}
