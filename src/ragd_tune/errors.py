"""Every error that ragd-tune raises on purpose: one base, an exit code, and what to do next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

DONE = 0
FAILED = 1
USAGE = 2
NOT_PROVEN = 3
NOT_INSTALLED = 4
BAD_DATA = 5
INTERRUPTED = 130


class TuneError(Exception):
    """Base of all expected errors.

    ``message`` says what happened and where (file and line, id, option); ``mend`` says what to do
    next. The command line prints both and exits with ``exit_code``; it never shows a traceback.
    """

    exit_code: ClassVar[int] = FAILED

    def __init__(self, message: str, *, mend: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.mend = mend

    def __str__(self) -> str:
        return f"{self.message}\n→ {self.mend}" if self.mend else self.message

    def to_json(self) -> dict[str, object]:
        """Return a JSON-shaped copy, as it travels from a worker process to its parent."""
        return {
            "error": type(self).__name__,
            "message": self.message,
            "mend": self.mend,
            "exit_code": self.exit_code,
        }


class UsageError(TuneError):
    """A flag, a name or a configuration value that cannot be used."""

    exit_code = USAGE


class NotProvenError(TuneError):
    """The proof does not carry the claim that was asked for."""

    exit_code = NOT_PROVEN


class NotInstalledError(TuneError):
    """A package, backend, kind or base model is not here."""

    exit_code = NOT_INSTALLED


class PluginError(NotInstalledError):
    """A plugin is here and broken; the message carries its own error."""


class DataError(TuneError):
    """The user's data cannot be used; ``message`` names file and line."""

    exit_code = BAD_DATA


class StoreError(TuneError):
    """The store or one of its adapters cannot be used as asked."""


class RefusedAdapterError(StoreError):
    """An adapter or archive breaks a rule of safety, or does not match what it claims."""


class BaseMismatchError(StoreError):
    """The base model at hand is not the one that the adapter was trained on."""


class WorkerError(TuneError):
    """The training process ended without a result."""


class DoesNotFitError(TuneError):
    """Memory ran out; the message says what would fit."""


class TrainingDivergedError(TuneError):
    """The loss became NaN or infinite; the message says at which step and the likely cause."""


class InterruptedRunError(TuneError):
    """The user stopped the run; a checkpoint was kept, and ``mend`` resumes it."""

    exit_code = INTERRUPTED


class NoBackendError(NotInstalledError):
    """No installed backend can do what was asked."""

    def __init__(self, asked: str, refused: Mapping[str, str], *, mend: str = "") -> None:
        why = "\n".join(f"  {name}: {reason}" for name, reason in sorted(refused.items()))
        super().__init__(
            f"no backend can {asked}:\n{why or '  none is installed'}",
            mend=mend or 'pip install "ragd-tune[cpu]"',
        )
        self.refused = dict(refused)


def from_json(raw: Mapping[str, str]) -> TuneError:
    """Return the error that another process told by :meth:`TuneError.to_json`.

    One of a class that is not of this module comes back as a :class:`WorkerError`.
    """
    found = globals().get(str(raw["error"]))
    kind = found if isinstance(found, type) and issubclass(found, TuneError) else WorkerError
    error = kind.__new__(kind)
    TuneError.__init__(error, str(raw["message"]), mend=str(raw.get("mend", "")))
    return error
