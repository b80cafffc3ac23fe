"""Axolotl from an interpreter that the user names: checked, run, and its adapter brought back."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from ragd_tune.backends import Availability, Backend, train_cells
from ragd_tune.choose import Offer
from ragd_tune.errors import InterruptedRunError, NotInstalledError, UsageError, WorkerError
from ragd_tune.interchange.quantised import nf4
from ragd_tune.launch import files
from ragd_tune.objectives import Rows
from ragd_tune.plan import Event, ModelFacts, TrainPlan, TrainResult
from ragd_tune.training.facts import of_language
from ragd_tune.training.written import put

NAME = "axolotl"
VARIABLE = "RAGD_TUNE_AXOLOTL_PYTHON"
MEND = f"give the interpreter of an environment that has it: --python, or ${VARIABLE}"
ON_SEVERAL, ON_ONE = 90, 1
"""On several GPUs it comes before every backend, on one after all of them."""

ADAPTER = ("adapter_config.json", "adapter_model.safetensors")
_LOSS = re.compile(r"'loss': '?([-+.\deE]+|nan|inf)'?[,}]")

_CHECK = """
import json, sys, yaml
from importlib.metadata import version
from axolotl.utils.schemas.config import AxolotlInputConfig
config = yaml.safe_load(open(sys.argv[1], encoding="utf-8"))
wrong = [f"{key}: Axolotl has no such option" for key in config
         if key not in AxolotlInputConfig.model_fields]
try:
    AxolotlInputConfig(**config)
except Exception as error:
    wrong += [str(error)]
print(json.dumps({"wrong": wrong, "version": version("axolotl")}))
"""


def interpreter(given: Path | None = None) -> Path | None:
    """Return the interpreter that has Axolotl, as it was given or as the environment says."""
    named = os.environ.get(VARIABLE, "").strip()
    return given or (Path(named).expanduser() if named else None)


def gpus() -> int:
    """Return how many NVIDIA GPUs this process may use, without a framework."""
    seen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if seen is not None:
        return len([one for one in seen.split(",") if one.strip() not in {"", "-1"}])
    return len([path for path in Path("/dev").glob("nvidia*") if path.name[6:].isdigit()])


def offer(python: Path | None = None) -> Offer:
    """Return Axolotl as something to choose from, beside the backends."""
    found = Availability(devices=("cuda", "cpu"), priority=ON_SEVERAL if gpus() > 1 else ON_ONE)
    path = interpreter(python)
    if path is None or not path.is_file():
        why = f"{path} is no file" if path else "its interpreter is not configured"
        found = Availability(reason=why, mend=MEND)
    backend = Backend(
        name=NAME,
        title="Axolotl, from an interpreter of its own: language models on several GPUs",
        train_cells=train_cells(("causal_lm",), ("lora", "qlora"), ("cuda",)),
        serve_cells=frozenset(),
        detect=lambda: found,
        spreads=("causal_lm",),
    )
    return Offer(backend=backend, found=found)


def run(
    plan: TrainPlan, rows: Rows, observe: Callable[[Event], None], *, python: Path | None = None
) -> TrainResult:
    """Train ``plan`` in the folder of its run, and put the adapter under ``plan.out``.

    :raises UsageError: Axolotl's own schema refuses the configuration; says why.
    :raises InterruptedRunError: Ctrl-C; Axolotl keeps checkpoints by itself.
    :raises WorkerError: it ended without an adapter; says where its log is.
    """
    path = interpreter(python)
    if path is None:
        raise NotInstalledError("Axolotl's interpreter is not configured", mend=MEND)
    folder, count = plan.out.parent, max(plan.integer("processes"), gpus(), 1)
    made = files.write(plan, rows, folder, processes=count, resume=_kept(folder))
    version = check(path, made)
    started, losses = time.perf_counter(), _Losses(observe)
    observe(Event(type="load", run=folder.name, message=plan.base.name))
    _train(_command(path, made, count), folder, losses)
    _take(plan, folder / "checkpoints")
    seconds, steps = time.perf_counter() - started, len(losses.found)
    observe(Event(type="done", run=folder.name, step=steps, steps=steps, seconds=seconds))
    return TrainResult(
        format="peft",
        steps=steps,
        seconds=seconds,
        peak_bytes=0,  # other processes' memory, on other devices: it was not measured
        losses=tuple(losses.found[-1_000:]),
        facts=_facts(plan, rows),
        versions={"axolotl": version},
    )


def check(python: Path, config: Path) -> str:
    """Have Axolotl's own schema look at ``config``; return Axolotl's version.

    Its schema lets unknown keys pass, so they are compared with its fields.

    :raises NotInstalledError: the interpreter cannot be started, or has no Axolotl.
    :raises UsageError: the configuration is refused.
    """
    try:
        done = subprocess.run(
            [str(python), "-P", "-c", _CHECK, str(config)],
            capture_output=True,
            text=True,
            check=False,
        )
        told = json.loads(done.stdout.strip().rpartition("\n")[2])
    except OSError as error:
        raise NotInstalledError(f"{python}: cannot be started: {error}", mend=MEND) from error
    except ValueError as error:
        last = done.stderr.strip().rpartition("\n")[2]
        raise NotInstalledError(
            f"{python}: has no Axolotl that works: {last}", mend=MEND
        ) from error
    if told["wrong"]:
        raise UsageError(f"{config}: Axolotl refuses it: {'; '.join(told['wrong'])}")
    return str(told["version"])


def _command(python: Path, config: Path, processes: int) -> list[str]:
    launch = ["-m", "accelerate.commands.launch", "--num_processes", str(processes)]
    return [str(python), "-P", *launch, "-m", "axolotl.cli.train", str(config)]


def _kept(folder: Path) -> Path | None:
    """Return the newest checkpoint that Axolotl left there."""
    found = [
        one for one in (folder / "checkpoints").glob("checkpoint-*") if one.name[11:].isdigit()
    ]
    return max(found, key=lambda one: int(one.name[11:]), default=None)


class _Losses:
    """Reads a trainer's log line by line and makes events of it."""

    def __init__(self, observe: Callable[[Event], None]) -> None:
        self.observe = observe
        self.found: list[tuple[int, float]] = []

    def take(self, line: str) -> None:
        """Read one line."""
        told = _LOSS.search(line)
        if told:
            self.found.append((len(self.found) + 1, float(told[1])))
            step, loss = self.found[-1]
            self.observe(Event(type="step", step=step, loss=loss))


