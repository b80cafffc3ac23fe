"""RAFT against plain fine-tuning, on a small reader from scratch: distractors at test time decide.

    OMP_NUM_THREADS=1 python -m benchmarks.reader OUT [--seeds 0 1 2]

For each seed, a model of some two hundred thousand weights reads text that repeats itself until it
looks things up and copies an answer from a passage. From it ``ragd-tune`` trains twice, by the
pipeline of ``ragd-tune train raft``, on the same questions, for as many steps, with the same
options: once with the oracle among distractors (RAFT), once with the oracle alone (plain). Then the
kind's own proof has both answer new questions about other people, with distractors: plain is the
incumbent.
``OUT/seed0/comparison.json`` has every figure with its interval, ``OUT/seeds.json`` all seeds'.

Recipe and sizes were chosen on seed 100, and what is enough of looking up by the course of seeds 0
and 100. No test question decides anything: pre-training ends by what is looked up right in new
stories, and tuning after a number of steps.

Abstaining is taught where the oracle is absent, and not learned in so few steps: that a name stands
nowhere among the documents is one word in ten of a fifth of the answers, and its loss stays at what
guessing costs.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.reader.data import Size, data_set
from benchmarks.reader.pretrain import Recipe, pretrain
from benchmarks.reader.world import TEMPLATE

from ragd_tune.data import read
from ragd_tune.kinds import Served, Trial
from ragd_tune.pipeline.planning import Request, plan
from ragd_tune.pipeline.training import Trained, train
from ragd_tune.pipeline.workshop import Workshop, workshop
from ragd_tune.serve import open_model
from ragd_tune.serve.load import facts_of

if TYPE_CHECKING:
    from ragd_tune.evaluate import Report

PLAIN: Mapping[str, object] = {"distractors": 0, "oracle_share": 1.0}
RAFT: Mapping[str, object] = {
    "distractors": 3,
    "oracle_share": 0.8,
    "without_oracle": "abstain",
}


def tune(shop: Workshop, out: Path, size: Size, name: str, given: Mapping[str, object]) -> Trained:
    """Train as ``ragd-tune train raft --backend cpu --tuning full`` does."""
    asked: dict[str, object] = {
        "base": str(out / "base"),
        "backend": "cpu",
        "device": "cpu",
        "tuning": "full",
        "chat_template": "no",
        "prompt_template": str(out / "template.txt"),
        "max_length": 128,
        "max_steps": size.steps,
        "learning_rate": size.rate,
        "batch_size": size.batch,
        "micro_batch": size.batch,
        "warmup": 0.1,
        "schedule": "linear",
        **given,
    }
    request = Request(kind="raft", data=out / "data", given=asked, offline=True)
    return train(shop, plan(shop, request), name=name, fresh=True)


def judge(shop: Workshop, out: Path, size: Size, plain: Trained, raft: Trained) -> Report:
    """Return the kind's own proof, with the plain model in the place of the incumbent."""
    kind = shop.registry.kind("raft")
    judging = {one.name: one.default for one in kind.options if one.group == "proof"}
    judging |= {
        "judged_distractors": size.judged,
        "answer_tokens": 16,
        "judged_template": str(out / "template.txt"),
    }
    return kind.prove(
        Trial(
            data=read(out / "data"),
            split="test",
            open_incumbent=_opener(shop, plain),
            open_candidate=_opener(shop, raft),
            options=judging,
        )
    )


def _opener(shop: Workshop, made: Trained) -> Callable[[], Served]:
    def opened() -> Served:
        return open_model(
            shop.registry,
            objective="causal_lm",
            format="full",
            base=made.plan.base,
            adapter=made.path,
            facts=facts_of(made.manifest),
            backend="cpu",
            device="cpu",
        )

    return opened


def compare(
    out: Path, recipe: Recipe, size: Size, *, tell: Callable[[Any], object] = print
) -> dict[str, Any]:
    """Do all of it and return what is written to ``comparison.json``."""
    out.mkdir(parents=True)
    (out / "template.txt").write_text(TEMPLATE, encoding="utf-8")
    shop = workshop(home=out / "home")
    marks, before = [time.perf_counter()], spent()
    base = pretrain(out / "base", recipe, tell=tell)
    marks.append(time.perf_counter())
    data_set(out / "data", size, seed=recipe.seed)
    shared = {"seed": recipe.seed}
    plain = tune(shop, out, size, "plain", {**PLAIN, **shared})
    raft = tune(shop, out, size, "raft", {**RAFT, **shared})
    marks.append(time.perf_counter())
    report = judge(shop, out, size, plain, raft)
    marks.append(time.perf_counter())
    seconds = [round(two - one, 1) for one, two in pairwise(marks)]
    made = {
        "recipe": asdict(recipe),
        "size": asdict(size),
        "base": base,
        "seconds": dict(zip(("pretrain", "tune", "judge"), seconds, strict=True)),
        "cpu_seconds": round(spent() - before, 1),
        "steps": [plain.result.steps, raft.result.steps],
        "passed": report.passed,
        "figures": figures(report),
    }
    (out / "comparison.json").write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
    return made


def spent() -> float:
    """Return the CPU seconds of this process and of those that it waited for."""
    now = os.times()
    return now.user + now.system + now.children_user + now.children_system


def figures(report: Report) -> dict[str, dict[str, float]]:
    """Return plain, RAFT, their difference and its 95% interval, by metric."""
    return {
        cell.metric: {
            "plain": cell.before,
            "raft": cell.after,
            "difference": cell.difference.mean,
            "low": cell.difference.low,
            "high": cell.difference.high,
        }
        for cell in report.cells
        if cell.part == "all"
    }
