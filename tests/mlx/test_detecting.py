from __future__ import annotations

import json
import platform
import subprocess
import sys
from collections.abc import Mapping
from importlib import machinery
from pathlib import Path
from typing import Any

import pytest

from ragd_tune.plan import BaseModel
from ragd_tune.training import literals
from ragd_tune_mlx import detect, takes


def machine(
    monkeypatch: pytest.MonkeyPatch,
    system: str,
    processor: str,
    *,
    mac: str = "",
    libc: tuple[str, str] = ("", ""),
) -> None:
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(platform, "machine", lambda: processor)
    monkeypatch.setattr(platform, "system", lambda: system.capitalize())
    monkeypatch.setattr(platform, "mac_ver", lambda: (mac, ("", "", ""), processor))
    monkeypatch.setattr(platform, "libc_ver", lambda: libc)


def base(folder: Path, files: Mapping[str, object] | None = None, **config: object) -> BaseModel:
    """Return a base of nothing but small files: what it is has to be told from those."""
    given: dict[str, object] = {"config.json": {"model_type": "bert", "hidden_size": 8, **config}}
    for name, value in {**given, **(files or {})}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(value), encoding="utf-8")
    return BaseModel(name="tiny", path=folder, fingerprint="f" * 64)


def module(*kinds: str) -> list[dict[str, str]]:
    """Return what ``modules.json`` says of some modules in a row."""
    return [
        {"type": f"sentence_transformers.models.{kind}", "path": f"{number}_{kind}" * bool(number)}
        for number, kind in enumerate(kinds)
    ]


POOLED = module("Transformer", "Pooling")


def test_finding_out_imports_no_framework(tmp_path: Path) -> None:
    base(tmp_path, model_type="mpnet")
    code = (
        "import sys; from ragd_tune_mlx import plugin;"
        "found = plugin.ragd_tune_backends()[0].detect();"
        "assert found.devices or found.reason, found;"
        "from ragd_tune.plan import BaseModel; from pathlib import Path;"
        "base = BaseModel(name='', path=Path(sys.argv[1]), fingerprint='');"
        "told = [plugin.BACKEND.unfit(base, one) for one in ('contrastive', 'causal_lm')];"
        "assert 'architecture mpnet' in told[0], told;"
        "heavy = {'mlx.core', 'mlx_lm', 'numpy', 'transformers', 'torch'};"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)


@pytest.mark.parametrize(
    ("objective", "config", "files", "told"),
    [
        ("contrastive", {"model_type": "mpnet"}, {}, "the architecture mpnet"),
        ("relevance", {"model_type": "mpnet"}, {}, "the architecture mpnet"),
        ("late_interaction", {"model_type": "mpnet"}, {}, "the architecture mpnet"),
        ("contrastive", {"hidden_act": "silu"}, {}, "the activation silu"),
        ("contrastive", {}, {"modules.json": module("Transformer")}, "this one is Transformer"),
        (
            "contrastive",
            {},
            {"modules.json": POOLED, "1_Pooling/config.json": {"pooling_mode": "weightedmean"}},
            "does not pool by weightedmean",
        ),
        (
            "contrastive",
            {},
            {
                "modules.json": module("Transformer", "Pooling", "Dense"),
                "2_Dense/config.json": {
                    "in_features": 8,
                    "out_features": 4,
                    "activation_function": "torch.nn.SiLU",
                },
            },
            "the activation SiLU",
        ),
        ("relevance", {"model_type": "modernbert"}, {}, "the architecture modernbert"),
        ("late_interaction", {"architectures": ["HF_ColBERT"]}, {}, "is a ColBERT checkpoint"),
        ("relevance", {"architectures": ["LlamaForCausalLM"]}, {}, "is a language model"),
    ],
)
def test_a_base_that_is_not_computed_is_known_by_its_small_files(
    tmp_path: Path,
    objective: str,
    config: dict[str, object],
    files: dict[str, object],
    told: str,
) -> None:
    assert told in detect.BACKEND.unfit(base(tmp_path, files, **config), objective)


MODERN: dict[str, Any] = {"model_type": "modernbert", "num_hidden_layers": 4}


def test_an_architecture_of_an_extra_names_the_extra_where_it_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(takes, "find_spec", lambda name: None)
    told = detect.BACKEND.unfit(base(tmp_path, **MODERN), "contrastive")
    assert 'pip install "ragd-tune[mlx-embeddings]"' in told
    monkeypatch.setattr(takes, "find_spec", lambda name: machinery.ModuleSpec(name, None))
    assert detect.BACKEND.unfit(base(tmp_path, **MODERN), "contrastive") == ""


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"hidden_activation": "silu"}, "the activation silu in modernbert"),
        ({"layer_types": ["full_attention"] * 4}, "attention is of another order in modernbert"),
        (
            {"rope_parameters": {"full_attention": {"rope_type": "yarn", "rope_theta": 1e4}}},
            "scaled positions in modernbert",
        ),
    ],
)
def test_a_setting_that_the_extra_would_compute_wrongly_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: dict[str, Any], told: str
) -> None:
    monkeypatch.setattr(takes, "find_spec", lambda name: machinery.ModuleSpec(name, None))
    assert told in detect.BACKEND.unfit(base(tmp_path, **MODERN, **config), "contrastive")


