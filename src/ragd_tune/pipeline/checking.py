"""Check a data set, against a base model's tokenizer where one is named."""

from __future__ import annotations

from pathlib import Path

from ragd_tune.data import Report, check, read
from ragd_tune.errors import DataError


def check_data(
    path: Path, *, base: str | None = None, max_length: int | None = None, strict: bool = False
) -> Report:
    """Read and check the data set at ``path``.

    With ``base``, lengths are counted in its tokens and held against ``max_length`` (tokens; the
    base's own limit when not given).

    :raises DataError: it cannot be read, or leaks under ``strict``.
    """
    data = read(path)
    if base is None:
        return check(data, strict=strict)
    from ragd_tune.models import length_limit, resolve

    found = resolve(base)
    tokenizer = found.path / "tokenizer.json"
    if not tokenizer.is_file():
        raise DataError(f"{found.path}: has no tokenizer.json, so its tokens cannot be counted")
    limit = max_length or length_limit(found.path)
    return check(data, tokenizer=tokenizer, max_tokens=limit, strict=strict)
