"""A proof asks in the words of the training: another prompt would judge the prompt."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.raft.conftest import House

from ragd_tune.errors import UsageError
from ragd_tune.kinds import Trial
from ragd_tune.pipeline.proving import prove
from ragd_tune.pipeline.workshop import Workshop, workshop
from ragd_tune_raft.kind import Raft
from ragd_tune_raft.rows import template_of


class Seen(Exception):
    pass


@pytest.fixture
def shop(house: House, tmp_path: Path) -> Workshop:
    shutil.copytree(house.store.root, tmp_path / "home")
    return workshop(home=tmp_path / "home")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """Return the options that a proof gets, which ends there."""
    found: dict[str, object] = {}

    def stop(_: Raft, trial: Trial) -> None:
        found.update(trial.options)
        raise Seen

    monkeypatch.setattr(Raft, "prove", stop)
    return found


def judge(shop: Workshop, house: House, options: Mapping[str, object]) -> None:
    with pytest.raises(Seen):
        prove(shop, "mine", house.data, options=options)


def test_what_is_not_set_is_as_in_the_last_training(
    house: House, shop: Workshop, asked: dict[str, object]
) -> None:
    judge(shop, house, {})
    assert (asked["judged_system"], asked["judged_template"]) == ("Be brief.", None)
    plan = house.planned.plan.to_json()
    plan["options"] = {**house.planned.plan.options, "prompt_template": "mine.txt"}
    shop.store.record(house.made.id, "provenance", {"plan": plan})
    judge(shop, house, {})
    assert (asked["judged_system"], asked["judged_template"]) == ("Be brief.", "mine.txt")
    judge(shop, house, {"judged_template": "other.txt", "judged_system": "Be long."})
    assert (asked["judged_system"], asked["judged_template"]) == ("Be long.", "other.txt")


def test_a_record_of_another_machine_names_no_file_here(
    house: House, shop: Workshop, asked: dict[str, object], tmp_path: Path
) -> None:
    shop.store.export("mine", tmp_path / "mine.zip")
    other = workshop(home=tmp_path / "other")
    other.store.import_(tmp_path / "mine.zip", names=["mine"])
    with pytest.raises(Seen):
        prove(other, "mine", house.data, base=house.planned.plan.base)
    assert asked["judged_system"] is None


def test_a_template_that_is_gone_names_the_flags(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read") as refused:
        template_of(str(tmp_path / "gone.txt"))
    assert "--judged-template" in refused.value.mend
