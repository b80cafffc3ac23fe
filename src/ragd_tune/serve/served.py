"""A loaded model behind the plugin hooks: directed calls, and answers that are checked."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from ragd_tune.backends import (
    Computed,
    Limits,
    LoadRequest,
    Model,
    MultiVector,
    Precision,
    RerankRequest,
)
from ragd_tune.choose import choose_server
from ragd_tune.errors import PluginError, TuneError, UsageError
from ragd_tune.interchange.quantised import makers
from ragd_tune.plan import BaseModel, Device, ModelFacts, Role, Side
from ragd_tune.registry import Registry

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_log = logging.getLogger(__name__)


class ServedModel:
    """A model, the backend that loaded it, and the registry that reaches that backend alone.

    Implements :class:`ragd_tune.kinds.Served`. Leaving a ``with`` block closes it.
    """

    def __init__(
        self,
        registry: Registry,
        backend: str,
        device: Device,
        model: Model,
        *,
        facts: ModelFacts | None = None,
        objective: str = "",
    ) -> None:
        self._registry = registry
        self._model: Model | None = model
        self._facts = facts or model.facts
        self.backend = backend
        self.device = device
        self.objective = objective

    @property
    def facts(self) -> ModelFacts:
        """What was loaded."""
        return self._facts

    @property
    def precision(self) -> Computed:
        """What the backend computes in; float32 where it says nothing."""
        return "bf16" if getattr(self._model, "precision", None) == "bf16" else "fp32"

    def embed(self, texts: Sequence[str], role: Role) -> NDArray[np.float32] | MultiVector:
        """Return vectors of ``texts``: float32 (n, dimension), or many a text.

        :raises PluginError: the backend's answer has another shape or dtype, or is not finite.
        """
        from ragd_tune.serve.answers import check_dense, check_multi

        texts = checked(texts, "texts")
        answer = self._call("ragd_tune_embed", texts=texts, role=role)
        if isinstance(answer, MultiVector):
            return check_multi(answer, len(texts), self._facts, self.backend)
        return check_dense(answer, len(texts), self._facts, self.backend)

    def rerank(self, requests: Sequence[RerankRequest]) -> list[NDArray[np.float32]]:
        """Return one float32 array of scores a request, in the order of its passages.

        Those of a late-interaction model are the core's MaxSim over the vectors that it embeds.

        :raises PluginError: as :meth:`embed`.
        """
        from ragd_tune.serve.answers import check_scores

        if self.objective == "late_interaction":
            from ragd_tune.serve import late

            return late.rerank(self.embed, requests)
        answer = self._call("ragd_tune_rerank", requests=list(requests))
        return check_scores(answer, [len(one.passages) for one in requests], self.backend)

    def generate(self, prompts: Sequence[str], limits: Limits) -> list[str]:
        """Return one completion a prompt.

        :raises PluginError: the backend answers another number of texts.
        """
        from ragd_tune.serve.answers import check_texts

        prompts = checked(prompts, "prompts")
        answer = self._call("ragd_tune_generate", prompts=prompts, limits=limits)
        return check_texts(answer, len(prompts), self.backend)

    def export(self, format: str, out: Path) -> list[Path]:
        """Write the model under ``out`` in ``format`` and return the files.

        :raises UsageError: the backend does not write this format; names those that it does.
        :raises PluginError: a file that it names does not exist.
        """
        files: list[Path] = list(self._call("ragd_tune_export", format=format, out=out))
        for one in files:
            if not one.exists():
                raise PluginError(f"the backend {self.backend} did not write {one}")
        return files

    def close(self) -> None:
        """Give the memory back; a second call does nothing."""
        model, self._model = self._model, None
        if model is not None:
            model.close()

    def _call(self, hook: str, **arguments: object) -> Any:
        if self._model is None:
            raise UsageError("this model is closed", mend="open it again")
        return self._registry.call(self.backend, hook, model=self._model, **arguments)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def open_model(
    registry: Registry,
    *,
    objective: str,
    format: str,
    base: BaseModel,
    adapter: Path | None = None,
    facts: ModelFacts | None = None,
    device: Device | None = None,
    backend: str | None = None,
    dimension: int | None = None,
    max_length: int | None = None,
    precision: Precision = "fp32",
    side: Side = "both",
) -> ServedModel:
    """Load a base, bare or with an adapter, by the best backend whose serve cells allow it.

    ``device`` and ``backend`` narrow the choice; ``dimension`` cuts the vectors (Matryoshka). An
    adapter of the ``side`` ``query`` goes to a backend that leaves documents to the bare base.
    Hashes and the base's fingerprint are the caller's to check before.

    :raises NoBackendError: no installed backend loads this, or computes this base; has every
        backend's reason.
    :raises PluginError: the backend named is broken, or what it loads is not as ``facts`` say.
    :raises UsageError: ``dimension`` is more than the model has.
    """
    if facts is not None:
        check_dimension(dimension, facts)
    if backend is not None:
        registry.backend(backend)  # a broken or missing one says so, rather than "no backend can"
    choice = choose_server(
        registry.offers() if backend else makers(registry.offers(), facts),
        objective=objective,
        format=format,
        side=side,
        device=device,
        backend=backend,
        base=base,
    )
    name = choice.backend.name
    request = LoadRequest(
        objective=objective,
        format=format,
        base=base,
        device=choice.device,
        adapter=adapter,
        facts=facts,
        max_length=max_length,
        dimension=dimension,
        precision=precision,
        side=side,
    )
    _log.info("loading %s (%s) by %s on %s", base.name, format, name, choice.device)
    model = registry.call(name, "ragd_tune_load_adapter", request=request)
    try:
        served = _served_facts(model, facts, dimension, name)
    except TuneError:
        _close(model)
        raise
    return ServedModel(registry, name, choice.device, model, facts=served, objective=objective)


def check_dimension(dimension: int | None, facts: ModelFacts) -> None:
    """Refuse a dimension that a model does not have; note one that it was not trained for.

    :raises UsageError: names the dimensions that were trained.
    """
    if dimension is None:
        return
    trained = sorted({facts.dimension, *facts.dimensions}, reverse=True)
    if not 1 <= dimension <= facts.dimension:
        raise UsageError(
            f"dimension {dimension} is not from 1 to {facts.dimension}",
            mend=f"trained are {', '.join(map(str, trained))}",
        )
    if dimension not in trained:
        _log.warning("dimension %d was not trained; trained are %s", dimension, trained)


def _served_facts(
    model: Model, wanted: ModelFacts | None, dimension: int | None, backend: str
) -> ModelFacts:
    """Return the facts of what is served: a backend may tell the whole dimension or the cut one.

    :raises PluginError: the model is not as the manifest says.
    """
    found = getattr(model, "facts", None)
    if not isinstance(found, ModelFacts):
        raise PluginError(f"the backend {backend} loads a model without facts")
    whole = wanted.dimension if wanted is not None else found.dimension
    if found.dimension not in {whole, dimension}:
        raise PluginError(
            f"the backend {backend} loaded a model of dimension {found.dimension}, not {whole}"
        )
    return cut(found, dimension)


def _close(model: Model) -> None:
    with contextlib.suppress(AttributeError):  # what has no facts may have no close() either
        model.close()


def cut(facts: ModelFacts, dimension: int | None) -> ModelFacts:
    """Return the facts of a model whose vectors are cut to ``dimension``.

    :raises UsageError: it has fewer.
    """
    if dimension is None or dimension == facts.dimension:
        return facts
    check_dimension(dimension, facts)
    kept = tuple(one for one in facts.dimensions if one <= dimension)
    return replace(facts, dimension=dimension, dimensions=kept)


def checked(texts: Sequence[str], what: str) -> list[str]:
    """Return ``texts`` as a list; one text is not taken for its letters."""
    if isinstance(texts, str):
        raise UsageError(f"{what} is one text", mend="give a list of texts")
    found = list(texts)
    for index, text in enumerate(found):
        if not isinstance(text, str):
            raise UsageError(f"{what}[{index}] is {type(text).__name__}, not a text")
    return found
