from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest

from ragd_tune_mlx import detect


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


def test_finding_out_imports_no_framework() -> None:
    code = (
        "import sys; from ragd_tune_mlx import plugin;"
        "found = plugin.ragd_tune_backends()[0].detect();"
        "assert found.devices or found.reason, found;"
        "heavy = {'mlx.core', 'mlx_lm', 'numpy', 'transformers', 'torch'};"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


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
