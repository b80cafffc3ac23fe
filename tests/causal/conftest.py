"""Tiny tokenizers, with a chat template and without."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ragd_tune.testing.tiny_lm import tiny_lm


@pytest.fixture(scope="session")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny_lm(tmp_path_factory.mktemp("chat")))


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from transformers import AutoTokenizer

    folder: Path = tmp_path_factory.mktemp("plain")
    return AutoTokenizer.from_pretrained(tiny_lm(folder, chat=False))
