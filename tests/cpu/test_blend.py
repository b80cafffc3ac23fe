"""The option ``blend``: what is saved lies between the base and what was trained."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from ragd_tune.errors import TuneError
from ragd_tune.plan import Event, Stop, TrainPlan
from ragd_tune.testing.bench import snapshot

WAYS = [("full", "both"), ("lora", "both"), ("lora", "query"), ("map", "query")]
TEXTS = ["anchor apple", "harbour hill honey"]

every_way = pytest.mark.parametrize(("tuning", "side"), WAYS)


def plans(lab: Any, base: Path, way: tuple[str, str], *blends: float) -> list[TrainPlan]:
    """Return a plan on ``base`` for each of ``blends``."""
    tuning, side = way
    return [replace(lab.plan(base, tuning=tuning, blend=one), side=side) for one in blends]


def read(place: Path) -> dict[str, Any]:
    """Return the tensors in ``place``."""
    (path,) = place.glob("*.safetensors")
    return load_file(path)


@every_way
def test_all_of_the_way_is_what_it_was_before_there_was_the_option(
    lab: Any, tuning: str, side: str
) -> None:
    (whole,) = plans(lab, lab.base(), (tuning, side), 1.0)
    options = {name: value for name, value in whole.options.items() if name != "blend"}
    before = replace(whole, options=options, out=lab.folder / "before" / "out")
    for plan in (whole, before):
        lab.train(plan)
    assert snapshot(whole.out) == snapshot(before.out)


def test_half_of_all_weights_is_their_mean_with_the_bases(lab: Any) -> None:
    base = lab.base()
    half, whole = plans(lab, base, ("full", "both"), 0.5, 1.0)
    for plan in (half, whole):
        lab.train(plan)
    start, made, trained = read(base), read(half.out), read(whole.out)
    assert made.keys() == trained.keys()
    moved = [n for n in made if np.abs(trained[n] - start[n]).max() > 1e-4]
    assert len(moved) > len(made) / 2
    for name, value in made.items():
        np.testing.assert_allclose(value, (start[name] + trained[name]) / 2, rtol=0, atol=1e-6)


@pytest.mark.parametrize("side", ["both", "query"])
def test_half_of_a_lora_adapter_adds_half_to_each_layer(lab: Any, side: str) -> None:
    half, whole = plans(lab, lab.base(), ("lora", side), 0.5, 1.0)
    for plan in (half, whole):
        lab.train(plan)
    made, trained = read(half.out), read(whole.out)
    names = [name for name in made if ".lora_A." in name]
    assert len(names) > 1
    for name in names:
        added = [one[name.replace(".lora_A.", ".lora_B.")] @ one[name] for one in (made, trained)]
        assert np.abs(added[1]).max() > 1e-5
        np.testing.assert_allclose(added[0], added[1] / 2, rtol=0, atol=1e-9)
    config = "adapter_config.json"
    assert (half.out / config).read_bytes() == (whole.out / config).read_bytes()


def test_a_quarter_of_a_map_is_a_quarter_of_the_way_from_doing_nothing(lab: Any) -> None:
    part, whole = plans(lab, lab.base(), ("map", "query"), 0.25, 1.0)
    for plan in (part, whole):
        lab.train(plan)
    changes = [read(plan.out)["map"] - np.eye(32) for plan in (part, whole)]
    assert np.abs(changes[1]).max() > 1e-4
    np.testing.assert_allclose(changes[0], changes[1] / 4, rtol=0, atol=1e-6)


@every_way
def test_vectors_of_half_the_way_lie_between(lab: Any, tuning: str, side: str) -> None:
    found = []
    for plan in plans(lab, lab.base(), (tuning, side), 0.5, 1.0):
        loaded = lab.load(plan, lab.train(plan), side=side)
        found.append(lab.embed(loaded, TEXTS, "query"))
    (start,) = [lab.embed(lab.load(plan), TEXTS, "query")]
    half, whole = found
    all_the_way = np.linalg.norm(whole - start, axis=1)
    assert (all_the_way > 1e-3).all()
    for part in (half - start, whole - half):
        assert (np.linalg.norm(part, axis=1) < 0.7 * all_the_way).all()


@every_way
def test_a_stopped_run_goes_on_with_what_was_trained_and_is_blended_once(
    lab: Any, tuning: str, side: str
) -> None:
    one, two = plans(lab, lab.base(), (tuning, side), 0.5, 0.5)
    undisturbed = lab.train(one)

    def stop(event: Event) -> None:
        if event.type == "step" and event.step == 3:
            raise Stop

    with pytest.raises(Stop):
        lab.train(two, stop)
    resumed = lab.train(two)
    assert resumed.resumed_from == 3
    assert resumed.losses == undisturbed.losses
    assert snapshot(two.out) == snapshot(one.out)


def test_a_base_that_was_changed_meanwhile_is_a_clear_error_and_leaves_no_adapter(
    lab: Any,
) -> None:
    base, other = lab.base(), lab.base("modernbert")
    (plan,) = plans(lab, base, ("full", "both"), 0.5)

    def swap(event: Event) -> None:
        if event.type == "step" and event.step == 6:
            shutil.rmtree(base)
            shutil.copytree(other, base)

    with pytest.raises(TuneError, match="another model than when the training began") as caught:
        lab.train(plan, swap)
    assert "put it back" in caught.value.mend
    assert not plan.out.exists()
