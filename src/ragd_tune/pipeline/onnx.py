"""A tuned embedder for onnxruntime, and how near it is to the adapter that it was made of."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ragd_tune.errors import TuneError, UsageError
from ragd_tune.export.onnx import (
    TOLERANCES,
    Agreement,
    Form,
    Sample,
    agreement,
    quantise,
)
from ragd_tune.pipeline.exporting import open_adapter
from ragd_tune.pipeline.workshop import Workshop
from ragd_tune.serve.found import facts_of, space_of
from ragd_tune.serve.onnx.folder import GRAPH, Export, digests, own_space, write
from ragd_tune.serve.onnx.load import opened

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ragd_tune.kinds import Served
    from ragd_tune.serve.onnx.model import OnnxModel
    from ragd_tune.store import Entry

FORMAT = "onnx"
BACKEND = "cpu"
"""Who writes graphs, where nobody else is named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """A folder with a graph, what it is, and how near it is to its adapter."""

    out: Path
    export: Export
    agreement: Agreement
    same_space: bool

    @property
    def size(self) -> int:
        """Bytes of the graph."""
        return (self.out / GRAPH).stat().st_size


def export_onnx(
    shop: Workshop,
    ref: str,
    out: Path,
    texts: Sample,
    *,
    form: Form = "fp32",
    force: bool = False,
    backend: str | None = None,
) -> Exported:
    """Write the embedder ``ref`` as a graph, embed ``texts`` by both, and keep it if they agree.

    Everything is made beside ``out`` and moved there whole. In float32, within the tolerance, its
    vectors lie in the adapter's own space; any other export has a space of its own.

    :param force: keep it though it does not agree.
    :raises UsageError: ``out`` is there already, or the adapter is no embedder with one encoder.
    :raises NotInstalledError: what writes or runs graphs is not here.
    :raises TuneError: the two do not agree, or the model cannot be written so.
    """
    if out.exists():
        raise UsageError(f"{out}: is there already", mend="name a folder that is not")
    entry = shop.store.get(ref)
    _must_embed(entry)
    part = out.with_name(f"{out.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        with open_adapter(
            shop.registry, shop.store, entry, device="cpu", backend=backend or BACKEND
        ) as model:
            shop.progress("embedding the sample", 0.0)
            before = _vectors(model, texts)
            shop.progress("writing the graph", 0.0)
            model.export(FORMAT, part)
        if form == "int8":
            shop.progress("quantising", 0.0)
            quantise(part / GRAPH)
        return _kept(entry, part, out, texts, before, form=form, force=force)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _must_embed(entry: Entry) -> None:
    manifest = entry.manifest
    if manifest.objective not in {"contrastive", "similarity"}:
        raise UsageError(
            f"{entry.shown} is a {manifest.kind}: embedders alone are exported to ONNX",
            mend="use --format folder",
        )
    if manifest.side == "query":
        raise UsageError(
            f"{entry.shown} is of the query side: it and its documents' base are two models",
            mend="serve it by ragd_tune.load(), or through the host's hook",
        )


def _vectors(
    model: Served | OnnxModel, texts: Sample
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    import numpy as np

    queries = model.embed(texts.queries, "query")
    documents = model.embed(texts.documents, "document")
    return np.asarray(queries, np.float32), np.asarray(documents, np.float32)


def _kept(
    entry: Entry,
    part: Path,
    out: Path,
    texts: Sample,
    before: tuple[NDArray[np.float32], NDArray[np.float32]],
    *,
    form: Form,
    force: bool,
) -> Exported:
    """Compare what was made with the adapter; describe it and move it to ``out``."""
    export = _described(entry, part, form)
    model = opened(part, export)
    found = agreement(before, _vectors(model, texts))
    model.close()
    wanted = TOLERANCES[form]
    near = found.within(wanted)
    if not near and not force:
        raise TuneError(
            f"the {form} export is too far from its adapter: {found.told()}",
            mend=f"at least {wanted.mean} on average and {wanted.least} for each text are wanted;"
            " export fp32, or keep it all the same by --force",
        )
    same = near and form == "fp32"
    if same:
        export = replace(export, space=space_of(entry.manifest))
    write(part, export, found.to_json())
    part.rename(out)
    return Exported(out=out, export=export, agreement=found, same_space=same)


def _described(entry: Entry, part: Path, form: Form) -> Export:
    """Say what lies in ``part``, in a space of its own."""
    facts, files, base = facts_of(entry.manifest), digests(part), entry.manifest.base
    return Export(
        kind=entry.kind,
        adapter=entry.id,
        base={"name": base.name, "fingerprint": base.fingerprint},
        precision=form,
        facts=facts,
        space=own_space(facts, files),
        files=files,
    )
