"""Notices to a run that leaves the field's rules, and silence to one that does not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ragd_tune.config import Setting
from ragd_tune.data import DataSet
from ragd_tune.data.origins import WITHOUT_MODEL
from ragd_tune.kinds import Profile
from ragd_tune.objectives import Rows
from ragd_tune.options import CAUSAL_LM, CONTRASTIVE, RUN, Value
from ragd_tune.pipeline.practice import notices
from ragd_tune.plan import BaseModel, TrainPlan
from ragd_tune.ragd import tiers

MANY = [{"prompt": "a", "completion": "b"}] * 200


def planned(
    objective: str = "causal_lm", tuning: str = "lora", dev: int = 20, train: int = 200,
    device: str = "cpu", **options: Value,
) -> Any:  # fmt: skip
    own = {"learning_rate": 2e-5 if tuning == "full" else 2e-4, "epochs": 3.0, "batch_size": 32}
    if objective != "causal_lm":
        own = {"learning_rate": 5e-5, "epochs": 1.0, "batch_size": 16}
    more = CAUSAL_LM if objective == "causal_lm" else CONTRASTIVE
    values = {one.name: one.default for one in (*RUN, *more)}
    plan = TrainPlan(
        kind="k", objective=objective, tuning=tuning, side="both", backend="x",
        device=device,  # type: ignore[arg-type]
        base=BaseModel(name="x", path=Path("x"), fingerprint="f"), data_fingerprint="",
        rows_fingerprint="", out=Path("out"), options={**values, **own, **options},
    )  # fmt: skip
    rows = Rows(objective=objective, train=MANY[:train], dev=MANY[:dev])
    kind = SimpleNamespace(defaults=lambda profile: own)
    data = DataSet.of(corpus={}, queries={}, qrels={})
    return SimpleNamespace(plan=plan, rows=rows, kind=kind, data=data, settings={})


@pytest.mark.parametrize(
    "made",
    [
        planned(),
        planned(tuning="full"),
        planned("contrastive"),
        planned("contrastive", learning_rate=5e-4),
        planned(max_steps=18),
        planned(minutes=10.0, epochs=50.0),
        planned(device="cuda"),
    ],
)
def test_a_run_by_the_rules_is_told_nothing(made: Any) -> None:
    assert notices(made) == []


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (planned(learning_rate=1e-3), "a learning rate of 0.001 is high for lora"),
        (planned(tuning="full", learning_rate=1e-4), "is high for full: up to 3e-05"),
        (planned("contrastive", learning_rate=1e-3), "is high for lora: up to 0.0005"),
        (planned(epochs=4.0), "4 passes over 200 rows"),
        (planned(max_steps=40), "6.4 passes over 200 rows"),
        (planned(batch_size=8), "8 rows a step: fewer than 32 make noisy steps; if memory is "),
        (planned(train=20), "20 rows are less than one step's 32"),
        (planned(device="cuda", precision="fp32"), "32-bit numbers on cuda"),
        (planned(dev=0), "nothing is held out for training (no dev split)"),
        (planned("contrastive", dev=1), "(too little in the dev split)"),
    ],
)
def test_a_run_that_leaves_a_rule_is_told_which_one(made: Any, said: str) -> None:
    (line,) = notices(made)
    assert said in line


def test_what_a_kind_takes_by_itself_is_no_rule_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a small machine, of generated questions: its defaults are those of the plan."""
    seen: list[Profile] = []

    def defaults(profile: Profile) -> dict[str, Value]:
        seen.append(profile)
        return {"batch_size": 8}

    made = planned("contrastive", batch_size=8)
    made.kind.defaults = defaults
    made.data = replace(
        made.data, about={"generated": ["train"], "origins": [{"generator": WITHOUT_MODEL}]}
    )
    monkeypatch.setattr(tiers, "tier_here", lambda path: "minimal")
    assert notices(made) == []
    assert [(one.tier, one.generated, one.rows) for one in seen] == [("minimal", True, 200)]


def test_the_way_to_save_memory_is_one_that_the_run_has() -> None:
    assert "--micro-batch" in notices(planned(batch_size=4))[0]
    assert "--training-length" in notices(planned("contrastive", batch_size=4))[0]


@pytest.mark.parametrize(("source", "count"), [("kind", 1), ("flag", 0)])
def test_hard_negatives_that_the_default_leaves_unused_are_told(source: str, count: int) -> None:
    made = planned("contrastive", negatives=0)
    made.data = SimpleNamespace(negatives={"q1": ("d7",)}, queries={}, qrels={}, about={})
    made.settings = {"negatives": Setting(value=0, source=source, where="here")}
    told = notices(made)
    assert len(told) == count
    assert all("--negatives 4" in line for line in told)
