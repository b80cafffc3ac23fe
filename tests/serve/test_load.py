from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ragd_tune
from ragd_tune.errors import (
    BaseMismatchError,
    NotInstalledError,
    RefusedAdapterError,
    StoreError,
    UsageError,
)
from ragd_tune.models import bases, fingerprint
from ragd_tune.plan import BaseModel
from ragd_tune.serve import Embedder, load_base
from ragd_tune.serve.load import load

TEXTS = ["harbour lamp copper", "garden ladder", "a letter to the island"]


def opened(shop: Any, ref: Any, **more: Any) -> Embedder:
    model = load(ref, home=shop.store.root, registry=shop.registry, offline=True, **more)
    assert isinstance(model, Embedder)
    return model


def bare(shop: Any, **more: Any) -> Embedder:
    return load_base(
        str(shop.base.path), home=shop.store.root, registry=shop.registry, offline=True, **more
    )


# -- finding it ----------------------------------------------------------------------------------


def test_the_packages_own_name_is_this_function() -> None:
    assert ragd_tune.load is load


@pytest.mark.parametrize("tuning", ["lora", "full"])
def test_an_adapter_loads_by_name_id_prefix_and_folder_alike(shop: Any, tuning: str) -> None:
    entry = shop.train("mine", tuning=tuning)
    refs = ["mine", entry.id, entry.id[:8], entry.path, str(entry.path)]
    found = [opened(shop, ref) for ref in refs]
    assert {one.id for one in found} == {entry.id}
    assert {one.space for one in found} == {entry.manifest.space}
    first = found[0].embed_documents(TEXTS)
    for one in found[1:]:
        np.testing.assert_array_equal(one.embed_documents(TEXTS), first)
    assert np.abs(first - bare(shop).embed_documents(TEXTS)).max() > 1e-3


def test_a_copied_adapter_loads_from_anywhere(shop: Any, tmp_path: Path) -> None:
    entry = shop.train("mine")
    shutil.copytree(entry.path, tmp_path / "copy")
    found = opened(shop, tmp_path / "copy")
    assert (found.id, found.model_name) == (entry.id, "copy")


@pytest.mark.parametrize("ref", ["nobody", "abcdef0123", "./nowhere", "~/nowhere"])
def test_what_is_not_there_is_told_so(shop: Any, ref: str) -> None:
    with pytest.raises(StoreError):
        opened(shop, ref)


def test_a_changed_byte_is_refused_before_anything_is_loaded(shop: Any) -> None:
    entry = shop.train("mine")
    weights = entry.path / "adapter_model.safetensors"
    raw = bytearray(weights.read_bytes())
    raw[-5] ^= 1
    weights.write_bytes(raw)
    shop.plugin.calls.clear()
    for ref in ("mine", entry.path):
        with pytest.raises(RefusedAdapterError, match="wrong hash"):
            opened(shop, ref)
    assert shop.plugin.calls == []


def test_a_pickle_in_a_folder_from_elsewhere_is_refused(shop: Any, tmp_path: Path) -> None:
    shutil.copytree(shop.train("mine").path, tmp_path / "copy")
    (tmp_path / "copy" / "extra.bin").write_bytes(b"\x80\x02")
    with pytest.raises(RefusedAdapterError, match="pickle"):
        opened(shop, tmp_path / "copy")


def test_an_adapter_of_another_slot_is_no_embedder(shop: Any, tmp_path: Path) -> None:
    shutil.copytree(shop.train("mine").path, tmp_path / "copy")
    path = tmp_path / "copy" / "ragd-tune.json"
    raw = json.loads(path.read_bytes())
    raw |= {"kind": "cross-encoder", "dimension": 0}
    path.write_text(json.dumps(raw), encoding="utf-8")
    with pytest.raises(UsageError, match="cross-encoder"):
        opened(shop, tmp_path / "copy")


# -- its base ------------------------------------------------------------------------------------


