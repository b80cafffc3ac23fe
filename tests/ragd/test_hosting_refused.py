"""What plain ragd can use of an adapter, and what is refused with the way that works."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.ragd.hosted import activate

from ragd_tune.errors import StoreError, UsageError
from ragd_tune.pipeline import host_index, hosting
from ragd_tune.pipeline.host_plan import plan_activation
from ragd_tune.pipeline.workshop import Workshop
from ragd_tune.ragd import configfile, hooking, reindex
from ragd_tune.ragd.provider import get_embedder
from ragd_tune.testing.fakes import make_base


@pytest.mark.parametrize("way", ["query", "prompts"])
def test_what_plain_ragd_cannot_use_is_refused_with_the_way_that_works(
    bench: Any, shop: Workshop, way: str
) -> None:
    more = {"side": "query"} if way == "query" else {"query": "ask: ", "document": "tell: "}
    bench.train("mine", **more)
    with pytest.raises(UsageError, match="plain ragd cannot use mine") as caught:
        plan_activation(shop, "mine")
    assert "ragd-tune host enable" in caught.value.mend


def test_a_query_adapter_needs_no_embedding_and_leaves_index_and_model(
    bench: Any, shop: Workshop, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hooking, "is_enabled", lambda: True)
    before, index = config.read_bytes(), bench.index.files()
    entry = bench.train("mine", side="query")
    plan = plan_activation(shop, "mine")
    assert (plan.target, plan.chunks) == (None, 0)
    hosting.carry_out(shop, plan)
    assert (config.read_bytes(), bench.index.files()) == (before, index)
    told = host_index.reindex(shop, "mine")
    assert "nothing needs embedding again" in told.sentence
    found = get_embedder(
        configfile.parse(before, "c"), home=shop.store.root, registry=bench.registry
    )
    assert found.ids[1] == entry.id


def test_a_query_adapter_searches_its_bases_space_whatever_it_was_trained_with(
    bench: Any, shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hooking, "is_enabled", lambda: True)
    entry = bench.train("mine", side="query", length=5, query="ask: ", document="tell: ")
    assert entry.manifest.max_length == 5
    assert entry.manifest.space == bench.embedder().space
    assert plan_activation(shop, "mine").target is None


def test_a_query_adapter_is_refused_where_the_index_is_not_its_bases(
    bench: Any, shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hooking, "is_enabled", lambda: True)
    bench.index.add("odd", ["x"], lambda some: [[1.0] + [0.0] * 15 for _ in some])
    bench.train("mine", side="query")
    with pytest.raises(StoreError, match="are not those of"):
        plan_activation(shop, "mine")


def test_an_adapter_of_another_base_than_ragds_is_told(
    bench: Any, shop: Workshop, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.train("mine")
    other = make_base(tmp_path / "other", seed=9)
    config.write_text(config.read_text().replace(str(bench.base), str(other)))
    (told, _) = plan_activation(shop, "mine").notes
    assert f"made from fake-base and proven against it, and ragd has {other}" in told
    bench.train("asks", side="query")
    monkeypatch.setattr(hooking, "is_enabled", lambda: True)
    monkeypatch.setattr(reindex, "differs", lambda *_: False)
    with pytest.raises(StoreError, match="embeds") as caught:
        plan_activation(shop, "asks")
    assert caught.value.mend.endswith(f"--side query --base {other}")


def test_prompts_that_differ_get_a_view_that_plain_ragd_cannot_load(
    bench: Any, shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hooking, "is_enabled", lambda: True)
    entry = bench.train("mine", query="ask: ", document="tell: ")
    activate(shop, "mine")
    held = {path.name for path in shop.store.view_dir(entry.id).iterdir()}
    assert held == {"READ-ME.txt", "ragd-tune-view.json"}


@pytest.mark.parametrize("key", ["embedding.late_chunking", "security.encryption"])
def test_an_index_that_ragd_makes_otherwise_is_refused_with_a_reason(
    bench: Any, shop: Workshop, config: Path, key: str
) -> None:
    bench.train("mine")
    more = {
        "embedding.late_chunking": b"embedding:\n  late_chunking: true\n",
        "security.encryption": b"security: {encryption: {enabled: true}}\n",
    }
    raw = config.read_bytes()
    config.write_bytes(
        raw.replace(b"embedding:\n", more[key]) if "late" in key else raw + more[key]
    )
    with pytest.raises(UsageError, match=r"late chunking|encrypted"):
        plan_activation(shop, "mine")
