"""How many tokens texts have, and how much of them a model would not read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ragd_tune.data.stats import Lengths
from ragd_tune.errors import NotInstalledError, UsageError

CountTokens = Callable[[Sequence[str]], Sequence[int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenStats:
    """Token lengths of texts against a model's limit; special tokens count.

    ``cut`` is the number of texts that are longer than ``limit``, ``lost`` the share of all tokens
    that stand beyond it.
    """

    lengths: Lengths
    limit: int | None
    cut: int
    lost: float

    def to_json(self) -> dict[str, object]:
        """Return a JSON-shaped copy."""
        return asdict(self)


def token_stats(counts: Sequence[int], limit: int | None) -> TokenStats:
    """Summarise token ``counts`` against ``limit``."""
    over = [count - limit for count in counts if limit is not None and count > limit]
    return TokenStats(
        lengths=Lengths.of(counts),
        limit=limit,
        cut=len(over),
        lost=round(sum(over) / max(1, sum(counts)), 4),
    )


def counter(tokenizer: CountTokens | Path | str) -> CountTokens:
    """Return a function that counts tokens: the one given, or that of a ``tokenizer.json``.

    ``tokenizer`` may be the file or the model's folder.

    :raises UsageError: there is no usable ``tokenizer.json``.
    :raises NotInstalledError: the package ``tokenizers`` is missing.
    """
    if callable(tokenizer):
        return tokenizer
    try:
        from tokenizers import Tokenizer
    except ImportError:
        mend = "pip install tokenizers"
        raise NotInstalledError("counting tokens needs the package tokenizers", mend=mend) from None
    path = Path(tokenizer)
    file = path / "tokenizer.json" if path.is_dir() else path
    try:
        loaded = Tokenizer.from_file(str(file))
    except Exception as error:  # noqa: BLE001 - the package raises no narrower class
        mend = "give a model's folder or its tokenizer.json"
        raise UsageError(f"{file} is no tokenizer: {error}", mend=mend) from None
    loaded.no_truncation()
    loaded.no_padding()
    return lambda texts: [len(found.ids) for found in loaded.encode_batch_fast(list(texts))]
