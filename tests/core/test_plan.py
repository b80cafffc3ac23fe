"""Plans, events and results cross processes and machines unchanged."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ragd_tune.plan import BaseModel, Estimate, Event, ModelFacts, TrainPlan, TrainResult

PLAN = TrainPlan(
    kind="bi-encoder",
    objective="contrastive",
    tuning="lora",
    side="both",
    backend="cpu",
    device="cpu",
    base=BaseModel(name="mini", path=Path("models") / "mini", fingerprint="f" * 64),
    data_fingerprint="d" * 64,
    rows_fingerprint="r" * 64,
    out=Path("runs") / "x" / "out",
    options={"learning_rate": 2e-5, "matryoshka_dims": (256, 64), "seed": 3, "minutes": None},
)


def test_a_plan_survives_json() -> None:
    back = TrainPlan.from_json(json.loads(json.dumps(PLAN.to_json())))
    assert back == PLAN
    assert back.id == PLAN.id


def test_the_id_leaves_out_places_and_when_things_are_saved() -> None:
    moved = replace(
        PLAN,
        out=Path("elsewhere"),
        base=replace(PLAN.base, path=Path("other"), name="minilm", source="hub"),
        options={**PLAN.options, "checkpoint_minutes": 9.0},
    )
    assert moved.id == PLAN.id


@pytest.mark.parametrize(
    "change",
    [
        {"tuning": "full"},
        {"backend": "mlx"},
        {"device": "cuda"},
        {"data_fingerprint": "e" * 64},
        {"rows_fingerprint": "e" * 64},
        {"options": {**PLAN.options, "seed": 4}},
        {"base": replace(PLAN.base, fingerprint="e" * 64)},
    ],
)
def test_the_id_knows_everything_that_decides(change: dict[str, object]) -> None:
    assert replace(PLAN, **change).id != PLAN.id  # type: ignore[arg-type]


def test_events_and_results_survive_json() -> None:
    estimate = Estimate(seconds=10.5, steps=7, peak_bytes=10**9, measured_steps=3)
    event = Event(type="estimate", run="x", estimate=estimate)
    assert Event.from_json(json.loads(json.dumps(event.to_json()))) == event
    result = TrainResult(
        format="peft",
        steps=7,
        seconds=11.0,
        peak_bytes=10**9,
        losses=((1, 2.5), (2, 2.0)),
        estimate=estimate,
        facts=ModelFacts(
            dimension=384, max_length=256, dimensions=(384, 96), prompts={"query": "q: "}
        ),
        versions={"torch": "2"},
    )
    assert TrainResult.from_json(json.loads(json.dumps(result.to_json()))) == result
