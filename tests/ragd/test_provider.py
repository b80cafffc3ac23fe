"""What ragd gets when it asks the provider: the right model, or an error that names the mend."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ragd_tune.errors import StoreError, UsageError
from ragd_tune.ragd.marker import Marker, read_marker
from ragd_tune.ragd.protocols import HostReranker
from ragd_tune.ragd.provider import get_embedder, get_reranker

TEXTS = ["a harbour at night", "an olive tree"]


def ask(bench: Any, config: Any) -> Any:
    return get_embedder(config, home=bench.store.root, registry=bench.registry)


def test_a_plain_name_gives_the_base_by_ragds_own_protocol(bench: Any) -> None:
    found = ask(bench, bench.config())
    own = bench.embedder()
    assert found.model_name == str(bench.base)
    assert not found.is_loaded()
    assert found.embed(TEXTS) == own.embed_documents(TEXTS).tolist()
    assert found.embed_single(TEXTS[0]) == own.embed_queries(TEXTS[:1])[0].tolist()
    assert found.is_loaded()
    assert found.dimension == 16
    assert found.embed([]) == []


def test_ragds_own_model_of_the_configuration_serves_as_well_as_a_mapping(bench: Any) -> None:
    raw = bench.config()
    config = SimpleNamespace(
        embedding=SimpleNamespace(**raw["embedding"]),
        storage=SimpleNamespace(data_dir=Path(raw["storage"]["data_dir"]), chroma_dir="chroma"),
    )
    assert ask(bench, config).embed(TEXTS) == ask(bench, raw).embed(TEXTS)


@pytest.mark.parametrize("by", ["adapter_path", "custom_model_path", "folder", "view"])
def test_every_planned_key_leads_to_the_adapter(bench: Any, by: str) -> None:
    entry = bench.train("mine")
    keys = {
        "adapter_path": {"adapter_path": "mine"},
        "custom_model_path": {"model": "custom", "custom_model_path": "mine"},
        "folder": {"model": "custom", "custom_model_path": str(entry.path)},
        "view": {"model": str(bench.store.view_dir(entry.id))},
    }
    found = ask(bench, bench.config(**keys[by]))
    assert found.embed(TEXTS) == bench.embedder("mine").embed_documents(TEXTS).tolist()
    assert found.ids == (entry.id, entry.id)


def test_a_custom_path_may_be_a_plain_models_folder(bench: Any) -> None:
    config = bench.config(model="custom", custom_model_path=str(bench.base))
    assert ask(bench, config).embed(TEXTS) == bench.embedder().embed_documents(TEXTS).tolist()


def test_custom_without_a_path_is_an_error(bench: Any) -> None:
    with pytest.raises(UsageError, match="custom_model_path"):
        ask(bench, bench.config(model="custom"))


def test_a_missing_adapter_is_never_replaced_by_the_base(bench: Any) -> None:
    with pytest.raises(StoreError, match="the embedder gone cannot be used") as caught:
        ask(bench, bench.config(adapter_path="gone"))
    assert "ragd-tune adapters rollback embedder" in caught.value.mend


def test_a_damaged_adapter_is_never_replaced_by_the_base(bench: Any) -> None:
    entry = bench.train("mine")
    weights = next(entry.path.glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-1] + b"\0")
    with pytest.raises(StoreError, match="mine"):
        ask(bench, bench.config(adapter_path="mine"))


def test_an_active_query_adapter_embeds_queries_and_leaves_documents_to_the_base(
    bench: Any,
) -> None:
    entry = bench.train("asks", side="query")
    bench.store.activate("asks", "embedder")
    found = ask(bench, bench.config())
    assert found.embed(TEXTS) == bench.embedder().embed_documents(TEXTS).tolist()
    query = bench.embedder("asks").embed_queries(TEXTS[:1])[0].tolist()
    assert found.embed_single(TEXTS[0]) == query
    assert found.ids[1] == entry.id
    assert found.space == bench.embedder().space


def test_an_active_query_adapter_of_another_base_is_refused(bench: Any, tmp_path: Path) -> None:
    from ragd_tune.testing.fakes import make_base

    bench.train("asks", side="query")
    bench.store.activate("asks", "embedder")
    other = make_base(tmp_path / "other", seed=7)
    with pytest.raises(StoreError, match="searches the space"):
        ask(bench, bench.config(model=str(other)))


def test_an_active_adapter_of_both_sides_waits_for_the_configuration_to_name_it(bench: Any) -> None:
    bench.train("mine")
    bench.store.activate("mine", "embedder")
    found = ask(bench, bench.config())
    assert found.embed(TEXTS) == bench.embedder().embed_documents(TEXTS).tolist()


def test_an_adapter_is_refused_an_index_that_the_base_made(bench: Any) -> None:
    bench.train("mine")
    base = bench.embedder()
    bench.index.add("one", TEXTS, lambda texts: base.embed_documents(texts).tolist())
    with pytest.raises(StoreError, match="was not made with mine") as caught:
        ask(bench, bench.config(adapter_path="mine"))
    assert "ragd-tune host reindex" in caught.value.mend


def test_the_base_is_refused_an_index_that_an_adapter_made(bench: Any) -> None:
    bench.train("mine")
    found = ask(bench, bench.config(adapter_path="mine"))
    bench.index.add("one", TEXTS, found.embed)
    with pytest.raises(StoreError, match="holds vectors of mine"):
        ask(bench, bench.config())
    again = ask(bench, bench.config(adapter_path="mine"))
    assert again.space == found.space


def test_an_empty_index_is_noted_as_the_adapters_before_anything_is_put_into_it(bench: Any) -> None:
    entry = bench.train("mine")
    found = ask(bench, bench.config(adapter_path="mine"))
    noted = read_marker(bench.index.folder)
    assert noted is not None
    assert (noted.space, noted.model, noted.dimension) == (found.space, entry.id, 16)


def test_an_index_that_is_being_built_is_refused_to_everyone(bench: Any) -> None:
    bench.index.add("one", TEXTS, lambda texts: bench.embedder().embed_documents(texts).tolist())
    Marker(
        space=bench.embedder().space, model="f" * 64, name="x", dimension=16, state="building"
    ).write(bench.index.folder)
    with pytest.raises(StoreError, match="not finished"):
        ask(bench, bench.config())


class Lengths:
    """A reranker that likes short passages."""

    def rerank(self, query: str, passages: Sequence[str]) -> Any:
        return np.array([-len(one) for one in passages], np.float32)


@pytest.mark.parametrize("shape", ["object", "dict", "text"])
def test_results_of_any_shape_come_back_as_they_are_in_the_models_order(shape: str) -> None:
    texts = ["longest of all", "mid", "short", "s"]
    made: dict[str, list[Any]] = {
        "object": [SimpleNamespace(content=one) for one in texts],
        "dict": [{"content": one} for one in texts],
        "text": list(texts),
    }
    results = made[shape]
    found = HostReranker(Lengths()).rerank("query", results)
    assert [results.index(one) for one in found] == [3, 1, 2, 0]
    assert HostReranker(Lengths()).rerank("query", results, top_k=2) == found[:2]


def test_equal_scores_keep_the_order_of_the_search() -> None:
    results = ["bb", "aa", "cc"]
    assert HostReranker(Lengths()).rerank("query", results) == results
    assert HostReranker(Lengths()).rerank("query", []) == []


def test_no_active_reranker_is_none(bench: Any) -> None:
    assert get_reranker({}, home=bench.store.root, registry=bench.registry) is None


def test_a_reranker_that_is_missing_is_an_error_with_the_way_back(bench: Any) -> None:
    config = {"retrieval": {"reranker_path": "gone"}}
    with pytest.raises(StoreError, match="the reranker gone") as caught:
        get_reranker(config, home=bench.store.root, registry=bench.registry)
    assert "adapters rollback reranker" in caught.value.mend


@pytest.mark.parametrize(
    ("key", "value"), [("dimension", "many"), ("batch_size", True), ("late_chunking", "yes")]
)
def test_a_value_of_the_wrong_type_is_named_by_its_key(bench: Any, key: str, value: Any) -> None:
    with pytest.raises(UsageError, match=f"embedding.{key}"):
        ask(bench, bench.config(**{key: value}))


def test_the_entry_points_lead_to_the_provider() -> None:
    from importlib.metadata import entry_points

    (embedders,) = entry_points(group="ragd.embedders", name="ragd-tune")
    (rerankers,) = entry_points(group="ragd.rerankers", name="ragd-tune")
    assert embedders.load() is get_embedder
    assert rerankers.load() is get_reranker
