"""Hard negatives for a training whose data brings none: mined by a model, kept for next time."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from ragd_tune.data import DataSet
from ragd_tune.data.mine import Mining, mine
from ragd_tune.errors import NotInstalledError
from ragd_tune.options import Value
from ragd_tune.pipeline.workshop import Workshop
from ragd_tune.plan import BaseModel, Device
from ragd_tune.reranking import FIRST_STAGE, Stage

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from ragd_tune.data.generate.roundtrip import Embed
    from ragd_tune.pipeline.opening import Embedders
    from ragd_tune.serve.served import ServedModel

LENGTH = 128
"""Tokens by which passages are compared here, the training's own length if that is less.

Negatives mined by the first 128 tokens trained as good a model as those by 256, at half the time.
"""

KEPT = 4
"""Negatives that are mined for each query at the least: trainings with fewer use the first ones.

Embedding the corpus is what takes time, so that a search over their number mines once.
"""


def with_negatives(
    shop: Workshop,
    data: DataSet,
    base: BaseModel,
    device: Device,
    options: Mapping[str, Value],
    *,
    offline: bool | None = None,
) -> DataSet:
    """Return ``data`` with hard negatives, unless it has some or the options want none.

    ``options`` are all of a run's, those of its proof too. They say whether an embedder is
    trained (``mine``) or a reranker (``negatives_from``).
    """
    if data.negatives or not data.qrels.get("train") or not options.get("negatives"):
        return data
    if options.get("negatives_from") == FIRST_STAGE:
        return _of_first_stage(shop, data, device, options, offline=offline)
    if options.get("mine") == "auto":
        return _of_base(shop, data, base, device, options)
    return data


def is_mined(shop: Workshop, data: DataSet, base: BaseModel, max_length: int) -> bool:
    """Say whether ``base`` mined the negatives of ``data`` before, so that they take no time."""
    folder = _folder(shop, data, _encoder(base, min(LENGTH, max_length)))
    # The vectors are there while it is under way.
    return any(folder.glob("*/mined.jsonl")) and not any(folder.glob("*/vectors.*"))


def _of_first_stage(
    shop: Workshop,
    data: DataSet,
    device: Device,
    options: Mapping[str, Value],
    *,
    offline: bool | None,
) -> DataSet:
    """Return ``data`` with what a reranker's first stage finds and what answers the query not.

    Nothing is left out for being close to the answer, or closer: that the first stage takes it for
    one is what the reranker is to mend. Near-duplicates of an answer and its neighbours are.

    :raises NotInstalledError: the embedder is not here.
    """
    from ragd_tune.pipeline.opening import Embedders

    stage = Stage.of(options)
    if not stage.embedder:
        return data  # the kind finds by keywords itself
    depth = int(str(options["mine_depth"]))
    retrievers = ("bm25", "dense") if stage.keywords else ("dense",)
    asked = Mining(per_query=depth, depth=depth, retrievers=retrievers, margin=None)
    with ExitStack() as stack:
        models = Embedders(shop=shop, stack=stack, device=device, offline=offline)
        encoder = _identity(models, stage.embedder)
        return _mined(shop, data, asked, _embed(models, stage.embedder), encoder)


def _identity(models: Embedders, name: str) -> str:
    try:
        return models.identity(name)
    except NotInstalledError as error:
        raise NotInstalledError(
            f"the first stage that negatives come from is not here: {error.message}",
            mend=f"{error.mend}; or name what is here as --first-stage; or --negatives-from bm25",
        ) from error


def _embed(models: Embedders, name: str) -> Embed:
    """Return a function of texts and a role that gives unit vectors by an embedder."""
    from ragd_tune.evaluate.candidates import vectors
    from ragd_tune.unit import unit

    def embed(texts: Sequence[str], role: str) -> NDArray[np.float32]:
        return unit(vectors(models.embedder(name), texts, name, query=role == "query"))

    return embed


def _of_base(
    shop: Workshop, data: DataSet, base: BaseModel, device: Device, options: Mapping[str, Value]
) -> DataSet:
    """Return ``data`` with the passages that ``base`` ranks highest and that are no answer.

    Left out are other answers, near-duplicates of one, and passages that score above 95% of the
    answer.
    """
    count, length = int(str(options["negatives"])), options.get("max_length")
    length = min(LENGTH, length) if isinstance(length, int) else LENGTH
    asked = Mining(per_query=max(count, KEPT), retrievers=("dense",))
    opened: list[ServedModel] = []

    def embed(texts: object, role: object) -> object:
        if not opened:
            shop.progress("loading the base to mine hard negatives", 0.0)
            opened.append(_open(shop, base, device, length))
        return opened[0].embed(texts, role)  # type: ignore[arg-type]

    try:
        return _mined(shop, data, asked, embed, _encoder(base, length))  # type: ignore[arg-type]
    finally:
        for model in opened:
            model.close()


def _mined(shop: Workshop, data: DataSet, asked: Mining, embed: Embed, encoder: str) -> DataSet:
    """Mine, or read what was mined before, and return ``data`` with it."""
    folder = _folder(shop, data, encoder)
    found = mine(data, asked, folder, embed=embed, encoder=encoder, progress=shop.progress)
    for vectors in folder.glob("*/vectors.*"):  # as large as an index, and quickly made again
        vectors.unlink()
    return data.with_negatives(found.negatives)


def _encoder(base: BaseModel, length: int) -> str:
    return f"{base.fingerprint} {length}"


def _folder(shop: Workshop, data: DataSet, encoder: str) -> Path:
    key = hashlib.sha256(f"{data.fingerprint} {encoder}".encode()).hexdigest()
    return shop.store.root / "mined" / key[:16]


def _open(shop: Workshop, base: BaseModel, device: Device, length: int) -> ServedModel:
    from ragd_tune.serve import open_model

    return open_model(
        shop.registry,
        objective="contrastive",
        format="base",
        base=base,
        device=device,
        max_length=length,
        precision="auto",
    )
