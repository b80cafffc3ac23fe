"""ragd's language model: which Ollama model it asks, and switching it as its embedder is switched.

An embedder's activation moves an index too; a language model's moves one key. Both go through the
same steps (:mod:`ragd_tune.ragd.switch`), each with a history of its own, so that one can be taken
back without the other.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ragd_tune.errors import UsageError
from ragd_tune.ragd import configfile
from ragd_tune.ragd.facts import dig
from ragd_tune.ragd.switch import Change, Switch
from ragd_tune.store import Store

KEY = ("llm", "model")
PROVIDER = "ollama"
_MODEL, _ADDRESS = "llama3.2:3b", "http://localhost:11434"
"""What ragd 1.0.10 has where its file says nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageModel:
    """The keys of ragd's section ``llm``."""

    model: str = _MODEL
    address: str = _ADDRESS


def language_model(raw: bytes, where: str) -> LanguageModel:
    """Return which language model ragd asks, and where.

    :raises UsageError: it asks another program than Ollama, or a key holds no text.
    """
    told = configfile.parse(raw, where)
    provider = _text(told, "provider", PROVIDER, where)
    if provider != PROVIDER:
        raise UsageError(
            f"{where}: llm.provider is {provider!r}, and only Ollama's models can be switched",
            mend="set llm.provider to ollama, or leave ragd alone: --no-host",
        )
    return LanguageModel(
        model=_text(told, "model", _MODEL, where),
        address=_text(told, "base_url", _ADDRESS, where),
    )


def _text(told: object, key: str, default: str, where: str) -> str:
    value = dig(told, ("llm", key))
    if value is None:
        return default
    if not isinstance(value, str):
        raise UsageError(f"{where}: llm.{key} is {value!r}, which is no text", mend="correct it")
    return value


def model_name(adapter: str) -> str:
    """Return what the Ollama model of an adapter (its content id) is called.

    The tag is written out: ragd looks for the very name that Ollama lists.
    """
    return f"ragd-tune-{adapter[:12]}:latest"


class ModelSwitch(Switch):
    """The changes of ragd's ``llm.model`` that are noted in ``store``."""

    def __init__(self, store: Store, config: Path) -> None:
        super().__init__(store, config)
        self._embedder = Switch(store, config)
        self._home = store.root / "host" / "llm"

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Keep every other ragd-tune process off the host: both switches write the one file."""
        with self._embedder.alone(), super().alone():
            yield

    def _settle(self, change: Change) -> None:
        """Bring the store's active generator to what the change says."""
        active = self._store.active("generator")
        there = active.id if active else None
        if there == change.adapter:
            return
        if change.action == "activate" and change.adapter is not None:
            self._store.activate(change.adapter, "generator", force=change.forced)
        else:
            self._store.rollback("generator")
