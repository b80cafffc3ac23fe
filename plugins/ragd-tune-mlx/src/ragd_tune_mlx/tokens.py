"""Texts to token ids, with the base's own tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np

from ragd_tune.errors import TuneError
from ragd_tune_mlx.session import quiet


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """A batch: token ids, mask (1 where there is a token) and segments, int32 of shape (B, L)."""

    ids: mx.array
    mask: mx.array
    types: mx.array


class Tokenizer:
    """The tokenizer of a model's folder; texts are cut to :attr:`length` tokens."""

    def __init__(self, folder: Path, *, length: int, lowercase: bool = False) -> None:
        from transformers import AutoTokenizer

        try:
            with quiet():
                self.inner: Any = AutoTokenizer.from_pretrained(
                    str(folder), local_files_only=True, trust_remote_code=False
                )
        except (OSError, ValueError, KeyError) as error:
            raise TuneError(f"{folder}: its tokenizer cannot be loaded: {error}") from error
        self.length = length
        self._lowercase = lowercase

    def __call__(self, texts: Sequence[str], *, width: int | None = None) -> Tokens:
        """Return the tokens of ``texts``, padded to the longest, or to ``width``."""
        given = [text.lower() if self._lowercase else text for text in texts]
        return self._tokens(given, padding="max_length" if width else True, length=width)

    def pairs(self, firsts: Sequence[str], seconds: Sequence[str]) -> Tokens:
        """Return the tokens of pairs, the longer text of each cut first."""
        return self._tokens(list(firsts), list(seconds), padding=True)

    def _tokens(self, *texts: list[str], padding: bool | str, length: int | None = None) -> Tokens:
        with quiet():
            made = self.inner(
                *texts,
                padding=padding,
                truncation="longest_first",
                max_length=length or self.length,
                return_tensors="np",
            )
        ids = np.asarray(made["input_ids"], np.int32)
        types = made.get("token_type_ids")
        return Tokens(
            ids=mx.array(ids),
            mask=mx.array(np.asarray(made["attention_mask"], np.int32)),
            types=mx.array(np.zeros_like(ids) if types is None else np.asarray(types, np.int32)),
        )
