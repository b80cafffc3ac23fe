"""Each way of breaking a backend is caught, by the test that is there for it."""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]

CAUGHT = {
    "DeclaresNothing": "declares_at_least_the_minimum",
    "LoadsNoBase": "declares_at_least_the_minimum",
    "CannotLoadItsOwn": "can_be_loaded_by_itself",
    "TrainsSomethingUncovered": "covered_by_the_suite_or_owned_up_to",
    "ImportsToDetect": "imports_no_framework_and_touches_nothing",
    "AsksAProcess": "imports_no_framework_and_touches_nothing",
    "GivesNoReason": "devices_or_a_reason_with_a_mend",
    "GivesNoMend": "devices_or_a_reason_with_a_mend",
    "IgnoresTheSeed": "another_seed",
    "IgnoresTheTemperature": "reaches_the_training and temperature",
    "TakesAStepTooMany": "max_steps_is_honoured",
    "NeverRepeats": "the_same_seed",
    "LearnsNothing": "the_loss_falls",
    "MakesItsOwnBatches": "first_step_reads or rows_seen",
    "CountsFromZero": "count_every_step",
    "TellsNoFacts": "facts_of_the_model",
    "WritesElsewhere": "writes_only_into",
    "WritesIntoTheBase": "writes_only_into",
    "LeavesAPickle": "safetensors_and_plain_data",
    "NamesItsBase": "names_no_path",
    "SwallowsStop": "stopped_run_keeps",
    "KeepsNoCheckpoint": "stopped_run_keeps",
    "ForgetsItsMoments": "ends_like_an_undisturbed_one",
    "FallsOverATornCheckpoint": "torn_checkpoint",
    "EstimatesForReal": "estimate_changes_nothing",
    "LoadsTheBaseOnly": "what_is_loaded_is_what_was_trained",
    "LoadsFromWhereItTrained": "loads_from_anywhere",
    "DoublesItsVectors": "normalised",
    "TurnsTheOrder": "belongs_to_its_text",
    "GivesDoubles": "finite_float32",
    "GivesLists": "finite_float32",
    "IgnoresRoles": "by_their_role",
    "ReadsTextsToTheEnd": "too_long_is_cut",
    "ChokesOnNothing": "no_texts_give_no_vectors",
}

FILE = """
from ragd_tune_toy import make_base
from ragd_tune.testing import BackendSuite

class TestBroken(BackendSuite):
    backend = "toy"
    registry_from = "toys:registry_of_{name}"

    def base(self, folder):
        return make_base(folder)
"""


def outcomes(pytester: pytest.Pytester, name: str, chosen: str) -> dict[str, int]:
    pytester.makepyfile(test_broken=FILE.format(name=name))
    run = pytester.runpytest_inprocess("-k", chosen, "-p", "no:cacheprovider", "-q")
    return run.parseoutcomes()


@pytest.mark.parametrize(("name", "test"), CAUGHT.items())
def test_a_broken_backend_fails(pytester: pytest.Pytester, name: str, test: str) -> None:
    assert outcomes(pytester, name, test).get("failed", 0) > 0
    sound = outcomes(pytester, "Sound", test)
    assert sound.get("passed", 0) > 0
    assert not sound.keys() & {"failed", "errors", "error"}


def test_every_broken_backend_is_tried() -> None:
    import toys

    broken = {
        name
        for name, one in vars(toys).items()
        if isinstance(one, type) and issubclass(one, toys.Sound) and one is not toys.Sound
    }
    assert broken == set(CAUGHT)
