from __future__ import annotations

from pathlib import Path

import pytest

from ragd_tune.training import devices


def test_cuda_needs_driver_build_and_a_visible_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "torch_has", lambda library: True)
    monkeypatch.setattr(Path, "exists", lambda path: True)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert devices.has_cuda()
    for hidden in ("", "-1"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
        assert not devices.has_cuda()
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    monkeypatch.setattr(devices, "torch_has", lambda library: False)
    assert not devices.has_cuda()
    monkeypatch.setattr(devices, "torch_has", lambda library: True)
    monkeypatch.setattr(Path, "exists", lambda path: False)
    assert not devices.has_cuda()


def test_a_library_is_looked_for_where_pytorch_lies() -> None:
    assert not devices.torch_has("no-such-library.so")
