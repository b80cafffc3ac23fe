"""Each way of breaking a backend or a kind is caught, by the test that is there for it."""

from __future__ import annotations

from types import ModuleType

import kinds
import pytest
import rerankers
import toys

# pytester forgets what is imported inside a run, and NumPy cannot be imported twice.
import ragd_tune.testing.backend_suite
import ragd_tune.testing.kind_suite
import ragd_tune.testing.sides  # noqa: F401

pytest_plugins = ["pytester"]


@pytest.fixture(autouse=True)
def no_other_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")


BACKENDS = {
    "DeclaresNothing": "declares_at_least_the_minimum",
    "LoadsNoBase": "declares_at_least_the_minimum",
    "CannotLoadItsOwn": "can_be_loaded_by_itself",
    "TrainsSomethingUncovered": "covered_by_the_suite_or_owned_up_to",
    "ImportsToDetect": "imports_no_framework_and_touches_nothing",
    "AsksAProcess": "imports_no_framework_and_touches_nothing",
    "RefusesItsOwnBase": "not_called_unfit",
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
    "BlendsItsCheckpoints": "in_no_checkpoint",
    "FallsOverATornCheckpoint": "torn_checkpoint",
    "EstimatesForReal": "estimate_changes_nothing",
    "LoadsTheBaseOnly": "what_is_loaded_is_what_was_trained",
    "LoadsFromWhereItTrained": "loads_from_anywhere",
    "DoublesItsVectors": "promised_shape",
    "TurnsTheOrder": "belongs_to_its_text",
    "GivesDoubles": "promised_shape",
    "GivesLists": "promised_shape",
    "IgnoresRoles": "by_their_role",
    "ReadsTextsToTheEnd": "too_long_is_cut",
    "ChokesOnNothing": "no_texts_give_no_answers",
}

RERANKERS = {
    "TurnsThePassages": "belongs_to_its_text",
    "TurnsTheRequests": "belongs_to_its_text",
    "GivesLogits": "promised_shape",
    "GivesDoubles": "promised_shape",
    "GivesOneArray": "promised_shape",
    "LeavesOutWhatIsEmpty": "no_texts_give_no_answers",
    "LoadsTheBaseOnly": "what_is_loaded_is_what_was_trained",
    "IgnoresTheLoss": "reaches_the_training and loss",
    "ReadsTheFirstPassageOnly": "the_first_loss_is_that",
}

KINDS = {
    "SaysNothing": "says_what_it_is",
    "TakesAnOptionOfTheCore": "options_are_its_own",
    "DefaultsOutOfRange": "within_their_ranges",
    "DefaultsForNothing": "within_their_ranges",
    "BreaksTheSchema": "obey_the_schema",
    "NeverRepeats": "the_same_data",
    "LearnsFromTheTest": "no_test_query",
    "PeeksAtTestJudgements": "never_use_what_the_test",
    "LearnsFromNothing": "without_training_queries",
    "AlwaysPasses": "equal_sides",
    "ComparesWithItself": "a_better_side_passes",
    "KeepsTheLeaks": "leaked_queries",
    "HidesTheLooks": "looks_are_told",
    "DrawsAnew": "same_proof_twice",
}

BACKEND = """
from ragd_tune_toy import make_base
from ragd_tune.testing import BackendSuite

class TestBroken(BackendSuite):
    backend = "toy"
    registry_from = "toys:registry_of_{name}"

    def base(self, folder):
        return make_base(folder)
"""

RERANKER = """
from ragd_tune.testing import BackendSuite
from ragd_tune.testing.fakes import make_base

class TestBroken(BackendSuite):
    backend = "fake"
    registry_from = "rerankers:registry_of_{name}"

    def base(self, folder):
        return make_base(folder)
"""

KIND = """
from ragd_tune.testing import KindSuite

class TestBroken(KindSuite):
    kind = "small"
    registry_from = "kinds:registry_of_{name}"
"""


def outcomes(pytester: pytest.Pytester, text: str, name: str, chosen: str) -> dict[str, int]:
    pytester.makepyfile(test_broken=text.format(name=name))
    run = pytester.runpytest_inprocess("-k", chosen, "-p", "no:cacheprovider", "-q")
    return run.parseoutcomes()


def is_caught(pytester: pytest.Pytester, text: str, name: str, test: str) -> bool:
    """Say whether ``test`` fails for the broken one; it must pass for the sound one."""
    sound = outcomes(pytester, text, "Sound", test)
    assert sound.get("passed", 0) > 0
    assert not sound.keys() & {"failed", "errors", "error"}
    return outcomes(pytester, text, name, test).get("failed", 0) > 0


@pytest.mark.parametrize(("name", "test"), BACKENDS.items())
def test_a_broken_backend_fails(pytester: pytest.Pytester, name: str, test: str) -> None:
    assert is_caught(pytester, BACKEND, name, test)


@pytest.mark.parametrize(("name", "test"), RERANKERS.items())
def test_a_broken_reranker_fails(pytester: pytest.Pytester, name: str, test: str) -> None:
    assert is_caught(pytester, RERANKER, name, test)


@pytest.mark.parametrize(("name", "test"), KINDS.items())
def test_a_broken_kind_fails(pytester: pytest.Pytester, name: str, test: str) -> None:
    assert is_caught(pytester, KIND, name, test)


@pytest.mark.parametrize(
    ("module", "caught"), [(toys, BACKENDS), (rerankers, RERANKERS), (kinds, KINDS)]
)
def test_everything_broken_is_tried(module: ModuleType, caught: dict[str, str]) -> None:
    broken = {
        name
        for name, one in vars(module).items()
        if isinstance(one, type) and issubclass(one, module.Sound) and one is not module.Sound
    }
    assert broken == set(caught)


def test_a_backend_that_is_not_installed_is_an_error_and_not_an_empty_run(
    pytester: pytest.Pytester,
) -> None:
    text = BACKEND.replace('"toy"', '"nowhere"')
    found = outcomes(pytester, text, "Sound", "loss_falls")
    assert found.get("errors", 0) + found.get("failed", 0) > 0
    assert "passed" not in found


def test_a_backend_that_can_run_nothing_here_does_not_pass(pytester: pytest.Pytester) -> None:
    found = outcomes(pytester, BACKEND, "GivesNoMend", "not slowest")
    assert found.get("failed", 0) > 0


def test_an_objective_that_is_owned_up_to_is_reported_and_not_passed(
    pytester: pytest.Pytester,
) -> None:
    text = BACKEND.replace('backend = "toy"', 'backend = "toy"\n    uncovered = ("guesswork",)')
    found = outcomes(pytester, text, "TrainsSomethingUncovered", "covered_by_the_suite")
    assert (found["passed"], found["skipped"]) == (1, 1)


def test_an_option_that_is_read_may_not_be_called_ignored(pytester: pytest.Pytester) -> None:
    text = BACKEND.replace('backend = "toy"', 'backend = "toy"\n    ignores = ("temperature",)')
    found = outcomes(pytester, text, "Sound", "reaches_the_training and temperature")
    assert found.get("failed", 0) == 1
