"""Optuna behind a few calls: what to try next, and what was tried.

Only finished trials are kept, each as one line of Optuna's own journal, which ``optuna-dashboard``
can show. What is tried next follows from the seed and from those lines alone: a search that was
killed asks for the very trial that it was at, and a search of a fixed number of trials finds the
same each time.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from ragd_tune.autotune.attempts import Attempt, Proposal
from ragd_tune.autotune.space import Axis, rounded
from ragd_tune.errors import NotInstalledError, TuneError

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import BaseDistribution

JOURNAL = "journal.log"
NAME = "ragd-tune"

RANDOM = 6
"""Trials drawn at random before the sampler models them: fewer than Optuna's 10, since searches of
trainings are short. The number of trials does not change it, so that more may follow."""

DRAWS = 20
"""Draws of options that were tried already, after which there is nothing new to try."""


def check_optuna() -> None:
    """Refuse to search where Optuna is not installed.

    :raises NotInstalledError: with the extra that brings it.
    """
    if find_spec("optuna") is None:
        raise NotInstalledError(
            "a search for options needs the package optuna",
            mend='pip install "ragd-tune[auto-tune]"',
        )


class Study:
    """The trials of one search in ``folder``; whoever makes one keeps other processes off it.

    :raises NotInstalledError: Optuna is not here.
    :raises TuneError: the journal cannot be read.
    """

    def __init__(self, folder: Path, axes: Sequence[Axis], *, seed: int) -> None:
        check_optuna()
        self.axes = {axis.name: axis for axis in axes}
        self.seed = seed
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / JOURNAL
        _mend(path)
        with _quiet():
            try:
                self._kept = _open(path)
                self.attempts = [_attempt(one) for one in self._kept.get_trials(deepcopy=False)]
            except (LookupError, OSError, TypeError, ValueError) as error:
                raise TuneError(
                    f"{path}: the trials of this search cannot be read: {error}",
                    mend="remove that file to start the search again",
                ) from error

    def propose(self) -> Proposal | None:
        """Return what to try next; None where every draw was tried before.

        The first trial takes the defaults, so that they are among what is compared.
        """
        number = len(self.attempts)
        if number == 0:
            plain = {name: axis.default for name, axis in self.axes.items()}
            return Proposal(number=0, drawn=plain, options=plain)
        tried = [one.options for one in self.attempts]
        for draw in range(DRAWS):
            drawn = self._draw(number, draw)
            options = {name: rounded(self.axes[name], one) for name, one in drawn.items()}
            if options not in tried:
                return Proposal(number=number, drawn=drawn, options=options)
        return None

    def keep(self, proposal: Proposal, attempt: Attempt) -> None:
        """Write a finished trial down; it is not tried again."""
        import optuna

        told = {
            "options": dict(attempt.options),
            "base": attempt.base,
            "seconds": attempt.seconds,
            "failure": attempt.failure,
            "queries": dict(attempt.queries),
        }
        failed = attempt.score is None
        with _quiet():
            self._kept.add_trial(
                optuna.trial.create_trial(
                    state=optuna.trial.TrialState.FAIL
                    if failed
                    else optuna.trial.TrialState.COMPLETE,
                    value=attempt.score,
                    params=dict(proposal.drawn),
                    distributions=self._distributions(),
                    user_attrs=told,
                )
            )
        self.attempts.append(attempt)

    def _draw(self, number: int, draw: int) -> dict[str, float]:
        """Ask a sampler that is seeded for this very trial, in a copy that is thrown away."""
        import optuna

        text = f"{self.seed} {number} {draw}".encode()
        seed = int.from_bytes(hashlib.sha256(text).digest()[:4], "big")
        with _quiet():
            sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=RANDOM)
            copy = optuna.create_study(direction="maximize", sampler=sampler)
            copy.add_trials(self._kept.get_trials(deepcopy=False))
            return dict(copy.ask(self._distributions()).params)

    def _distributions(self) -> dict[str, BaseDistribution]:
        return {name: _distribution(axis) for name, axis in self.axes.items()}


def _distribution(axis: Axis) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    if axis.values:
        return CategoricalDistribution(axis.values)
    return FloatDistribution(axis.low, axis.high, log=True)


def _attempt(trial: optuna.trial.FrozenTrial) -> Attempt:
    told = trial.user_attrs
    return Attempt(
        number=trial.number,
        options=told["options"],
        score=trial.value,
        base=told["base"],
        seconds=told["seconds"],
        failure=told["failure"],
        queries=told["queries"],
    )


def _open(path: Path) -> optuna.Study:
    import optuna
    from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

    class Unlocked(JournalFileOpenLock):
        """The search holds a lock of its own, which ends with its process; Optuna's outlives it."""

        def acquire(self) -> bool:
            return True

        def release(self) -> None:
            return None

    backend = JournalFileBackend(str(path), lock_obj=Unlocked(str(path)))
    storage = optuna.storages.JournalStorage(backend)
    return optuna.create_study(
        storage=storage, study_name=NAME, direction="maximize", load_if_exists=True
    )


def _mend(path: Path) -> None:
    """Cut off a last line that a kill left torn: its trial is done again."""
    if not path.is_file():
        return
    with path.open("rb+") as file:
        whole = file.read().rfind(b"\n") + 1
        if whole < file.tell():
            file.truncate(whole)
            os.fsync(file.fileno())


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence what Optuna says of itself: notes of new studies, and of calls that may change."""
    import optuna

    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        optuna.logging.set_verbosity(level)
