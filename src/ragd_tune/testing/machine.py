"""A small machine for tests of whole commands: a store, data, a base, and the fake backend."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Where things are; make one by :meth:`make`."""

    home: Path
    data: Path
    base: Path | str
    backend: str = "fake"

    @classmethod
    def make(cls, folder: Path, monkeypatch: pytest.MonkeyPatch, *, queries: int = 240) -> Machine:
        """Lay a machine out under ``folder``; worker processes find the fake backend too."""
        from ragd_tune.data import write
        from ragd_tune.testing.fakes import advertise, make_base
        from ragd_tune.testing.samples import translated_data

        advertise(folder / "plugins", monkeypatch.setenv, monkeypatch.syspath_prepend)
        monkeypatch.setenv("RAGD_TUNE_HOME", str(folder / "home"))
        # Other backends would serve its models too: they declare the same formats.
        monkeypatch.setenv("RAGD_TUNE_DISABLE", "cpu,mlx,unsloth")
        monkeypatch.setattr(Path, "home", staticmethod(lambda: folder))
        write(translated_data(queries=queries), folder / "data")
        base = make_base(folder / "base")
        return cls(home=folder / "home", data=folder / "data", base=base)

    def train(self, *more: str) -> list[str]:
        """Return the arguments of a training by its backend."""
        given = ("--data", str(self.data), "--base", str(self.base), "--backend", self.backend)
        return ["train", "bi-encoder", *given, *more]
