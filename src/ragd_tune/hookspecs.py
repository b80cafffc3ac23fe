"""The contract: every hook that ragd-tune calls, with what it promises and what may be raised.

Three hooks collect declarations from every plugin. Seven are *directed*: each call goes to the
plugin of one backend and to no other (wrappers still run). One is broadcast to observers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ragd_tune.backends import Backend, Limits, LoadRequest, Model, MultiVector, RerankRequest
    from ragd_tune.kinds import ModelKind
    from ragd_tune.objectives import Objective, Rows
    from ragd_tune.plan import Emit, Estimate, Event, Role, TrainPlan, TrainResult

PROJECT = "ragd_tune"
hookspec = pluggy.HookspecMarker(PROJECT)


@hookspec
def ragd_tune_backends() -> Iterable[Backend]:  # type: ignore[empty-body]
    """Return the backends that this plugin brings, as data.

    Called on every plugin when the registry is made; must import no framework.

    .. versionadded:: 0.1
    """


@hookspec
def ragd_tune_model_kinds() -> Iterable[ModelKind]:  # type: ignore[empty-body]
    """Return the kinds of model that this plugin brings.

    Called on every plugin when the registry is made; must import no framework.

    .. versionadded:: 0.1
    """


@hookspec
def ragd_tune_objectives() -> Iterable[Objective]:  # type: ignore[empty-body]
    """Return objectives beyond the core's own.

    Called on every plugin when the registry is made; must import no framework.

    .. versionadded:: 0.1
    """


@hookspec(firstresult=True)
def ragd_tune_estimate(plan: TrainPlan, rows: Rows) -> Estimate | None:
    """Return what ``plan`` will cost on this machine, from a few measured steps.

    Called on the one backend that ``plan.backend`` names, in a worker process, before training.
    Must leave no trace in what is trained afterwards (weights, random state).

    :raises DoesNotFitError: memory ran out; says what would fit.

    .. versionadded:: 0.1
    """


@hookspec(firstresult=True)
def ragd_tune_train(plan: TrainPlan, rows: Rows, emit: Emit) -> TrainResult | None:
    """Train ``plan`` on ``rows``; write the weights under ``plan.out`` and nothing elsewhere.

    Called on the one backend that ``plan.backend`` names, in a worker process. Batches are those
    of ``ragd_tune.objectives.batches``. Call ``emit`` once a step; it may raise ``Stop``: save a
    checkpoint under ``plan.out.parent / "checkpoints"``, then let it pass. A whole checkpoint
    that lies there is resumed from.

    :raises Stop: the run was stopped and can be resumed.
    :raises DoesNotFitError: memory ran out; says what would fit.
    :raises TrainingDivergedError: the loss is not a number; says at which step.

    .. versionadded:: 0.1
    """


@hookspec(firstresult=True)
def ragd_tune_load_adapter(request: LoadRequest) -> Model | None:
    """Load a base model, with an adapter or bare, and return a handle to it.

    Called on the one backend that the core chose from the serve cells. The core has checked
    hashes and the base's fingerprint before.

    :raises TuneError: the files do not make a model; says which.

    .. versionadded:: 0.1
    """


@hookspec(firstresult=True)
def ragd_tune_embed(
    model: Model, texts: Sequence[str], role: Role
) -> NDArray[np.float32] | MultiVector | None:
    """Return vectors of ``texts``, with the prompt that belongs to ``role``.

    Called on the backend that loaded ``model``. Dense vectors are float32 of shape
    (n, dimension), normalised to length 1 where the model's facts say so; an empty ``texts``
    gives shape (0, dimension).

    .. versionadded:: 0.1
    """


@hookspec(firstresult=True)
def ragd_tune_rerank(
    model: Model, requests: Sequence[RerankRequest]
) -> list[NDArray[np.float32]] | None:
    """Return one float32 array of scores a request, in the order of its passages.

    Called on the backend that loaded ``model``; many requests come at once, so that they batch.

    .. versionadded:: 0.1
    """


@hookspec(firstresult=True)
def ragd_tune_generate(model: Model, prompts: Sequence[str], limits: Limits) -> list[str] | None:
    """Return one completion a prompt, without what ended it.

    Called on the backend that loaded ``model``. Prompts go through the tokenizer's chat template
    where the model's facts say so (``settings["chat_template"]``), and a bare base's where it has
    one; see :mod:`ragd_tune.objectives.completion`.

    .. versionadded:: 0.1
    """


@hookspec(firstresult=True)
def ragd_tune_export(model: Model, format: str, out: Path) -> list[Path] | None:
    """Write ``model`` under ``out`` in ``format`` and return the files.

    Called on the backend that loaded ``model``. Formats are the backend's; ``folder`` is one
    that sentence-transformers (and so ragd) loads by its path.

    :raises UsageError: the format is not one that this backend writes; names those that are.

    .. versionadded:: 0.1
    """


@hookspec
def ragd_tune_event(event: Event) -> None:
    """Observe ``event``: progress, logs. Broadcast to every plugin; errors are logged, not fatal.

    .. versionadded:: 0.1
    """


COLLECTED = ("ragd_tune_backends", "ragd_tune_model_kinds", "ragd_tune_objectives")
DIRECTED = (
    "ragd_tune_estimate",
    "ragd_tune_train",
    "ragd_tune_load_adapter",
    "ragd_tune_embed",
    "ragd_tune_rerank",
    "ragd_tune_generate",
    "ragd_tune_export",
)
BROADCAST = ("ragd_tune_event",)
