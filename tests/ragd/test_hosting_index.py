"""The index of an adapter: made ahead, caught up, and gone on with after an interruption."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.ragd.hosted import activated_with_a_document_since

from ragd_tune.cli import run
from ragd_tune.pipeline import host_index
from ragd_tune.pipeline.host_status import host_status
from ragd_tune.pipeline.workshop import Workshop
from ragd_tune.ragd import carry, chunks


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
