"""Adapters that were trained on few bits: they say so, and go where those bits can be made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ragd_tune.backends import Availability, Backend, LoadRequest
from ragd_tune.choose import Offer
from ragd_tune.errors import BaseMismatchError
from ragd_tune.interchange import peft, quantised
from ragd_tune.interchange.lora import Lora, Part
from ragd_tune.pipeline import crossing
from ragd_tune.plan import BaseModel, ModelFacts
from ragd_tune.registry import discover
from ragd_tune.store import Store
from ragd_tune.testing.tiny_lm import tiny_lm

HIDDEN = 64
MLX = {"quantised": "mlx-affine-4-64", "quantised_base": "a" * 64}
NF4 = {"quantised": "nf4-double", "computed_in": "float32"}


def adapter(bits: dict[str, str]) -> Lora:
    draw = np.random.default_rng(0)
    part = Part(
        a=draw.normal(size=(2, HIDDEN)).astype(np.float32),
        b=draw.normal(size=(HIDDEN, 2)).astype(np.float32),
        scale=1.0,
    )
    parts = {"model.layers.0.self_attn.q_proj": part}
    return Lora(parts=parts, task="CAUSAL_LM", quantised=bits)


def request(base: Path, folder: Path, facts: ModelFacts | None = None) -> LoadRequest:
    return LoadRequest(
        objective="causal_lm",
        format="peft",
        base=BaseModel(name="tiny", path=base, fingerprint="f"),
        device="cpu",
        adapter=folder,
        facts=facts,
    )


@pytest.mark.parametrize("told_by", ["manifest", "note"])
def test_the_cpu_backend_refuses_bits_of_mlx_and_says_what_makes_the_right_base(
    tmp_path: Path, told_by: str
) -> None:
    base, folder = tiny_lm(tmp_path), tmp_path / "adapter"
    peft.write(adapter(MLX), folder)
    facts = ModelFacts(max_length=64, normalise=False, settings=dict(MLX))
    if told_by == "manifest":
        peft.write(replace(adapter(MLX), quantised=None), folder)
    wanted = request(base, folder, facts if told_by == "manifest" else None)
    with pytest.raises(BaseMismatchError) as refused:
        discover().call("cpu", "ragd_tune_load_adapter", request=wanted)
    told = refused.value
    assert "mlx-affine-4-64, with the fingerprint aaaaaaaaaaaa" in told.message
    assert "the backend cpu makes nf4-double" in told.message
    assert "adapters show adapter names it" in told.mend
    assert "adapters export adapter OUT --format folder" in told.mend
    assert "--tuning lora" in told.mend


def test_bits_that_nobody_here_knows_are_refused_too(tmp_path: Path) -> None:
    folder = tmp_path / "adapter"
    peft.write(adapter({"quantised": "ternary"}), folder)
    with pytest.raises(BaseMismatchError, match=r"\(ternary\)") as refused:
        quantised.bits_of(request(tmp_path, folder), "cpu", makes={quantised.NF4})
    assert "train it again with --tuning lora" in refused.value.mend


def test_an_adapter_on_the_base_itself_needs_no_bits(tmp_path: Path) -> None:
    peft.write(replace(adapter(MLX), quantised=None), tmp_path)
    assert quantised.bits_of(request(tmp_path, tmp_path), "cpu", makes=()) == ""


def offers(**bits: str) -> list[Offer]:
    """Return backends by name, each with the one kind of bits that it makes."""
    nothing = frozenset[object]()
    return [
        Offer(
            backend=Backend(
                name=name,
                title=name,
                train_cells=nothing,  # type: ignore[arg-type]
                serve_cells=nothing,  # type: ignore[arg-type]
                detect=Availability,
                bits=(one,),
            ),
            found=Availability(),
        )
        for name, one in bits.items()
    ]


def test_who_makes_the_bits_serves_the_adapter_whatever_its_priority() -> None:
    every = offers(one="nf4-double", two="mlx-affine-4-64", three="nf4-double")

    def names(settings: dict[str, str], given: list[Offer]) -> list[str]:
        facts = ModelFacts(max_length=8, normalise=False, settings=dict(settings))
        return [one.backend.name for one in quantised.makers(given, facts)]

    assert names(MLX, every) == ["two"]
    assert names(NF4, every) == ["one", "three"]
    assert names({}, every) == ["one", "two", "three"]
    assert names(MLX, every[:1]) == ["one"], "it is asked all the same, and says why it cannot"
    assert len(quantised.makers(every, None)) == 3


def test_the_bits_leave_the_store_with_the_adapter_and_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAGD_TUNE_HOME", str(tmp_path / "home"))
    store, base = Store(), tiny_lm(tmp_path, hidden=HIDDEN)
    peft.write(adapter(NF4), tmp_path / "foreign")

    def bring(folder: Path, name: str) -> object:
        return crossing.import_folder(
            store, discover(), folder, format="peft", base=str(base), name=name
        )

    first = bring(tmp_path / "foreign", "first")
    peft.write(replace(peft.read(store.get("first").path), quantised=None), tmp_path / "plain")
    crossing.export_folder(store, "first", tmp_path / "out", format="peft")
    assert peft.read(tmp_path / "out").quantised == NF4
    again = bring(tmp_path / "out", "again")
    for entry in (first, again):
        manifest = entry.manifest  # type: ignore[attr-defined]
        assert manifest.tuning == "qlora"
        assert {key: manifest.settings[key] for key in NF4} == NF4