def test_a_base_that_changed_is_refused_with_both_fingerprints(shop: Any) -> None:
    shop.train("mine")
    config = shop.base.path / "config.json"
    config.write_text(config.read_text(encoding="utf-8").replace("fake", "other"), encoding="utf-8")
    with pytest.raises(NotInstalledError, match=f"has no base {shop.base.fingerprint[:12]}"):
        opened(shop, "mine")


def test_another_model_under_the_bases_name_is_refused(
    shop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.train("mine")
    shutil.rmtree(shop.store.root / "bases")
    other = BaseModel(name="fake-base", path=shop.base.path, fingerprint="ab" * 32, source="cache")
    monkeypatch.setattr(bases, "resolve_named", lambda *args, **more: other)
    with pytest.raises(BaseMismatchError) as refused:
        opened(shop, "mine")
    assert "ab" * 6 in refused.value.message
    assert shop.base.fingerprint[:12] in refused.value.message


def test_a_bare_base_has_its_fingerprint_as_id_and_a_space_of_its_own(shop: Any) -> None:
    found = bare(shop)
    assert found.id == shop.base.fingerprint == fingerprint(shop.base.path)
    assert found.space != opened(shop, shop.train("mine").id).space
    assert found.is_loaded


# -- ragd's protocol -----------------------------------------------------------------------------


def test_an_embedder_speaks_ragds_protocol(shop: Any) -> None:
    shop.train("mine")
    with opened(shop, "mine") as found:
        rows = found.embed(TEXTS)
        assert [[type(value) for value in row] for row in rows] == [[float] * 16] * 3
        # One text alone goes through other kernels than three: the last digit may differ.
        assert found.embed_single(TEXTS[0]) == pytest.approx(rows[0], abs=1e-6)
        assert (found.dimension, found.model_name, found.is_loaded) == (16, "mine", True)
        assert found.embed([]) == []
        for make in (found.embed_queries, found.embed_documents):
            vectors = make(TEXTS)
            assert vectors.dtype == np.float32
            np.testing.assert_allclose(vectors, rows, atol=1e-7)
    with pytest.raises(UsageError, match="closed"):
        found.embed(TEXTS)
    assert not found.is_loaded


PROMPTS = {"query_prompt": "find: ", "document_prompt": "text: "}


def test_embedding_without_a_role_is_refused_where_the_prompts_differ(shop: Any) -> None:
    shop.train("mine", **PROMPTS)
    found = opened(shop, "mine")
    assert not found.symmetric
    for ask in (lambda: found.embed(TEXTS), lambda: found.embed_single(TEXTS[0])):
        with pytest.raises(UsageError, match="embeds queries and documents differently") as refused:
            ask()
        assert "embed_queries() or embed_documents()" in refused.value.mend
    queries, documents = found.embed_queries(TEXTS), found.embed_documents(TEXTS)
    assert np.abs(queries - documents).max() > 1e-3
    np.testing.assert_allclose(found.embed(TEXTS, "query"), queries)
    np.testing.assert_allclose(found.embed(TEXTS, role="document"), documents)
    with pytest.raises(UsageError, match="no role 'passage'"):
        found.embed(TEXTS, "passage")  # type: ignore[arg-type]


def test_equal_prompts_need_no_role(shop: Any) -> None:
    shop.train("mine", query_prompt="text: ", document_prompt="text: ")
    assert len(opened(shop, "mine").embed(TEXTS)) == 3


def test_a_query_adapter_needs_a_role_even_with_equal_prompts(shop: Any) -> None:
    shop.train("mine", side="query")
    with pytest.raises(UsageError, match="differently"):
        opened(shop, "mine").embed(TEXTS)


# -- dimensions and spaces -----------------------------------------------------------------------


def test_cut_vectors_are_the_first_values_brought_to_length_one(shop: Any) -> None:
    shop.train("mine", matryoshka_dims=(8,))
    whole, cut = opened(shop, "mine"), opened(shop, "mine", dimension=8)
    expected = whole.embed_documents(TEXTS)[:, :8]
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(cut.embed_documents(TEXTS), expected, atol=1e-6)
    assert (cut.dimension, cut.id) == (8, whole.id)
    assert cut.space != whole.space


def test_a_dimension_that_is_not_there_is_refused_before_loading(shop: Any) -> None:
    shop.train("mine", matryoshka_dims=(8,))
    shop.plugin.calls.clear()
    with pytest.raises(UsageError, match="from 1 to 16"):
        opened(shop, "mine", dimension=32)
    assert shop.plugin.calls == []


@pytest.mark.parametrize("dimension", [None, 8])
def test_a_query_adapter_inherits_the_space_of_its_base(shop: Any, dimension: int | None) -> None:
    shop.train("mine", side="query")
    base, mine = bare(shop, dimension=dimension), opened(shop, "mine", dimension=dimension)
    assert mine.space == base.space
    assert mine.id != base.id


# -- pinned for life -----------------------------------------------------------------------------


def test_a_lazy_embedder_knows_itself_before_it_loads(shop: Any) -> None:
    entry = shop.train("mine")
    shop.plugin.calls.clear()
    found = opened(shop, "mine", lazy=True)
    assert (found.dimension, found.space, found.symmetric) == (16, entry.manifest.space, True)
    loaded = [found.is_loaded]
    assert shop.plugin.calls == []
    found.embed(TEXTS)
    assert [*loaded, found.is_loaded] == [False, True]
    assert shop.plugin.calls == ["load", "embed"]


def test_a_name_that_moves_on_does_not_move_an_embedder(shop: Any) -> None:
    first = shop.train("mine")
    found = opened(shop, "mine", lazy=True)
    second = shop.train("mine", seed=1)
    assert opened(shop, "mine").id == second.id != first.id
    assert found.id == first.id
    np.testing.assert_array_equal(
        found.embed_documents(TEXTS), opened(shop, first.id).embed_documents(TEXTS)
    )


def test_a_lazy_embedder_checks_again_what_it_loads(shop: Any) -> None:
    entry = shop.train("mine")
    found = opened(shop, "mine", lazy=True)
    weights = entry.path / "adapter_model.safetensors"
    raw = bytearray(weights.read_bytes())
    raw[-5] ^= 1
    weights.write_bytes(raw)
    with pytest.raises(RefusedAdapterError, match="wrong hash"):
        found.embed(TEXTS)


def test_a_lazy_embedder_of_a_changed_base_is_refused(shop: Any) -> None:
    found = bare(shop, lazy=True)
    config = shop.base.path / "config.json"
    config.write_text(config.read_text(encoding="utf-8").replace("fake", "other"), encoding="utf-8")
    with pytest.raises(StoreError, match="has changed"):
        found.embed(TEXTS)


def test_many_threads_load_once_and_get_their_own_answers(shop: Any) -> None:
    shop.train("mine")
    words = [f"harbour {number}" for number in range(16)]
    expected = opened(shop, "mine").embed(words)
    shop.plugin.calls.clear()
    found = opened(shop, "mine", lazy=True)
    together = threading.Barrier(len(words))
    got: dict[int, list[float]] = {}

    def work(number: int) -> None:
        together.wait()
        got[number] = found.embed_single(words[number])

    run_all([partial(work, number) for number in range(len(words))])
    np.testing.assert_allclose([got[n] for n in range(len(words))], expected, atol=1e-6)
    assert shop.plugin.calls.count("load") == 1


def run_all(jobs: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=job) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_the_precision_that_was_asked_for_reaches_the_backend(
    shop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.train("mine")
    asked: list[str] = []
    really = type(shop.registry).call

    def call(self: Any, name: str, hook: str, **given: Any) -> Any:
        if hook == "ragd_tune_load_adapter":
            asked.append(given["request"].precision)
        return really(self, name, hook, **given)

    monkeypatch.setattr(type(shop.registry), "call", call)
    for model in (opened(shop, "mine", precision="auto"), bare(shop, precision="auto")):
        model.close()
    opened(shop, "mine")
    assert asked == ["auto", "auto", "fp32"]
