from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragd_tune.errors import DataError
from ragd_tune.objectives import batches
from ragd_tune.testing import contrastive_rows
from ragd_tune.training.course import Course, cost, dev_points, rate

ROWS = contrastive_rows(30, 0).train


def course() -> Course:
    return Course(ROWS, batch_size=4, seed=3)


def core() -> list[list[int]]:
    made = [batches(ROWS, batch_size=4, seed=3, epoch=number) for number in range(4)]
    return list(itertools.chain(*made))


@given(start=st.integers(0, 20), count=st.integers(0, 12))
def test_any_stretch_of_a_course_is_that_of_the_cores_batches(start: int, count: int) -> None:
    assert list(course().between(start, start + count)) == core()[start : start + count]


def test_epochs_count_whole_passes_and_a_rounded_part() -> None:
    sizes = [len(batches(ROWS, batch_size=4, seed=3, epoch=number)) for number in range(3)]
    assert course().steps(2.0) == sizes[0] + sizes[1]
    assert course().steps(2.5) == sizes[0] + sizes[1] + round(sizes[2] / 2)
    assert course().steps(0.01) == 1


@given(
    steps=st.integers(1, 500),
    warmup=st.floats(0.0, 0.9),
    schedule=st.sampled_from(["linear", "cosine", "constant"]),
)
def test_a_learning_rate_rises_to_its_peak_and_never_after(
    steps: int, warmup: float, schedule: str
) -> None:
    found = [rate(s, steps=steps, warmup=warmup, schedule=schedule) for s in range(steps)]
    assert all(0.0 < value <= 1.0 for value in found)
    top = found.index(max(found))
    assert found[:top] == sorted(found[:top])
    assert found[top:] == sorted(found[top:], reverse=True)


def test_schedules_end_where_they_should() -> None:
    ends = {s: rate(99, steps=100, warmup=0.1, schedule=s) for s in ("linear", "cosine")}
    assert ends["linear"] == pytest.approx(1 / 90)
    assert ends["cosine"] < 1e-3
    assert rate(99, steps=100, warmup=0.1, schedule="constant") == 1.0


@given(steps=st.integers(1, 10_000), held=st.integers(0, 500))
def test_looks_at_the_held_out_loss_cost_about_a_twentieth(steps: int, held: int) -> None:
    points, size = dev_points(steps, held)
    if held == 0:
        assert points == ()
        return
    assert points[-1] == steps
    assert all(1 <= point <= steps for point in points)
    assert 1 <= size <= held
    assert len(points) * size / 3 <= max(0.06 * steps, 4 / 3)


def test_rows_that_are_no_negatives_of_each_other_fill_their_batches() -> None:
    rows = [{"query": f"q{i}", "passages": ["p"], "labels": [1.0]} for i in range(9)]
    made = Course(rows, batch_size=4, seed=0, contrasts=False)
    assert [len(batch) for batch in made.epoch(0)] == [4, 4, 1]
    assert sorted(index for batch in made.epoch(0) for index in batch) == list(range(9))


def test_a_query_counts_with_each_passage_that_it_is_read_with() -> None:
    rows = [{"query": "x" * 10, "passages": ["y" * 10] * count} for count in (1, 4)]
    one, four = (cost([row], [0], max_length=32) for row in rows)
    assert (one, four) == (20, 80)


def test_the_cost_of_a_batch_grows_with_its_longest_text_up_to_the_cut() -> None:
    rows = [{"query": "a", "positive": "x" * length} for length in (10, 100, 10_000, 20_000)]
    found = [cost(rows, [0, i], max_length=32) for i in range(4)]
    assert found[0] < found[1] < found[2] == found[3]


def test_rows_that_are_no_negatives_of_each_other_may_stand_alone() -> None:
    rows = [{"prompt": "bell", "completion": "book"}] * 3
    whole = Course(rows, batch_size=2, seed=0, contrasts=False)
    assert sorted(map(len, whole.epoch(0))) == [1, 2]
    assert cost(rows, [0, 1], max_length=8) == 16
    with pytest.raises(DataError) as refused:
        Course([], batch_size=2, seed=0, contrasts=False)
    assert "negatives" not in refused.value.message
