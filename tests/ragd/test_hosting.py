"""Activating an adapter for ragd, and taking it back: what changes, what does not, what is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.ragd.hosted import activate, activated_with_a_document_since

from ragd_tune.cli import run
from ragd_tune.errors import NotProvenError, StoreError
from ragd_tune.pipeline import hosting
from ragd_tune.pipeline.host_plan import plan_activation
from ragd_tune.pipeline.host_status import host_status
from ragd_tune.pipeline.workshop import Workshop
from ragd_tune.ragd import chroma, chunks, configfile
from ragd_tune.ragd.provider import get_embedder
from ragd_tune.testing.samples import tiny_data


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "tune" not in path.relative_to(folder).parts
    }


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
