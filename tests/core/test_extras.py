"""What is said where a package of an extra is not here."""

from __future__ import annotations

import pytest

from ragd_tune.errors import NotInstalledError
from ragd_tune.extras import need


def test_packages_that_are_here_pass() -> None:
    need(("json", "pathlib"), extra="onnx", why="never said")


def test_those_that_are_not_are_named_with_the_extra_that_brings_them() -> None:
    with pytest.raises(NotInstalledError) as told:
        need(("json", "no_such_one", "nor_this"), extra="onnx", why="they run exported models")
    assert told.value.message == "no_such_one and nor_this not installed: they run exported models"
    assert told.value.mend == 'pip install "ragd-tune[onnx]"'
