"""From the folder of an export to an embedder, everything about it checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ragd_tune.errors import StoreError, UsageError
from ragd_tune.kinds import Slot
from ragd_tune.plan import Device, ModelFacts
from ragd_tune.registry import Registry
from ragd_tune.serve.embedder import Embedder
from ragd_tune.serve.onnx.folder import GRAPH, TOKENIZER, Export, is_export, read
from ragd_tune.serve.onnx.model import OnnxModel
from ragd_tune.serve.served import ServedModel, cut


class _Served(ServedModel):
    """An export where a backend's model is expected; its vectors are checked as any backend's."""

    def __init__(self, model: OnnxModel, facts: ModelFacts) -> None:
        super().__init__(Registry(), "onnx", "cpu", model, facts=facts)
        self._graph = model

    def _call(self, hook: str, **arguments: Any) -> Any:
        if self._model is None:
            raise UsageError("this model is closed", mend="open it again")
        if hook != "ragd_tune_embed":
            raise UsageError("an export to ONNX embeds, and does nothing else")
        whole = self.facts.dimension == self._graph.facts.dimension
        dimension = None if whole else self.facts.dimension
        return self._graph.embed(**arguments, dimension=dimension)


def asked(
    ref: str | Path, *, slot: Slot | None, device: Device | None, backend: str | None
) -> Path | None:
    """Return the folder where ``ref`` is that of an export; None where it is something else.

    :raises UsageError: the export is asked to be what it is not.
    """
    if not is_export(ref):
        return None
    if slot not in (None, "embedder"):
        raise UsageError(
            f"{ref} is an embedder (an export to ONNX)", mend=f"name an adapter that is a {slot}"
        )
    if device not in (None, "cpu") or backend is not None:
        raise UsageError(
            f"{ref} is an export to ONNX: onnxruntime runs it on the processor",
            mend="leave device and backend out, or load the adapter itself",
        )
    return Path(ref)


def load(folder: Path, *, dimension: int | None = None, lazy: bool = False) -> Embedder:
    """Return the embedder in ``folder``; every byte that is loaded is checked before.

    :param dimension: cut the vectors to their first values (Matryoshka).
    :param lazy: check now, and load at the first call, after a second check.
    :raises StoreError: a file is missing or has changed.
    :raises UsageError: it has no such dimension.
    :raises NotInstalledError: what runs it is not here.
    """
    folder = folder.expanduser().resolve()
    export = read(folder)
    facts = cut(export.facts, dimension)

    def open_() -> ServedModel:
        if lazy and read(folder).id != export.id:
            raise StoreError(f"{folder} was replaced by another export", mend="load it again")
        return _Served(opened(folder, export), facts)

    embedder = Embedder(
        open_,
        id=export.id,
        name=folder.name,
        facts=facts,
        space=lambda _: export.space_of(dimension),
    )
    if not lazy:
        embedder.load()
    return embedder


def opened(folder: Path, export: Export) -> OnnxModel:
    """Load the graph of an export that was checked."""
    return OnnxModel(folder / GRAPH, folder / TOKENIZER, export.facts)
