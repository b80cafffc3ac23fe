"""What the suite does not ask: refusals, and that serving leaves Unsloth alone."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ragd_tune.backends import LoadRequest
from ragd_tune.errors import TuneError, UsageError
from ragd_tune.plan import BaseModel, TrainPlan
from ragd_tune.testing import contrastive_rows
from ragd_tune.testing.tiny import tiny_encoder
from ragd_tune_unsloth import safe


def test_serving_does_not_import_unsloth(tmp_path: Path) -> None:
    base = tiny_encoder(tmp_path)
    code = (
        "import sys; from pathlib import Path\n"
        "from ragd_tune.backends import LoadRequest; from ragd_tune.plan import BaseModel\n"
        "from ragd_tune_unsloth import plugin\n"
        f"base = BaseModel(name='t', path=Path({str(base)!r}), fingerprint='f')\n"
        "asked = LoadRequest(objective='contrastive', format='base', base=base, device='cpu')\n"
        "model = plugin.ragd_tune_load_adapter(request=asked)\n"
        "assert plugin.ragd_tune_embed(model, ['a b'], 'query').shape == (1, 32)\n"
        "assert 'unsloth' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_training_where_something_it_patches_came_first_is_refused() -> None:
    code = (
        "import transformers\n"
        "from ragd_tune.errors import TuneError; from ragd_tune_unsloth import engine\n"
        "try: engine.start()\n"
        "except TuneError as error: assert 'before transformers' in error.message, error\n"
        "else: raise SystemExit('it went on')\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("config.json", '{"auto_map": {"AutoModel": "own.Model"}}', "needs code of its own"),
        ("modules.json", '[{"type": "own.Module", "path": ""}]', "own.Module"),
        ("config.json", "{broken", "is not JSON"),
    ],
)
def test_a_base_that_would_run_code_is_refused(
    tmp_path: Path, name: str, text: str, said: str
) -> None:
    base = tiny_encoder(tmp_path)
    (base / name).write_text(text, encoding="utf-8")
    with pytest.raises(TuneError, match=said):
        safe.check(base, "t")


def test_a_base_with_pickled_weights_alone_is_refused(tmp_path: Path) -> None:
    base = tiny_encoder(tmp_path)
    (base / "model.safetensors").rename(base / "pytorch_model.bin")
    with pytest.raises(UsageError, match="no weights as safetensors"):
        safe.check(base, "t")


def test_an_architecture_that_unsloth_does_not_know_names_the_backend_that_takes_it(
    tmp_path: Path, make_plan: Callable[..., TrainPlan]
) -> None:
    from ragd_tune_unsloth.contrastive import Contrastive

    base = tiny_encoder(tmp_path, "nomic_bert")
    with pytest.raises(UsageError) as caught:
        Contrastive(make_plan(base), contrastive_rows())
    assert "nomic_bert" in caught.value.message
    assert "--backend cpu" in caught.value.mend


def test_an_adapter_of_another_base_is_a_clear_error(tmp_path: Path) -> None:
    from ragd_tune_unsloth import plugin

    (tmp_path / "adapter").mkdir()
    base = BaseModel(name="t", path=tiny_encoder(tmp_path), fingerprint="f")
    asked = LoadRequest(
        objective="contrastive",
        format="peft",
        base=base,
        device="cpu",
        adapter=tmp_path / "adapter",
    )
    with pytest.raises(TuneError, match=r"adapter_config.json is missing"):
        plugin.ragd_tune_load_adapter(request=asked)