def _train(command: list[str], folder: Path, losses: _Losses) -> None:
    environ = os.environ | {"PYTHONSAFEPATH": "1", "AXOLOTL_DO_NOT_TRACK": "1"}
    with (
        (folder / "worker.log").open("a", encoding="utf-8") as log,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environ
        ) as process,
    ):
        assert process.stdout is not None
        try:
            for line in process.stdout:
                log.write(line)
                losses.take(line)
        except KeyboardInterrupt as error:
            process.terminate()
            raise InterruptedRunError(f"stopped at step {len(losses.found)}") from error
    if process.returncode:
        raise WorkerError(
            f"Axolotl ended with code {process.returncode} at step {len(losses.found)}",
            mend=f"see {folder / 'worker.log'}",
        )


def _take(plan: TrainPlan, made: Path) -> None:
    """Bring the adapter back: its two files, without the places of this machine."""
    missing = [name for name in ADAPTER if not (made / name).is_file()]
    if missing:
        raise WorkerError(f"Axolotl left no adapter: {made / missing[0]} is missing")

    def save(out: Path) -> None:
        shutil.copyfile(made / ADAPTER[1], out / ADAPTER[1])
        config = {**files.read(made / ADAPTER[0]), "base_model_name_or_path": ""}
        text = json.dumps(config, indent=2, sort_keys=True, ensure_ascii=False)
        (out / ADAPTER[0]).write_text(text + "\n", encoding="utf-8")

    put(plan.out, save)


def _facts(plan: TrainPlan, rows: Rows) -> ModelFacts:
    """Return what the model is, in the words that the backends have for it."""
    known = files.read(plan.base.path / "config.json").get("max_position_embeddings")
    return of_language(
        plan,
        rows,
        max_length=known if isinstance(known, int) else plan.integer("max_length"),
        chat=files.writes_chat(plan),
        bits=nf4(plan.tuning, "bfloat16"),
    )
