"""A registry of the fake backend alone."""

from __future__ import annotations

from ragd_tune.registry import Registry
from ragd_tune.testing.fakes import FakePlugin


def registry() -> Registry:
    made = Registry()
    assert made.register(FakePlugin(), name="fake", distribution="ragd-tune-fake")
    return made
