from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from sentence_transformers import SentenceTransformer

TEXTS = ["anchor apple arrow", "beach", "", "lemon letter " * 40]


def test_adapters_come_and_go_on_one_base_and_leave_it_as_it_was(pair: Any, cell_of: Any) -> None:
    bench = pair().mlx
    runs = [bench.fresh(cell_of("lora"), seed=seed, max_steps=3) for seed in (0, 1)]
    base = bench.load_base("contrastive", "cpu")
    before = base.embed(TEXTS)
    alone = []
    for run in runs:
        tuned = bench.load(run)
        alone.append(tuned.embed(TEXTS))
        assert np.array_equal(base.embed(TEXTS), before), "bit for bit, beside an adapter"
        tuned.model.close()
    together = [bench.load(run) for run in (*runs, *runs[::-1])]
    for tuned, expected in zip(together, (*alone, *alone[::-1]), strict=True):
        assert np.array_equal(tuned.embed(TEXTS), expected)
    assert not np.allclose(alone[0], alone[1], atol=1e-4)
    assert np.array_equal(bench.load_base("contrastive", "cpu").embed(TEXTS), before)


def test_models_of_one_base_share_its_weights_until_the_last_is_closed(
    pair: Any, cell_of: Any
) -> None:
    from ragd_tune_mlx import serve

    bench = pair().mlx
    run = bench.fresh(cell_of("lora"), max_steps=1)
    one, two = bench.load(run), bench.load_base("contrastive", "cpu")
    assert one.model.base is two.model.base
    known = len(serve._bases)
    one.model.close()
    assert len(serve._bases) == known
    two.model.close()
    assert len(serve._bases) == known - 1


def test_an_exported_folder_is_the_model_that_was_trained(
    pair: Any, cell_of: Any, tmp_path: Path
) -> None:
    benches = pair(plain=True)
    for tuning in ("lora", "full"):
        run = benches.mlx.fresh(cell_of(tuning), max_steps=3, query_prompt="lake ")
        loaded = benches.mlx.load(run)
        out = tmp_path / tuning
        files = benches.mlx.registry.call(
            "mlx", "ragd_tune_export", model=loaded.model, format="folder", out=out
        )
        assert files == sorted(path for path in out.rglob("*") if path.is_file())
        theirs = SentenceTransformer(str(out), device="cpu")
        assert np.abs(theirs.encode(TEXTS) - loaded.embed(TEXTS)).max() <= 1e-5
        asked = theirs.encode_query(TEXTS) - loaded.embed(TEXTS, "query")
        assert np.abs(asked).max() <= 1e-5
