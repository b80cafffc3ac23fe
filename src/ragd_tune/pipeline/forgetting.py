"""Does an adapter forget? Its proof is made once more, on a domain that it was not trained for."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ragd_tune.data import DataSet
from ragd_tune.errors import DataError, TuneError, UsageError
from ragd_tune.evaluate.elsewhere import TOLERANCE
from ragd_tune.kinds import ModelKind, Trial

if TYPE_CHECKING:
    from ragd_tune.evaluate.elsewhere import Elsewhere

_log = logging.getLogger(__name__)
SPLIT = "test"
SHARED = 0.01
"""Share of the other documents that may be the user's own, too: quotations, licences."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Other:
    """Another domain to look at. ``open`` reads it when it is needed: it may take seconds.

    ``tolerance`` is the loss of the gate's metric that is allowed. ``asked`` says that the user
    named this set, so that it is an error where it cannot be used.
    """

    open: Callable[[], DataSet]
    tolerance: float = TOLERANCE
    asked: bool = False


def forgetting(kind: ModelKind, trial: Trial, other: Other | None) -> Elsewhere | None:
    """Return what the two sides of ``trial`` do on the other domain; None if it tells nothing.

    Only embedders are looked at: there the incumbent is the base itself, so that a difference is
    something that was lost. A reranker's incumbent is another system.

    :raises DataError: the user named a set without a test split, or one of the same documents.
    :raises UsageError: the user asked it of another kind of model.
    """
    from ragd_tune.evaluate.elsewhere import Elsewhere

    if other is None:
        return None
    try:
        data = _data(kind, trial, other)
    except TuneError as error:
        if other.asked:
            raise
        _log.info("forgetting is not looked at: %s", error.message)
        return None
    report = kind.prove(
        replace(trial, data=data, split=SPLIT, exclude=frozenset(), dimensions=(), looks=1)
    )
    return Elsewhere.of(
        report, data=data.source.name, fingerprint=data.fingerprint, tolerance=other.tolerance
    )


def _data(kind: ModelKind, trial: Trial, other: Other) -> DataSet:
    """Return the other set if something can be told by it; see :func:`forgetting`."""
    mend = "name another set with --other, or add --no-forgetting"
    if kind.serves != "embedder":
        raise UsageError(f"a {kind.name} is not tested for forgetting", mend="leave --other out")
    trial.progress("another domain", 0.0)
    data = other.open()
    if SPLIT not in data.qrels:
        raise DataError(f"{data.source}: there is no {SPLIT} split to test it on", mend=mend)
    if shared(trial.data, data) > SHARED:
        raise DataError(f"{data.source} holds documents of {trial.data.source}", mend=mend)
    return data


def shared(one: DataSet, two: DataSet) -> float:
    """Return the share of the passages of ``two`` that ``one`` has, too."""
    known = {document.passage for document in one.corpus.values()}
    found = sum(document.passage in known for document in two.corpus.values())
    return found / max(len(two.corpus), 1)
