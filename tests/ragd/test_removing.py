"""An adapter that ragd's configuration names, or would come back to, is not taken away silently."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.ragd.hosted import activate

from ragd_tune.cli import run
from ragd_tune.errors import StoreError
from ragd_tune.pipeline import hosting, removing
from ragd_tune.pipeline.host_plan import plan_activation
from ragd_tune.pipeline.workshop import Workshop


@pytest.fixture
def shop(bench: Any) -> Workshop:
    """Return a home in which ragd has indexed a document by the base."""
    base = bench.embedder()
    bench.index.add("one", ["a harbour"], lambda some: base.embed_documents(some).tolist())
    write(bench, f"embedding: {{model: {bench.base}, dimension: 16}}")
    return Workshop(registry=bench.registry, store=bench.store)


def write(bench: Any, line: str) -> None:
    path = bench.home / ".ragd" / "config.yaml"
    path.write_text(f"{line}\nstorage: {{data_dir: {bench.home / '.ragd'}}}\n", encoding="utf-8")


def test_what_ragd_embeds_with_is_not_removed_though_it_serves_no_more(
    bench: Any, shop: Workshop
) -> None:
    entry = bench.train("mine")
    activate(shop, "mine")
    bench.store.rollback("embedder")  # in the store alone: ragd still has it
    with pytest.raises(StoreError, match=r"names mine as embedding\.model") as caught:
        removing.remove(bench.store, "mine")
    assert "rollback" in caught.value.mend
    assert bench.store.get("mine").id == entry.id


@pytest.mark.parametrize("key", ["embedding.adapter_path", "retrieval.reranker_path"])
@pytest.mark.parametrize("way", ["name", "id", "path"])
def test_every_key_and_every_way_of_naming_it_counts(bench: Any, key: str, way: str) -> None:
    entry = bench.train("mine")
    ref = {"name": "mine", "id": entry.id[:8], "path": str(entry.path)}[way]
    section, name = key.split(".")
    write(bench, f"{section}: {{{name}: '{ref}'}}")
    with pytest.raises(StoreError, match=key):
        removing.remove(bench.store, "mine")
    other = bench.train("other", seed=3)
    assert removing.remove(bench.store, "other").id == other.id


def test_the_command_refuses_and_says_what_a_rollback_would_miss(
    bench: Any, shop: Workshop, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.train("one")
    bench.train("two", seed=3)
    activate(shop, "one")
    activate(shop, "two")
    assert run(["adapters", "remove", "two", "--yes"]) == 1
    assert "two" in capsys.readouterr().err
    assert run(["adapters", "remove", "one", "--yes"]) == 0
    assert "a rollback of ragd would come back to one" in capsys.readouterr().err


@pytest.mark.parametrize("gone", ["adapter", "index"])
def test_a_rollback_to_what_is_gone_changes_nothing(bench: Any, shop: Workshop, gone: str) -> None:
    config: Path = bench.home / ".ragd" / "config.yaml"
    bench.train("one")
    bench.train("two", seed=3)
    activate(shop, "one")
    held = plan_activation(shop, "one").source
    activate(shop, "two")
    before = config.read_bytes()
    if gone == "adapter":
        removing.remove(bench.store, "one")
    else:
        shutil.rmtree(held)
    with pytest.raises(StoreError, match="gone"):
        hosting.roll_back(shop)
    assert config.read_bytes() == before
    active = bench.store.active("embedder")
    assert active is not None
    assert active.id == bench.store.get("two").id
    assert not (bench.store.root / "host" / "pending.json").exists()


def test_a_view_that_is_gone_is_made_again_by_a_rollback(bench: Any, shop: Workshop) -> None:
    entry = bench.train("one")
    bench.train("two", seed=3)
    activate(shop, "one")
    activate(shop, "two")
    shutil.rmtree(bench.store.view_dir(entry.id))
    hosting.roll_back(shop)
    assert bench.store.view_dir(entry.id).is_dir()
