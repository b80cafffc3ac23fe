from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

from ragd_tune_cpu import detect


def test_finding_out_imports_no_framework() -> None:
    code = (
        "import sys; from ragd_tune_cpu import plugin;"
        "found = plugin.ragd_tune_backends()[0].detect();"
        "assert 'cpu' in found.devices, found;"
        "heavy = {'torch', 'numpy', 'transformers', 'sentence_transformers', 'peft', 'datasets'};"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_missing_library_is_named_with_the_command_that_gets_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(detect, "NEEDS", ("torch", "no_such_library"))
    found = detect.detect()
    assert found.reason == "no_such_library not installed"
    assert found.mend == 'pip install "ragd-tune[cpu]"'
    assert found.devices == ()


def test_a_broken_installation_is_a_reason_and_not_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(name: str) -> None:
        raise ValueError(f"{name}.__spec__ is None")

    monkeypatch.setattr(detect, "find_spec", broken)
    assert "broken installation" in detect.detect().reason


def test_a_gpu_comes_before_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detect, "has_cuda", lambda: True)
    assert detect.devices() == ("cuda", "cpu")
    monkeypatch.setattr(detect, "has_cuda", lambda: False)
    assert detect.devices() == ("cpu",)


@pytest.mark.parametrize(
    ("machine", "release", "found"),
    [("arm64", "15.1", True), ("arm64", "13.6", False), ("x86_64", "15.1", False)],
)
def test_mps_needs_apples_processor_and_a_recent_system(
    monkeypatch: pytest.MonkeyPatch, machine: str, release: str, found: bool
) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(platform, "mac_ver", lambda: (release, ("", "", ""), machine))
    assert ("mps" in detect.devices()) is found


def test_waiting_threads_sleep_unless_the_user_says_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from ragd_tune_cpu import threads

    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    threads.let_waiting_threads_sleep()
    assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE"
    assert "GOMP_SPINCOUNT" not in os.environ
    monkeypatch.delenv("OMP_WAIT_POLICY")
    threads.let_waiting_threads_sleep()
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"
    assert ("GOMP_SPINCOUNT" in os.environ) == (sys.platform == "linux")


FAULTS = """
import resource, sys
from ragd_tune_cpu.memory import keep_what_is_freed
if sys.argv[1] == "keep":
    assert keep_what_is_freed()
for _ in range(2):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    bytearray(b"x") * 2**26
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(faults)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="it is a setting of glibc's")
def test_memory_that_is_freed_is_taken_again_without_asking_the_system() -> None:
    def faults(how: str) -> int:
        env = {name: value for name, value in os.environ.items() if name[:7] != "MALLOC_"}
        ran = [sys.executable, "-c", FAULTS, how]
        return int(subprocess.run(ran, env=env, check=True, capture_output=True).stdout)

    assert faults("keep") < 100 < faults("let go")


def test_what_the_user_set_for_memory_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    from ragd_tune_cpu.memory import keep_what_is_freed

    monkeypatch.setenv("MALLOC_ARENA_MAX", "1")
    assert not keep_what_is_freed()


def test_the_peak_of_memory_is_told_in_bytes() -> None:
    from ragd_tune.training.memory import peak_bytes

    assert 5_000_000 < peak_bytes() < 10**12
