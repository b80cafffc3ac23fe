"""Hard negatives for a training whose data brings none: mined by the base, kept for next time."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ragd_tune.data import DataSet
from ragd_tune.data.mine import Mining, mine
from ragd_tune.options import Value
from ragd_tune.pipeline.workshop import Workshop
from ragd_tune.plan import BaseModel, Device

if TYPE_CHECKING:
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
    shop: Workshop, data: DataSet, base: BaseModel, device: Device, options: Mapping[str, Value]
) -> DataSet:
    """Return ``data`` with hard negatives, unless it has some or the options want none.

    They are the passages that ``base`` ranks highest for a query and that answer it not: no other
    answer, no near-duplicate of one, and no passage that scores above 95% of the answer.
    """
    count = options.get("negatives")
    wanted = options.get("mine") == "auto" and isinstance(count, int) and count > 0
    if not wanted or data.negatives or not data.qrels.get("train"):
        return data
    assert isinstance(count, int)
    length = options.get("max_length")
    length = min(LENGTH, length) if isinstance(length, int) else LENGTH
    asked = Mining(per_query=max(count, KEPT), retrievers=("dense",))
    folder = shop.store.root / "mined" / _key(data, base, length)[:16]
    opened: list[ServedModel] = []

    def embed(texts: object, role: object) -> object:
        if not opened:
            shop.progress("loading the base to mine hard negatives", 0.0)
            opened.append(_open(shop, base, device, length))
        return opened[0].embed(texts, role)  # type: ignore[arg-type]

    try:
        found = mine(
            data,
            asked,
            folder,
            embed=embed,  # type: ignore[arg-type]
            encoder=f"{base.fingerprint} {length}",
            progress=shop.progress,
        )
    finally:
        for model in opened:
            model.close()
    for vectors in folder.glob("*/vectors.*"):  # as large as an index, and quickly made again
        vectors.unlink()
    return data.with_negatives(found.negatives)


def _key(data: DataSet, base: BaseModel, length: int) -> str:
    told = f"{data.fingerprint} {base.fingerprint} {length}"
    return hashlib.sha256(told.encode()).hexdigest()


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
