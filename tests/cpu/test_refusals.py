from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ragd_tune.backends import LoadRequest
from ragd_tune.errors import (
    DataError,
    DoesNotFitError,
    NotInstalledError,
    TrainingDivergedError,
    TuneError,
    UsageError,
)
from ragd_tune.objectives import Rows


def change(path: Path, **values: object) -> None:
    raw = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**raw, **values}), encoding="utf-8")


def test_an_architecture_that_only_remote_code_knows_is_refused_with_the_reason(lab: Any) -> None:
    base = lab.base()
    auto_map = {"AutoModel": "modeling_new.NewModel"}
    change(base / "config.json", model_type="brand_new", auto_map=auto_map)
    (base / "modeling_new.py").write_text("raise SystemExit('code of the base was run')")
    with pytest.raises(UsageError, match=r"code of its own: config\.json maps brand_new"):
        lab.train(lab.plan(base))


def test_an_architecture_that_transformers_carries_runs_its_own_class_and_not_the_bases(
    lab: Any,
) -> None:
    base = lab.base("nomic_bert")
    change(base / "config.json", auto_map={"AutoModel": "modeling_evil.Evil"})
    (base / "modeling_evil.py").write_text("raise SystemExit('code of the base was run')")
    assert lab.train(lab.plan(base)).steps == 6


def test_a_module_of_the_bases_own_is_refused(lab: Any) -> None:
    base = lab.base()
    modules = json.loads((base / "modules.json").read_text(encoding="utf-8"))
    modules[1]["type"] = "custom_pooling.Pooling"
    (base / "modules.json").write_text(json.dumps(modules), encoding="utf-8")
    with pytest.raises(UsageError, match=r"modules\.json names the module custom_pooling"):
        lab.train(lab.plan(base))


def test_pickled_weights_are_refused(lab: Any) -> None:
    base = lab.base()
    (base / "model.safetensors").rename(base / "pytorch_model.bin")
    with pytest.raises(UsageError, match="only as a pickle"):
        lab.load(lab.plan(base))


def test_a_folder_without_a_model_is_named(lab: Any, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotInstalledError, match="holds no model"):
        lab.load(lab.plan(tmp_path / "empty"))


def test_a_configuration_that_is_not_json_is_named(lab: Any) -> None:
    base = lab.base()
    (base / "config.json").write_text("{", encoding="utf-8")
    with pytest.raises(TuneError, match=r"config\.json: is not JSON"):
        lab.load(lab.plan(base))


def test_weights_that_are_cut_off_are_named(lab: Any) -> None:
    base = lab.base()
    whole = (base / "model.safetensors").read_bytes()
    (base / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(TuneError, match="cannot be loaded"):
        lab.load(lab.plan(base))


def test_a_lora_target_that_is_not_there_names_those_that_are(lab: Any) -> None:
    with pytest.raises(UsageError, match="no linear layer is called q_proj") as refused:
        lab.train(lab.plan(lab.base(), lora_targets=("q_proj",)))
    assert "query" in refused.value.mend


def test_a_matryoshka_dimension_larger_than_the_vectors_is_refused(lab: Any) -> None:
    with pytest.raises(UsageError, match="64 is more than the 32"):
        lab.train(lab.plan(lab.base(), matryoshka_dims=(64,)))


def test_weights_that_the_last_step_left_without_numbers_are_not_saved(lab: Any) -> None:
    plan = lab.plan(lab.base(), tuning="full", learning_rate=1e39, max_steps=1)
    with pytest.raises(TrainingDivergedError, match="at step 1"):
        lab.train(plan)
    assert not plan.out.exists()


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_loss_that_is_no_number_names_the_step_and_the_learning_rate(
    lab: Any, precision: str
) -> None:
    plan = lab.plan(
        lab.base(), tuning="full", learning_rate=1e37, max_grad_norm=0.0, precision=precision
    )
    with pytest.raises(TrainingDivergedError, match=r"at step \d+.*learning rate of 1e\+37"):
        lab.train(plan)
    assert not plan.out.exists()


def test_running_out_of_memory_says_what_would_fit(
    lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ragd_tune_cpu import loss

    def greedy(*_: object) -> None:
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 1 TB")

    monkeypatch.setattr(loss, "embed_columns", greedy)
    with pytest.raises(DoesNotFitError, match="batches of 4 rows") as refused:
        lab.train(lab.plan(lab.base()))
    assert "--batch-size 2" in refused.value.mend


def test_one_row_cannot_be_contrasted_with_anything(lab: Any) -> None:
    lab.rows = Rows(objective="contrastive", train=lab.rows.train[1:2])
    with pytest.raises(DataError, match="1 training rows make no batch"):
        lab.train(lab.plan(lab.base()))


def test_an_adapter_of_another_base_is_refused(lab: Any) -> None:
    plan = lab.plan(lab.base())
    result = lab.train(plan)
    other = lab.plan(lab.base("modernbert"))
    with pytest.raises(TuneError, match="does not fit this base"):
        lab.load(other, result, adapter=plan.out)


def test_an_adapter_with_a_missing_tensor_is_refused(lab: Any) -> None:
    from safetensors.numpy import load_file, save_file

    plan = lab.plan(lab.base())
    result = lab.train(plan)
    path = plan.out / "adapter_model.safetensors"
    tensors = load_file(path)
    del tensors[sorted(tensors)[0]]
    save_file(tensors, path)
    with pytest.raises(TuneError, match="does not fit this base"):
        lab.load(plan, result)


@pytest.mark.parametrize("name", ["adapter_config.json", "adapter_model.safetensors"])
def test_an_adapter_with_a_missing_file_is_refused(lab: Any, name: str) -> None:
    plan = lab.plan(lab.base())
    result = lab.train(plan)
    (plan.out / name).unlink()
    with pytest.raises(TuneError, match=f"{name} is missing"):
        lab.load(plan, result)


@pytest.mark.parametrize("dimension", [33, -1])
def test_a_dimension_that_the_vectors_do_not_have_is_refused(lab: Any, dimension: int) -> None:
    with pytest.raises(UsageError, match=f"dimension {dimension}"):
        lab.load(lab.plan(lab.base()), dimension=dimension)


def test_an_export_format_that_is_not_written_names_those_that_are(
    lab: Any, tmp_path: Path
) -> None:
    model = lab.load(lab.plan(lab.base()))
    with pytest.raises(UsageError, match="gguf") as refused:
        lab.registry.call(
            "cpu", "ragd_tune_export", model=model, format="gguf", out=tmp_path / "out"
        )
    assert "folder" in refused.value.mend


def test_a_closed_model_says_so(lab: Any) -> None:
    model = lab.load(lab.plan(lab.base()))
    model.close()
    with pytest.raises(TuneError, match="closed"):
        lab.embed(model, ["anchor"])


def test_a_request_without_facts_reads_them_from_the_folder(lab: Any) -> None:
    plan = lab.plan(lab.base(prompts={"query": "ask: ", "passage": "read: "}), tuning="full")
    result = lab.train(plan)
    request = LoadRequest(
        objective="contrastive", format="full", base=plan.base, device="cpu", adapter=plan.out
    )
    model = lab.registry.call("cpu", "ragd_tune_load_adapter", request=request)
    assert model.facts == result.facts
    assert model.facts.prompts == {"query": "ask: ", "document": "read: "}
