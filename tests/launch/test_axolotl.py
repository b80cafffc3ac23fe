"""Axolotl by a stand-in for its interpreter, and by itself where that is named."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from ragd_tune.backends import Limits, LoadRequest
from ragd_tune.choose import choose_trainer
from ragd_tune.errors import NoBackendError, NotInstalledError, UsageError, WorkerError
from ragd_tune.interchange import peft
from ragd_tune.launch import axolotl, files
from ragd_tune.objectives import Rows
from ragd_tune.options import CAUSAL_LM, LORA, RUN, Value
from ragd_tune.plan import BaseModel, Event, TrainPlan
from ragd_tune.registry import discover
from ragd_tune.testing.tiny_lm import tiny_lm

ROWS = Rows(
    objective="causal_lm",
    train=[
        {"prompt": "Who rang?", "completion": "The bell.", "system": "Be short."},
        {"prompt": "What for?", "completion": "Supper."},
    ],
)

MakePlan = Callable[..., TrainPlan]

# Plain Windows starts no file by its first line; there the launching is not tested.
pytestmark = pytest.mark.skipif(os.name == "nt", reason="a script stands in for an interpreter")

STAND_IN = """#!{python}
import json, os, sys, yaml
if "-c" in sys.argv:  # the check of its schema
    print(json.dumps({{"wrong": {wrong!r}, "version": "0.0"}}))
    sys.exit()
config = yaml.safe_load(open(sys.argv[-1], encoding="utf-8"))
assert sys.argv[1:4] == ["-P", "-m", "accelerate.commands.launch"], sys.argv
print("{{'loss': '2.5', 'grad_norm': '1.0', 'epoch': '0.5'}}")
print("{{'loss': 1.25, 'epoch': 1.0}}")
out = config["output_dir"]
os.makedirs(out, exist_ok=True)
if {leaves!r}:
    told = {{"peft_type": "LORA", "base_model_name_or_path": config["base_model"]}}
    json.dump(told, open(os.path.join(out, "adapter_config.json"), "w"))
    open(os.path.join(out, "adapter_model.safetensors"), "wb").write(b"weights")
