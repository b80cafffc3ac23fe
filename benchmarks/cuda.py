"""Ours against plain sentence-transformers and TRL on a CUDA GPU: seconds, samples/s, peak memory.

One command, no network: the models have random weights, the texts random words, neither of which
speed depends on. Each leg is a process of its own; one that fails is reported with its error, and
the others go on. Legs that no time is left for are reported too.

    python benchmarks/cuda.py --out cuda.json --minutes 4
    python benchmarks/cuda.py --profile --models minilm --legs plain-lora cpu-lora   # why
    python benchmarks/cuda.py --tiny     # a rehearsal in miniature, on any machine

Needs torch, sentence-transformers ≥ 6.2, transformers, peft, datasets; TRL and Unsloth for their
legs. The checkout is used as it is: nothing of ours has to be installed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
MODELS = ("minilm", "bge-small", "llm")
ENCODER_LEGS = ("plain-lora", "cpu-lora", "unsloth-lora")
LEGS = {
    "minilm": (*ENCODER_LEGS, "plain-full", "cpu-full"),
    "bge-small": ENCODER_LEGS,
    "llm": ("plain-lora", "cpu-lora", "unsloth-lora", "unsloth-qlora"),
}
"""What is run on which model, as WHO-TUNING; the first of each are the ones to compare."""

SETTINGS = ("UNSLOTH_COMPILE_DISABLE", "CUBLAS_WORKSPACE_CONFIG", "OMP_NUM_THREADS")
"""Variables that a report tells. The first keeps Unsloth from compiling kernels of its own."""


def sources(work: Path) -> str:
    """Return the PYTHONPATH that finds this checkout's packages, and what was there before."""
    root = HERE.parent
    for plugin in ("cpu", "unsloth"):  # a result names versions, which installed packages have
        place = work / "installed" / f"ragd_tune_{plugin}-0.dist-info"
        place.mkdir(parents=True, exist_ok=True)
        text = f"Metadata-Version: 2.1\nName: ragd-tune-{plugin}\nVersion: 0\n"
        (place / "METADATA").write_text(text, encoding="utf-8")
    ours = [root, root / "src", *sorted(root.glob("plugins/*/src")), work / "installed"]
    return os.pathsep.join([*map(str, ours), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)


def run(arguments: list[str], work: Path, seconds: float) -> dict[str, object]:
    """Run ``cuda_leg.py`` in a process of its own and return what it found, or how it failed."""
    environ = os.environ | {
        "PYTHONPATH": sources(work),
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "UNSLOTH_DISABLE_STATISTICS": "1",
        "WANDB_DISABLED": "true",
    }
    started = time.perf_counter()
    with tempfile.TemporaryFile("w+") as log:
        try:
            done = subprocess.run(
                [sys.executable, str(HERE / "cuda_leg.py"), *arguments, "--work", str(work)],
                env=environ,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                timeout=max(5.0, seconds),
                check=False,
            )
        except subprocess.TimeoutExpired:
            return {"error": f"took more than {seconds:.0f} s", "log": _tail(log)}
        wall = round(time.perf_counter() - started, 2)
        last = done.stdout.strip().rpartition("\n")[2]
        try:
            found = json.loads(last)
        except ValueError:
            return {
                "error": f"ended with code {done.returncode}",
                "log": _tail(log),
                "wall_s": wall,
            }
    assert isinstance(found, dict)
    return {**found, "wall_s": wall}


def _tail(log: object) -> str:
    log.seek(0)  # type: ignore[attr-defined]
    return str(log.read()[-1500:])  # type: ignore[attr-defined]


def settings() -> dict[str, str | None]:
    """Return the variables of the environment that change how fast a leg is; None where not set."""
    return {name: os.environ.get(name) for name in SETTINGS}


def compare(legs: dict[str, dict[str, object]]) -> dict[str, float]:
    """Return each leg's samples/s as a multiple of the plain one's with the same tuning."""
    made = {}
    for name, leg in legs.items():
        plain = legs.get(f"plain-{name.rpartition('-')[2].removeprefix('q')}", {})
        mine, theirs = leg.get("samples_per_second"), plain.get("samples_per_second")
        if isinstance(mine, (int, float)) and isinstance(theirs, (int, float)) and theirs:
            made[name] = round(mine / theirs, 3)
    return made


def main() -> int:
    """Run all legs within the time, write the JSON, and print one line a leg."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("cuda.json"))
    parser.add_argument("--minutes", type=float, default=4.0)
    parser.add_argument(
        "--seconds-per-leg", type=float, default=180.0, help="Unsloth compiles kernels meanwhile"
    )
    parser.add_argument(
        "--profile",
        action="store_true",
        help="also list what two of the steps spend their time on; such runs are no comparison",
    )
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    parser.add_argument("--legs", nargs="+", help="only these, as unsloth-lora")
    parser.add_argument("--tiny", action="store_true", help="in miniature, on any device")
    asked = parser.parse_args()
    end = time.monotonic() + asked.minutes * 60
    tiny = ["--tiny"] if asked.tiny else []
    more = [*tiny, *(["--profile"] if asked.profile else [])]
    report: dict[str, object] = {"command": sys.argv, "environment": settings()}
    models: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as place:
        work = Path(place)
        report["machine"] = run(["prepare", *asked.models, *tiny], work, 90)
        print(json.dumps(report["machine"]), flush=True)
        for model in asked.models:
            legs: dict[str, dict[str, object]] = {}
            for leg in asked.legs or LEGS[model]:
                left = end - time.monotonic()
                if left < 10:
                    legs[leg] = {"error": "not run: no time was left"}
                else:
                    legs[leg] = run(
                        ["leg", model, leg, *more], work, min(left, asked.seconds_per_leg)
                    )
                print(model, leg, json.dumps(legs[leg])[:300], flush=True)
            models[model] = {"legs": legs, "times_plain": compare(legs)}
            report["models"] = models
            asked.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
