"""The defaults depend on the rows, the side, the machine, and on who asked the questions."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ragd_tune.kinds import Profile
from ragd_tune_bi_encoder.defaults import BATCHES, GENERATED_BLEND, LEARNING_RATES, defaults

PLAIN = Profile(tuning="full", side="both", rows=1_000, device="cpu", cores=2, memory=16 << 30)


@pytest.mark.parametrize(
    ("rows", "batch", "negatives", "rate"),
    [
        (500, 32, 4, 1e-4),
        (2_500, 32, 4, 1e-4),
        (3_999, 32, 2, 1e-4),
        (4_000, 32, 1, 1e-4),
        (5_119, 32, 1, 1e-4),
        (5_120, 64, 1, 2e-4),
        (10_240, 128, 0, 2e-4),
        (1_000_000, 128, 0, 2e-4),
    ],
)
def test_many_rows_bring_their_own_negatives(
    rows: int, batch: int, negatives: int, rate: float
) -> None:
    made = defaults(replace(PLAIN, rows=rows))
    assert (made["batch_size"], made["negatives"]) == (batch, negatives)
    assert made["learning_rate"] == pytest.approx(rate)


def test_an_epoch_of_larger_batches_has_enough_steps() -> None:
    assert all(rows / batch >= 80 for rows, batch, _ in BATCHES)


@pytest.mark.parametrize(("rows", "tokens"), [(3_999, 64), (4_000, 128), (20_000, 128)])
def test_texts_are_read_further_where_fewer_negatives_are(rows: int, tokens: int) -> None:
    assert defaults(replace(PLAIN, rows=rows))["training_length"] == tokens


def test_lora_keeps_its_rate_in_larger_batches() -> None:
    many = replace(PLAIN, rows=20_000, tuning="lora")
    assert defaults(many)["learning_rate"] == LEARNING_RATES["lora"]


@pytest.mark.parametrize("other", [{"side": "query"}, {"generated": True}, {"tier": "minimal"}])
def test_larger_batches_are_for_what_they_were_measured_on(other: dict[str, object]) -> None:
    made = defaults(replace(PLAIN, rows=20_000, **other))  # type: ignore[arg-type]
    assert int(str(made["batch_size"])) <= 32
    assert (made["negatives"], made["training_length"]) == (1, 64)


def test_questions_without_a_language_model_move_the_base_less_far() -> None:
    assert "blend" not in defaults(PLAIN)
    made = defaults(replace(PLAIN, generated=True))
    assert (made["blend"], made["mine"]) == (GENERATED_BLEND, "no")
    assert 0 < GENERATED_BLEND < 1