sys.exit({code})
"""


@pytest.fixture
def make_plan(tmp_path: Path) -> MakePlan:
    base = tmp_path / "base"
    base.mkdir()
    told = {"eos_token": {"content": "</s>"}, "bos_token": "<s>", "add_bos_token": True}
    (base / "tokenizer_config.json").write_text(json.dumps(told), encoding="utf-8")
    (base / "config.json").write_text('{"max_position_embeddings": 4096}', encoding="utf-8")

    def make(*, chat: bool = False, tuning: str = "lora", **options: Value) -> TrainPlan:
        if chat:
            (base / "chat_template.jinja").write_text("{{ messages }}", encoding="utf-8")
        values = {option.name: option.default for option in (*RUN, *LORA, *CAUSAL_LM)}
        run = tmp_path / "run"
        run.mkdir(exist_ok=True)
        return TrainPlan(
            kind="raft",
            objective="causal_lm",
            tuning=tuning,
            side="both",
            backend="axolotl",
            device="cuda",
            base=BaseModel(name="tiny", path=base, fingerprint="f" * 64),
            data_fingerprint="d",
            rows_fingerprint=ROWS.fingerprint,
            out=run / "out",
            options={**values, **options},
        )

    return make


def stand_in(
    folder: Path, *, wrong: tuple[str, ...] = (), code: int = 0, leaves: bool = True
) -> Path:
    path = folder / "python"
    text = STAND_IN.format(python=sys.executable, wrong=list(wrong), code=code, leaves=leaves)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
    return path


def test_prompts_go_as_messages_where_the_base_has_a_chat_template(make_plan: MakePlan) -> None:
    plan = make_plan(chat=True)
    path = files.write(plan, ROWS, plan.out.parent, processes=1)
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    (data,) = config["datasets"]
    assert data["type"] == "chat_template"
    assert config["chat_template"] == "tokenizer_default"
    first, second = (json.loads(line) for line in Path(data["path"]).read_text().splitlines())
    assert [turn["role"] for turn in first["messages"]] == ["system", "user", "assistant"]
    assert [turn["role"] for turn in second["messages"]] == ["user", "assistant"]


def test_prompts_go_as_they_are_where_it_has_none_and_only_answers_are_learned(
    make_plan: MakePlan,
) -> None:
    plan = make_plan()
    files.write(plan, ROWS, plan.out.parent, processes=1)
    lines = (plan.out.parent / files.DATA).read_text(encoding="utf-8").splitlines()
    assert json.loads(lines[0])["segments"] == [
        {"label": False, "text": "<s>Be short.\n\nWho rang?"},
        {"label": True, "text": "The bell.</s>"},
    ]


def test_a_plan_s_options_reach_the_configuration(make_plan: MakePlan) -> None:
    plan = make_plan(
        tuning="qlora", batch_size=32, micro_batch=4, lora_rank=8, max_length=1024, max_steps=7
    )
    made = files.config(plan, plan.out.parent, processes=4)
    assert made["adapter"] == "qlora"
    assert made["load_in_4bit"] is True
    assert (made["micro_batch_size"], made["gradient_accumulation_steps"]) == (4, 2)
    assert (made["lora_r"], made["sequence_len"], made["max_steps"]) == (8, 1024, 7)
    assert made["lora_target_linear"] is True
    assert made["trust_remote_code"] is False


@pytest.mark.parametrize(
    ("options", "processes", "said"),
    [
        ({"minutes": 5.0}, 1, "bounded by time"),
        ({"batch_size": 10}, 4, "cannot be shared by 4"),
        ({"chat_template": "yes"}, 1, "no chat template"),
    ],
)
def test_what_axolotl_cannot_do_is_refused(
    make_plan: MakePlan, options: dict[str, Value], processes: int, said: str
) -> None:
    plan = make_plan(**options)
    with pytest.raises(UsageError, match=said):
        files.write(plan, ROWS, plan.out.parent, processes=processes)


def test_a_run_ends_with_the_adapter_and_names_no_place(
    make_plan: MakePlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(axolotl, "gpus", lambda: 2)
    plan, events = make_plan(), list[Event]()
    result = axolotl.run(plan, ROWS, events.append, python=stand_in(tmp_path))
    assert result.losses == ((1, 2.5), (2, 1.25))
    assert result.versions == {"axolotl": "0.0"}
    assert result.facts is not None
    assert result.facts.max_length == 4096
    assert [event.type for event in events] == ["load", "step", "step", "done"]
    assert (plan.out / "adapter_model.safetensors").read_bytes() == b"weights"
    config = (plan.out / "adapter_config.json").read_text(encoding="utf-8")
    assert str(tmp_path) not in config
    assert "{'loss': 1.25" in (plan.out.parent / "worker.log").read_text(encoding="utf-8")


def test_what_its_schema_refuses_is_not_trained(make_plan: MakePlan, tmp_path: Path) -> None:
    python = stand_in(tmp_path, wrong=("lora_s: Axolotl has no such option",))
    with pytest.raises(UsageError, match="lora_s: Axolotl has no such option"):
        axolotl.run(make_plan(), ROWS, lambda event: None, python=python)


@pytest.mark.parametrize(
    ("code", "leaves", "said"), [(3, True, "code 3"), (0, False, "no adapter")]
)
def test_a_run_without_an_adapter_is_an_error(
    make_plan: MakePlan, tmp_path: Path, code: int, leaves: bool, said: str
) -> None:
    python = stand_in(tmp_path, code=code, leaves=leaves)
    plan = make_plan()
    with pytest.raises(WorkerError, match=said):
        axolotl.run(plan, ROWS, lambda event: None, python=python)
    assert not plan.out.exists()


def test_an_interpreter_without_axolotl_is_told(make_plan: MakePlan) -> None:
    plan = make_plan()
    path = files.write(plan, ROWS, plan.out.parent, processes=1)
    with pytest.raises(NotInstalledError, match="has no Axolotl"):
        axolotl.check(Path(sys.executable), path)


def test_a_checkpoint_of_its_own_is_gone_on_from(make_plan: MakePlan) -> None:
    plan = make_plan()
    for step in (9, 10):
        (plan.out.parent / "checkpoints" / f"checkpoint-{step}").mkdir(parents=True)
    kept = axolotl._kept(plan.out.parent)
    path = files.write(plan, ROWS, plan.out.parent, processes=1, resume=kept)
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert config["resume_from_checkpoint"].endswith("checkpoint-10")


def test_it_comes_first_on_several_gpus_where_it_is_configured_and_last_on_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ragd_tune.backends import Availability, Backend, train_cells
    from ragd_tune.choose import Offer

    found = Availability(devices=("cuda",), priority=70)
    cells = train_cells(("causal_lm",), ("lora",), ("cuda",))
    backend = Backend(
        name="other",
        title="",
        train_cells=cells,
        serve_cells=frozenset(),
        detect=lambda: found,
    )

    def chosen(python: Path | None) -> str:
        offers = [Offer(backend=backend, found=found), axolotl.offer(python)]
        return choose_trainer(offers, objective="causal_lm", tuning="lora").backend.name

    monkeypatch.delenv(axolotl.VARIABLE, raising=False)
    monkeypatch.setattr(axolotl, "gpus", lambda: 8)
    assert chosen(None) == "other"
    assert chosen(stand_in(tmp_path)) == "axolotl"
    monkeypatch.setenv(axolotl.VARIABLE, str(tmp_path / "python"))
    assert chosen(None) == "axolotl"
    monkeypatch.setattr(axolotl, "gpus", lambda: 1)
    assert chosen(None) == "other"
    monkeypatch.delenv(axolotl.VARIABLE)
    with pytest.raises(NoBackendError) as refused:
        choose_trainer([axolotl.offer()], objective="causal_lm", tuning="lora")
    assert refused.value.refused == {"axolotl": "its interpreter is not configured"}
    assert "--python" in refused.value.mend


def test_gpus_are_counted_as_they_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    for shown, count in (("0,1,5", 3), ("", 0), ("-1", 0)):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", shown)
        assert axolotl.gpus() == count


@pytest.mark.skipif(axolotl.VARIABLE not in os.environ, reason=f"${axolotl.VARIABLE} names none")
@pytest.mark.parametrize("chat", [False, True])
@pytest.mark.parametrize("tuning", ["lora", "qlora"])
def test_axolotl_s_own_schema_takes_what_is_written_and_refuses_a_key_more(
    make_plan: MakePlan, chat: bool, tuning: str
) -> None:
    python = axolotl.interpreter()
    assert python is not None
    plan = make_plan(chat=chat, tuning=tuning, precision="fp32")
    path = files.write(plan, ROWS, plan.out.parent, processes=1)
    axolotl.check(python, path)
    path.write_text(path.read_text(encoding="utf-8") + "lora_s: 1\n", encoding="utf-8")
    with pytest.raises(UsageError, match="lora_s: Axolotl has no such option"):
        axolotl.check(python, path)


@pytest.mark.proof
@pytest.mark.skipif(axolotl.VARIABLE not in os.environ, reason=f"${axolotl.VARIABLE} names none")
def test_axolotl_itself_trains_an_adapter_that_our_backend_loads(
    make_plan: MakePlan, tmp_path: Path
) -> None:
    python = axolotl.interpreter()
    assert python is not None
    probe = [str(python), "-P", "-c", "import axolotl.train"]
    if subprocess.run(probe, capture_output=True, check=False).returncode:
        pytest.skip(f"{python} has Axolotl's schema, and not all that it trains with")
    made = make_plan(max_steps=4, batch_size=2, max_length=64, precision="fp32", epochs=8.0)
    base = BaseModel(name="tiny", path=tiny_lm(tmp_path), fingerprint="f" * 64)
    plan, events = replace(made, base=base, device="cpu"), list[Event]()
    result = axolotl.run(plan, ROWS, events.append, python=python)
    assert result.steps == 4
    assert all(0 < loss < 20 for _, loss in result.losses)
    adapter = peft.read(plan.out)
    assert any(np.abs(part.b).max() > 0 for part in adapter.parts.values()), "nothing was learned"
    request = LoadRequest(
        objective="causal_lm",
        format="peft",
        base=base,
        device="cpu",
        adapter=plan.out,
        facts=result.facts,
    )
    model = discover().call("cpu", "ragd_tune_load_adapter", request=request)
    limits = Limits(max_tokens=4)
    hook = "ragd_tune_generate"
    (said,) = discover().call("cpu", hook, model=model, prompts=["Who rang?"], limits=limits)
    assert isinstance(said, str)