def test_a_language_model_is_known_by_the_architectures_that_mlx_lm_brings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "site" / "mlx_lm"
    (home / "models").mkdir(parents=True)
    for name in ("__init__.py", "models/llama.py"):
        (home / name).touch()
    (home / "utils.py").write_text('MODEL_REMAPPING = {"mistral": "llama"}\n', encoding="utf-8")
    found = machinery.ModuleSpec("mlx_lm", None, is_package=True)
    found.submodule_search_locations = [str(home)]
    monkeypatch.setattr(literals, "find_spec", lambda name: found)
    takes._languages.cache_clear()
    try:
        told = {
            kind: detect.BACKEND.unfit(base(tmp_path / kind, model_type=kind), "causal_lm")
            for kind in ("llama", "mistral", "brand_new")
        }
    finally:
        takes._languages.cache_clear()
    assert (told["llama"], told["mistral"]) == ("", "")
    assert "mlx-lm has no architecture brand_new" in told["brand_new"]


def test_a_damaged_or_missing_base_is_left_to_loading(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{", encoding="utf-8")
    for place in (tmp_path, tmp_path / "nowhere"):
        given = BaseModel(name="tiny", path=place, fingerprint="f" * 64)
        assert [detect.BACKEND.unfit(given, one) for one in takes._CHECKS] == [""] * 4


@pytest.mark.parametrize(
    ("system", "processor", "settings", "reason"),
    [
        ("win32", "AMD64", {}, "MLX runs on macOS and Linux; this is Win32"),
        ("darwin", "x86_64", {"mac": "15.1"}, "MLX needs Apple silicon"),
        ("darwin", "arm64", {"mac": "13.6"}, "MLX needs macOS 14 or later; this is 13.6"),
        ("linux", "x86_64", {"libc": ("glibc", "2.31")}, "MLX needs glibc 2.35 or later"),
        ("linux", "x86_64", {"libc": ("", "")}, "this is another C library"),
    ],
)
def test_a_system_without_a_build_of_mlx_is_told_why_and_what_runs_there(
    monkeypatch: pytest.MonkeyPatch,
    system: str,
    processor: str,
    settings: dict[str, object],
    reason: str,
) -> None:
    machine(monkeypatch, system, processor, **settings)  # type: ignore[arg-type]
    found = detect.detect()
    assert reason in found.reason
    assert found.mend == 'pip install "ragd-tune[cpu]": its backend runs here'
    assert found.devices == ()


@pytest.mark.parametrize(
    ("system", "devices", "priority"),
    [("darwin", ("mps", "cpu"), detect.ON_APPLE), ("linux", ("cpu",), detect.ON_LINUX)],
)
def test_apples_gpu_comes_first_and_a_linux_processor_after_pytorch(
    monkeypatch: pytest.MonkeyPatch, system: str, devices: tuple[str, ...], priority: int
) -> None:
    machine(monkeypatch, system, "arm64", mac="15.1", libc=("glibc", "2.39"))
    monkeypatch.setattr(detect, "find_spec", lambda name: object())
    monkeypatch.setattr(detect, "_library", lambda: True)
    monkeypatch.setattr(detect, "_has_cuda", lambda: False)
    found = detect.detect()
    assert (found.devices, found.priority) == (devices, priority)


def test_what_is_not_installed_is_named_with_the_command_that_gets_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine(monkeypatch, "linux", "x86_64", libc=("glibc", "2.39"))
    monkeypatch.setattr(detect, "NEEDS", ("no_such_library",))
    found = detect.detect()
    assert found.reason == "no_such_library not installed"
    assert found.mend == 'pip install "ragd-tune[mlx]"'


def test_mlx_without_a_library_for_the_machine_does_not_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On Linux the package ``mlx`` alone brings no library, and fails when it is imported."""
    machine(monkeypatch, "linux", "x86_64", libc=("glibc", "2.39"))
    monkeypatch.setattr(detect, "NEEDS", ())
    monkeypatch.setattr(detect, "_files", lambda pattern: [])
    assert "without a library" in detect.detect().reason


def test_a_broken_installation_is_a_reason_and_not_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(name: str) -> None:
        raise ValueError(f"{name}.__spec__ is None")

    machine(monkeypatch, "linux", "x86_64", libc=("glibc", "2.39"))
    monkeypatch.setattr(detect, "find_spec", broken)
    assert "broken installation" in detect.detect().reason


def test_cuda_needs_a_driver_a_visible_device_and_mlxs_build_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine(monkeypatch, "linux", "x86_64")
    monkeypatch.setattr(detect, "_is_cuda_build", lambda: True)
    monkeypatch.setattr(Path, "exists", lambda path: True)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert detect.devices() == ("cuda", "cpu")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert detect.devices() == ("cpu",)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    monkeypatch.setattr(detect, "_is_cuda_build", lambda: False)
    assert detect.devices() == ("cpu",)
