"""Quality against time: our training with a budget, beside the recipe that is copied most.

    python benchmarks/time_curve.py run DATA --out curve.json
    python benchmarks/time_curve.py draw curve.json --out curve.svg

For each time (1, 2, 5, 10 and 30 minutes) ours is one whole training with ``--budget``, in a store
of its own, so that negatives are mined each time: its seconds are those from the start of planning
to the adapter in the store. The copied recipe is one training by sentence-transformers' own
trainer (``benchmarks/copied_recipe.py``), whose weights are scored at each time; its clock stands
still meanwhile, and does not count loading. Where its three epochs end sooner, so does its curve.
``copied --pace S`` counts S seconds for each step instead, which ``copied_recipe.py --max-steps 8``
measures: so a machine that does other work meanwhile gives the same points.

Both are scored by nDCG@10 over the whole corpus, on dev unless ``--split`` says test. Each training
is a process of its own; they take turns. ``run`` with all times takes about 80 minutes and more.
Needs ``ragd-tune[cpu]``.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import benchmarks.tables  # noqa: F401 - puts the sources on the path, where nothing is installed
from benchmarks import copied_recipe

from ragd_tune.data import read
from ragd_tune.models import resolve
from ragd_tune.options import RUN
from ragd_tune.report import drawing, style
from ragd_tune.report.drawing import WIDTH
from ragd_tune.report.markup import Markup, el, join
from ragd_tune.report.scale import Scale, label

TIMES = "1m,2m,5m,10m,30m"
BUDGET = next(one for one in RUN if one.name == "budget")


def seconds_of(times: str) -> list[float]:
    """Return times such as ``1m,90s`` as seconds."""
    return [float(str(BUDGET.parse(one, where="--times"))) for one in times.split(",")]


# -- ours ----------------------------------------------------------------------------------------


def ours(asked: argparse.Namespace) -> dict[str, Any]:
    """Train with one budget, and score the adapter and the base."""
    from ragd_tune.pipeline import Request, plan, prove, train, workshop

    with tempfile.TemporaryDirectory() as home:
        shop = workshop(home=Path(home))
        given = {"budget": asked.budget, "base": asked.base, "seed": asked.seed}
        given |= {"device": asked.device, "tuning": asked.tuning}  # None is the default
        begun = time.perf_counter()
        request = Request(kind="bi-encoder", data=asked.data, given=given, offline=True)
        planned = plan(shop, request)
        made = train(shop, planned)
        seconds = time.perf_counter() - begun
        report = prove(shop, made.id, planned.data, split=asked.split, base=planned.plan.base)
    gate, weighing = report.report.gate, planned.weighing
    return {
        "seconds": round(seconds, 1),
        "score": gate.after,
        "base": gate.before,
        "steps": made.result.steps,
        "peak_rss": made.result.peak_bytes,
        "recipe": weighing.reason if weighing else "",
    }


# -- the copied recipe ---------------------------------------------------------------------------


def copied(asked: argparse.Namespace) -> list[dict[str, Any]]:
    """Train once, and score the weights at each time; the last ones where it ends sooner."""
    from sentence_transformers import SentenceTransformer
    from transformers import TrainerCallback

    data = read(asked.data)
    model = SentenceTransformer(str(resolve(asked.base, offline=True).path), device=asked.device)
    left = seconds_of(asked.times)
    points: list[dict[str, Any]] = []

    class Marks(TrainerCallback):
        """Scores at each time, and ends the training after the last one."""

        paused = 0.0
        begun = 0.0

        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.begun = time.perf_counter()

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            done = state.global_step * asked.pace if asked.pace else self.clock()
            while left and done >= left[0]:
                left.pop(0)
                self.note(done, state.global_step)
            control.should_training_stop = not left

        def clock(self) -> float:
            return time.perf_counter() - self.begun - self.paused

        def note(self, seconds: float, step: int) -> None:
            stopped = time.perf_counter()
            was = model.training
            scores = copied_recipe.scored(model.eval(), data, asked.split)
            model.train(was)
            score = sum(scores.values()) / len(scores)
            points.append({"seconds": round(seconds, 1), "score": score, "steps": step})
            self.paused += time.perf_counter() - stopped

    marks = Marks()
    told = copied_recipe.train(model, copied_recipe.pairs(data), asked, callbacks=[marks])
    if left:
        pace = asked.pace and asked.pace * told["steps"]
        marks.note(pace or told["seconds"] - marks.paused, told["steps"])
    return points


# -- a run ---------------------------------------------------------------------------------------


def run(asked: argparse.Namespace) -> dict[str, Any]:
    """Let both take turns, each in a process of its own, and write every point at once."""
    told: dict[str, Any] = {
        "data": asked.data.name, "split": asked.split, "seed": asked.seed, "base": asked.base,
        "device": asked.device, "cores": os.cpu_count(), "ours": [], "copied": [],
    }  # fmt: skip
    for budget in asked.times.split(","):
        told["ours"].append({"budget": budget, **_child("ours", asked, "--budget", budget)})
        _write(asked.out, told)
    told["copied"] = _child("copied", asked, "--times", asked.times)["points"]
    _write(asked.out, told)
    return told


def _child(verb: str, asked: argparse.Namespace, *more: str) -> dict[str, Any]:
    command = [sys.executable, __file__, verb, str(asked.data), "--split", asked.split]
    command += ["--seed", str(asked.seed), "--base", asked.base, "--device", asked.device]
    command += [*(["--tuning", asked.tuning] if asked.tuning else []), *more]
    command += ["--pace", str(asked.pace)] if asked.pace else []
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    assert isinstance(found, dict)
    return found


def _write(path: Path, told: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


# -- the drawing ---------------------------------------------------------------------------------

LEFT, TOP, BOTTOM = 52.0, 36.0, 236.0


def draw(told: Mapping[str, Any]) -> str:
    """Return both curves as one SVG file; minutes on a logarithmic scale."""
    lines = [(one, [(p["seconds"], p["score"]) for p in told[one]]) for one in ("ours", "copied")]
    base = next((point["base"] for point in told["ours"]), None)
    scores = [score for _, points in lines for _, score in points]
    times = [seconds for _, points in lines for seconds, _ in points]
    across = Scale.over([math.log(one) for one in times], LEFT, WIDTH - 12)
    upward = Scale.over([*scores, *([] if base is None else [base])], BOTTOM, TOP)
    title = f"nDCG@10 on {told['split']} of {told['data']} against minutes of training"
    parts = [drawing.upward(upward, LEFT, WIDTH - 12), _minutes(across, times)]
    if base is not None:
        parts.append(drawing.rule(LEFT, upward(base), WIDTH - 12, upward(base), "limit"))
    for (_, points), look in zip(lines, ("after", "before"), strict=True):
        places = [(across(math.log(seconds)), upward(score)) for seconds, score in points]
        parts.append(drawing.path(places, f"line {look}"))
        parts += [drawing.dot(x, y, f"dot {look}") for x, y in places]
    named = [("with a budget", "line after"), ("the copied recipe", "line before")]
    named += [] if base is None else [("the base", "limit")]
    parts.append(drawing.legend(named, x=4, y=18))
    described = "; ".join(
        f"{one}: "
        + ", ".join(f"{score:.4f} in {seconds / 60:.1f} min" for seconds, score in points)
        for one, points in lines
    )
    chart = drawing.chart("curve", BOTTOM + 34, title, described, *parts)
    return _file(chart, BOTTOM + 34)


def _minutes(scale: Scale, times: Sequence[float]) -> Markup:
    """Return the axis: round minutes that lie within the curves, and its name."""
    low, high = min(times) * 0.9, max(times) * 1.1
    marks = [m for m in (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60) if low <= 60 * m <= high]
    parts = []
    for minutes in marks:
        x = scale(math.log(60 * minutes))
        parts.append(drawing.rule(x, TOP, x, BOTTOM))
        parts.append(drawing.write(x, BOTTOM + 16, label(minutes), anchor="middle", style="tick"))
    parts.append(drawing.write(WIDTH - 12, BOTTOM + 30, "minutes", anchor="end", style="tick"))
    return join(*parts)


def _file(chart: Markup, height: float) -> str:
    colours = "".join(f"--{name}: {colour}; " for name, colour in style.LIGHT.items())
    dark = "".join(f"--{name}: {colour}; " for name, colour in style.DARK.items())
    sheet = f":root {{ {colours}}} @media (prefers-color-scheme: dark) {{ :root {{ {dark}}} }}"
    return str(
        el(
            "svg",
            el("style", Markup(f"{sheet} .ground {{ fill: var(--paper); }}{style.CHARTS}")),
            el("rect", x=0, y=0, width=WIDTH, height=height, class_="ground"),
            chart,
            xmlns="http://www.w3.org/2000/svg",
            viewBox=f"0 0 {WIDTH:g} {height:g}",
        )
    )


def main() -> None:
    """Run both, one of them, or draw what was run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb in ("run", "ours", "copied"):
        one = verbs.add_parser(verb)
        one.add_argument("data", type=Path)
        one.add_argument("--split", default="dev", choices=["dev", "test"])
        one.add_argument("--seed", type=int, default=0)
        one.add_argument("--base", default="all-MiniLM-L6-v2")
        one.add_argument("--device", default="cpu")
        one.add_argument("--tuning", choices=["full", "lora"], help="of ours")
        one.add_argument("--times", default=TIMES)
        one.add_argument("--budget", default="1m")
        one.add_argument("--pace", type=float, help="seconds of a copied step, not to measure it")
        one.add_argument("--out", type=Path, default=Path("curve.json"))
        one.set_defaults(max_steps=None, bf16=False)
    drawn = verbs.add_parser("draw")
    drawn.add_argument("curve", type=Path)
    drawn.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    if asked.verb == "draw":
        told = json.loads(asked.curve.read_text(encoding="utf-8"))
        asked.out.write_text(draw(told) + "\n", encoding="utf-8")
        return
    works: Mapping[str, Callable[[argparse.Namespace], dict[str, Any]]]
    works = {"run": run, "ours": ours, "copied": lambda one: {"points": copied(one)}}
    print(json.dumps(works[asked.verb](asked)))


if __name__ == "__main__":
    main()
