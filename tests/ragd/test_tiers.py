"""ragd's tiers, as it noted them, as it detects them, or by this machine's memory."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from ragd_tune.kinds import Profile, Tier
from ragd_tune.ragd.tiers import (
    BASES,
    LIMITS,
    TIERS,
    find_tier,
    memory,
    tier_here,
    tier_of,
)
from ragd_tune.registry import discover


@pytest.mark.parametrize(
    ("gib", "tier"),
    [(4.0, "minimal"), (8.0, "standard"), (15.9, "standard"), (16.0, "high"), (32.0, "extreme")],
)
def test_memory_alone_decides_as_in_ragd(gib: float, tier: str) -> None:
    assert tier_of(gib) == tier


@pytest.mark.parametrize("tier", TIERS)
def test_what_ragd_noted_stands(tier: str) -> None:
    assert find_tier({"hardware": {"tier": tier}}) == tier
    noted = SimpleNamespace(hardware=SimpleNamespace(tier=SimpleNamespace(value=tier)))
    assert find_tier(noted) == tier


def test_a_machine_without_ragd_is_judged_by_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ragd_tune.ragd.tiers.find_spec", lambda name: None)
    assert find_tier() == find_tier({"hardware": {"tier": "unheard of"}}) == tier_of(memory())


def test_every_tier_has_a_base() -> None:
    assert set(BASES) == set(TIERS)
    assert len(LIMITS) == len(TIERS) - 1


def test_the_configuration_on_the_disk_is_asked_first(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    assert tier_here(path) == find_tier()
    path.write_text("hardware: {tier: minimal}\n")
    assert tier_here(path) == "minimal"
    path.write_text("hardware: {tier: [\n")
    assert tier_here(path) == find_tier()


@pytest.mark.parametrize(("tier", "rows"), [("minimal", 16), ("standard", 32), ("extreme", 32)])
def test_a_small_machine_trains_in_smaller_steps(tier: Tier, rows: int) -> None:
    profile = Profile(
        tuning="lora", side="both", rows=900, device="cpu", cores=2, memory=4 << 30, tier=tier
    )
    kind = discover().kinds["bi-encoder"]
    assert kind.defaults(profile)["batch_size"] == rows
