"""Activating an adapter for ragd, and taking it back: what changes, what does not, what is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ragd_tune.cli import run
from ragd_tune.errors import NotProvenError, StoreError, UsageError
from ragd_tune.pipeline import host_index, hosting
from ragd_tune.pipeline.host_plan import plan_activation
from ragd_tune.pipeline.host_status import host_status
from ragd_tune.pipeline.workshop import Workshop
from ragd_tune.ragd import carry, chroma, chunks, configfile, hooking, reindex
from ragd_tune.ragd.provider import get_embedder
from ragd_tune.testing.fakes import make_base
from ragd_tune.testing.samples import tiny_data

TEXTS = [f"part {number} of a harbour at night" for number in range(5)]


@pytest.fixture
def shop(bench: Any) -> Workshop:
    """Return a home in which ragd has indexed two documents by the base."""
    base = bench.embedder()
    for name in ("one", "two"):
        bench.index.add(name, TEXTS, lambda some: base.embed_documents(some).tolist())
    (bench.home / ".ragd" / "config.yaml").write_text(
        f"# my ragd\nembedding:\n  model: {bench.base}   # the base\n  dimension: 16\n"
        f"storage:\n  data_dir: {bench.home / '.ragd'}\nmine: [1,  2]\n",
        encoding="utf-8",
    )
    return Workshop(registry=bench.registry, store=bench.store)


@pytest.fixture
def config(bench: Any) -> Path:
    path: Path = bench.home / ".ragd" / "config.yaml"
    return path


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "tune" not in path.relative_to(folder).parts
    }


def activate(shop: Workshop, ref: str, **more: Any) -> None:
    hosting.carry_out(shop, plan_activation(shop, ref, **more))


def test_a_plan_tells_everything_and_changes_nothing(bench: Any, shop: Workshop) -> None:
    entry = bench.train("mine")
    before = files(bench.home / ".ragd")
    plan = plan_activation(shop, "mine")
    assert (plan.documents, plan.chunks) == (2, 10)
    assert plan.seconds > 0
    assert f"+  model: {shop.store.view_dir(entry.id)}   # the base" in plan.diff
    assert plan.notes == ("thresholds stay: give queries that no training saw by --data",)
    assert files(bench.home / ".ragd") == before


def test_ragd_finds_model_and_index_together_and_both_are_the_adapters(
    bench: Any, shop: Workshop, config: Path
) -> None:
    entry = bench.train("mine")
    activate(shop, "mine")
    written = configfile.parse(config.read_bytes(), "config.yaml")
    assert written["embedding"]["model"] == str(shop.store.view_dir(entry.id))
    assert written["mine"] == [1, 2]
    assert b"# my ragd" in config.read_bytes()
    index = bench.home / ".ragd" / written["storage"]["chroma_dir"]
    found = get_embedder(written, home=shop.store.root, registry=bench.registry)
    stored = {one.id: one.text for one in chunks(index)}
    with chroma.reading(index, vectors=[chroma.DOCUMENTS]) as client:
        told = client.get_collection(chroma.DOCUMENTS).get(include=["embeddings"])
    np.testing.assert_allclose(
        told["embeddings"], found.embed([stored[key] for key in told["ids"]]), atol=1e-5
    )
    active = shop.store.active("embedder")
    assert active is not None
    assert active.id == entry.id
    assert host_status(shop).warnings == ()


def test_a_rollback_restores_the_configuration_and_the_index_pointer_byte_for_byte(
    bench: Any, shop: Workshop, config: Path
) -> None:
    before, index = config.read_bytes(), bench.index.files()
    bench.train("one")
    bench.train("two", seed=3)
    activate(shop, "one")
    between = config.read_bytes()
    activate(shop, "two")
    hosting.roll_back(shop)
    assert config.read_bytes() == between
    hosting.roll_back(shop)
    assert config.read_bytes() == before
    assert bench.index.files() == index
    assert shop.store.active("embedder") is None
    with pytest.raises(StoreError, match="nothing to roll back"):
        hosting.roll_back(shop)


def test_activating_twice_is_taken_back_by_one_rollback(
    bench: Any, shop: Workshop, config: Path
) -> None:
    before = config.read_bytes()
    bench.train("mine")
    activate(shop, "mine")
    activate(shop, "mine")
    hosting.roll_back(shop)
    assert config.read_bytes() == before
    assert shop.store.active("embedder") is None


def test_new_thresholds_for_the_active_adapter_are_taken_back_alone(
    bench: Any, shop: Workshop, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ragd_tune.data.write import write

    monkeypatch.setattr("ragd_tune.ragd.recalibrate.LEAST", 1)
    before, entry = config.read_bytes(), bench.train("mine")
    activate(shop, "mine")
    between = config.read_bytes()
    write(tiny_data(), tmp_path / "data")
    activate(shop, "mine", data=tmp_path / "data")
    assert config.read_bytes() != between
    hosting.roll_back(shop)
    assert config.read_bytes() == between
    active = shop.store.active("embedder")
    assert active is not None
    assert active.id == entry.id
    hosting.roll_back(shop)
    assert config.read_bytes() == before
    assert shop.store.active("embedder") is None


def activated_with_a_document_since(bench: Any, shop: Workshop, config: Path) -> Any:
    """Activate an adapter, and return the new index with one document that came after that."""
    bench.train("mine")
    activate(shop, "mine")
    written = configfile.parse(config.read_bytes(), "c")
    found = get_embedder(written, home=shop.store.root, registry=bench.registry)
    new = type(bench.index)(bench.home / ".ragd" / written["storage"]["chroma_dir"])
    new.add("since", ["indexed after the switch"], found.embed)
    return new


def test_a_rollback_tells_which_documents_only_the_new_index_has(
    bench: Any, shop: Workshop, config: Path
) -> None:
    activated_with_a_document_since(bench, shop, config)
    _, notes = hosting.roll_back(shop)
    assert notes == ("indexed since the activation, so index again: /d/since.txt",)


def test_what_was_edited_since_survives_a_rollback(
    bench: Any, shop: Workshop, config: Path
) -> None:
    before = config.read_bytes()
    bench.train("mine")
    activate(shop, "mine")
    config.write_bytes(config.read_bytes() + b"chat: {temperature: 0.1}\n")
    _, notes = hosting.roll_back(shop)
    assert "was changed since" in notes[0]
    wanted = configfile.parse(before, "c") | {"chat": {"temperature": 0.1}}
    wanted["storage"]["chroma_dir"] = "chroma"
    assert configfile.parse(config.read_bytes(), "c") == wanted


def test_an_adapter_that_is_not_proven_changes_nothing(
    bench: Any, shop: Workshop, config: Path
) -> None:
    entry = bench.train("mine")
    shop.store.record(entry.id, "proof", {"passed": False, "reason": "no gain"})
    before = config.read_bytes()
    with pytest.raises(NotProvenError, match="no gain"):
        plan_activation(shop, "mine")
    assert config.read_bytes() == before
    activate(shop, "mine", force=True)
    assert shop.store.history()[-1].forced


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


def test_thresholds_move_with_the_scores_and_are_kept_beside_the_adapter(
    bench: Any, shop: Workshop, config: Path, tmp_path: Path
) -> None:
    from ragd_tune.data.write import write

    entry = bench.train("mine")
    write(tiny_data(), tmp_path / "data")
    plan = plan_activation(shop, "mine", data=tmp_path / "data")
    assert plan.calibration is not None
    hosting.carry_out(shop, plan)
    (record,) = shop.store.records(entry.id, "calibration")
    assert record.payload == plan.calibration.to_json()
    written = configfile.parse(config.read_bytes(), "c")
    for one in plan.calibration.thresholds:
        section = "retrieval" if one.key == "min_score" else "chat"
        if one.before != one.after:
            assert written[section][one.key] == one.after


def test_an_empty_ragd_is_switched_without_embedding_anything(bench: Any, config: Path) -> None:
    config.write_text(
        f"embedding: {{model: {bench.base}, dimension: 16}}\n"
        f"storage: {{data_dir: {bench.home / '.ragd'}}}\n",
        encoding="utf-8",
    )
    shop = Workshop(registry=bench.registry, store=bench.store)
    bench.train("mine")
    activate(shop, "mine")
    written = configfile.parse(config.read_bytes(), "c")
    get_embedder(written, home=shop.store.root, registry=bench.registry)
    assert host_status(shop).warnings == ()


def test_an_index_made_ahead_makes_the_activation_quick(bench: Any, shop: Workshop) -> None:
    bench.train("mine")
    told = host_index.reindex(shop, "mine")
    assert "ragd-tune adapters activate mine" in told.sentence
    assert told.result is not None
    assert told.result.embedded == 10
    again = host_index.reindex(shop, "mine")
    assert again.result is not None
    assert again.result.embedded == 0
    fresh = host_index.reindex(shop, "mine", fresh=True)
    assert fresh.result is not None
    assert fresh.result.embedded == 10


def test_catching_up_adds_what_is_missing_and_keeps_what_came_since(
    bench: Any, shop: Workshop, config: Path
) -> None:
    new = activated_with_a_document_since(bench, shop, config)
    base = bench.embedder()
    bench.index.add("late", ["late"], lambda some: base.embed_documents(some).tolist())
    told = host_index.reindex(shop)
    assert told.result is not None
    assert (told.result.embedded, told.result.removed) == (1, 0)
    ids = {one.id for one in chunks(new.folder)}
    assert {"since_chunk_0", "late_chunk_0", "one_chunk_0"} <= ids
    assert host_status(shop).warnings == ()


@pytest.mark.parametrize("line", ["host reindex mine", "adapters activate mine"])
def test_whoever_interrupts_is_told_how_to_go_on_and_nothing_is_embedded_twice(
    bench: Any,
    shop: Workshop,
    config: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    line: str,
) -> None:
    bench.train("mine")
    before = config.read_bytes()

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(carry, "copy_collection", interrupt)
        yes = ["--yes"] if "activate" in line else []
        assert run([*line.split(), *yes]) == 130
    told = capsys.readouterr().err
    assert "what was embedded is kept" in told
    assert f"go on: ragd-tune {line}" in told
    assert config.read_bytes() == before
    again = host_index.reindex(shop, "mine")
    assert again.result is not None
    assert (again.result.chunks, again.result.embedded) == (10, 0)


def test_the_commands_show_ask_switch_and_go_back(
    bench: Any, shop: Workshop, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.train("mine")
    before = config.read_bytes()
    assert run(["adapters", "activate", "mine", "--dry-run"]) == 0
    assert config.read_bytes() == before
    told = capsys.readouterr().out
    assert "+  model:" in told
    assert "2 documents (10 chunks) are embedded again" in told
    assert run(["adapters", "activate", "mine", "--yes"]) == 0
    assert config.read_bytes() != before
    assert run(["host", "status", "--json"]) == 0
    out = capsys.readouterr().out
    status = json.loads(out[out.index("{") :])
    assert status["embeds_documents"].startswith("mine")
    assert [one["holds"] for one in status["indexes"] if one["in_use"]] == ["mine"]
    assert run(["adapters", "rollback"]) == 0
    assert config.read_bytes() == before
    assert "is as it was before" in capsys.readouterr().out


def test_status_warns_where_model_and_index_differ(
    bench: Any, shop: Workshop, config: Path
) -> None:
    bench.train("mine")
    before = config.read_bytes()
    activate(shop, "mine")
    mixed = configfile.edited(config.read_bytes(), {("embedding", "model"): str(bench.base)}, "c")
    config.write_bytes(mixed)
    assert any("holds vectors of mine" in one for one in host_status(shop).warnings)
    config.write_bytes(before)
    assert any("ragd does not use it" in one for one in host_status(shop).warnings)
