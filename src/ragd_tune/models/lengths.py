"""How many tokens a base model takes."""

from __future__ import annotations

import json
from pathlib import Path

_UNBOUNDED = 1_000_000
# These count positions from the padding token's id on, so two of them hold no token.
_OFFSET_BY_TWO = frozenset({"roberta", "xlm-roberta", "camembert", "mpnet", "longformer"})


def length_limit(folder: Path) -> int | None:
    """Return the number of tokens after which the model in ``folder`` cuts a text, or None.

    The encoder's own limit (``max_seq_length``) decides; without one, the smaller of the
    tokenizer's limit and the number of positions does, as in sentence-transformers.
    """
    for path in sorted(folder.glob("sentence_*_config.json")):
        if limit := _number(path, "max_seq_length"):
            return limit
    found = [_number(folder / "tokenizer_config.json", "model_max_length"), _positions(folder)]
    return min((limit for limit in found if limit), default=None)


def _positions(folder: Path) -> int:
    positions = _number(folder / "config.json", "max_position_embeddings")
    kind = _read(folder / "config.json").get("model_type")
    return positions - 2 if positions and kind in _OFFSET_BY_TWO else positions


def _number(path: Path, key: str) -> int:
    value = _read(path).get(key)
    # "Unbounded" is written as 1e30.
    sound = isinstance(value, (int, float)) and 0 < value < _UNBOUNDED
    return int(value) if sound and isinstance(value, (int, float)) else 0


def _read(path: Path) -> dict[str, object]:
    try:
        raw = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return raw if isinstance(raw, dict) else {}
