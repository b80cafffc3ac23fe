"""An adapter activated for ragd, in a home where ragd has indexed two documents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ragd_tune.pipeline import hosting
from ragd_tune.pipeline.host_plan import plan_activation
from ragd_tune.pipeline.workshop import Workshop
from ragd_tune.ragd import configfile
from ragd_tune.ragd.provider import get_embedder


def activate(shop: Workshop, ref: str, **more: Any) -> None:
    hosting.carry_out(shop, plan_activation(shop, ref, **more))


def activated_with_a_document_since(bench: Any, shop: Workshop, config: Path) -> Any:
    """Activate an adapter, and return the new index with one document that came after that."""
    bench.train("mine")
    activate(shop, "mine")
    written = configfile.parse(config.read_bytes(), "c")
    found = get_embedder(written, home=shop.store.root, registry=bench.registry)
    new = type(bench.index)(bench.home / ".ragd" / written["storage"]["chroma_dir"])
    new.add("since", ["indexed after the switch"], found.embed)
    return new
