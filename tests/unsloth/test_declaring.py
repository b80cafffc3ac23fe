"""What is declared, and what is found out without Unsloth: runs in every environment."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ragd_tune.backends import Availability
from ragd_tune.choose import Offer, choose_trainer
from ragd_tune.errors import NoBackendError
from ragd_tune.plan import BaseModel
from ragd_tune.training import literals
from ragd_tune_unsloth import detect, plugin


def everywhere() -> Offer:
    found = Availability(devices=("cuda", "cpu"), priority=70)
    (backend,) = plugin.ragd_tune_backends()
    return Offer(backend=backend, found=found)


def test_asking_imports_neither_unsloth_nor_a_framework() -> None:
    code = (
        "import sys; from ragd_tune_unsloth import plugin;"
        "list(plugin.ragd_tune_backends())[0].detect();"
        "heavy = {'torch', 'numpy', 'transformers', 'unsloth', 'peft', 'trl'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_missing_library_is_named_with_the_command_that_gets_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(detect, "NEEDS", ("torch", "no_such_library"))
    found = detect.detect()
    assert found.reason == "no_such_library not installed"
    assert found.mend == 'pip install "ragd-tune[unsloth]"'


def test_a_gpu_is_what_it_is_chosen_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(detect.SPOOF, raising=False)
    monkeypatch.setattr(detect, "find_spec", lambda name: object())
    monkeypatch.setattr(detect, "has_cuda", lambda: True)
    assert detect.detect().devices[0] == "cuda"
    assert detect.detect().priority > 50, "more than the backend cpu says"
    monkeypatch.setattr(detect, "has_cuda", lambda: False)
    assert detect.detect().devices == ("cpu",)
    assert detect.detect().priority < 50, "less than the backend cpu says"


def test_an_encoder_on_a_cpu_is_declared_under_the_spoof_alone() -> None:
    here = {cell for cell in detect.trains(spoof=False) if cell.objective == "contrastive"}
    assert {cell.device for cell in here} == {"cuda"}
    spoofed = {cell for cell in detect.trains(spoof=True) if cell.objective == "contrastive"}
    assert {cell.device for cell in spoofed} == {"cuda", "cpu"}
    assert detect.spoofed({"UNSLOTH_ALLOW_CPU": "1"})
    assert not detect.spoofed({})


@pytest.mark.parametrize("objective", ["relevance", "late_interaction", "similarity"])
def test_what_unsloth_lacks_is_refused(objective: str) -> None:
    with pytest.raises(NoBackendError) as caught:
        choose_trainer([everywhere()], objective=objective, tuning="lora", backend="unsloth")
    assert caught.value.refused == {"unsloth": "does not declare it"}


def test_an_encoder_that_unsloth_does_not_know_goes_to_another_backend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "unsloth" / "models" / "sentence_transformer.py"
    source.parent.mkdir(parents=True)
    source.write_text(
        'class Fast:\n    ENCODER_MODEL_TYPES = {"bert", "mpnet"}\n', encoding="utf-8"
    )
    monkeypatch.setattr(literals, "home", lambda package: tmp_path / package)
    (tmp_path / "config.json").write_text('{"model_type": "nomic_bert"}', encoding="utf-8")
    base = BaseModel(name="nomic", path=tmp_path, fingerprint="f" * 64)
    (backend,) = plugin.ragd_tune_backends()
    told = "Unsloth's encoders are bert, mpnet, and nomic is a nomic_bert"
    assert backend.unfit(base, "contrastive") == told
    assert backend.unfit(base, "causal_lm") == ""
    (tmp_path / "config.json").write_text('{"model_type": "mpnet"}', encoding="utf-8")
    assert backend.unfit(base, "contrastive") == ""
    source.unlink()
    (tmp_path / "config.json").write_text('{"model_type": "nomic_bert"}', encoding="utf-8")
    assert backend.unfit(base, "contrastive") == "", "without the list, training tells"
