"""How much cut vectors keep is in the report, its JSON, and on the terminal."""

from __future__ import annotations

import numpy as np
import pytest

from ragd_tune.cli.report import show_report
from ragd_tune.evaluate import Report, Scores, compare

IDS = tuple(f"q{i}" for i in range(40))


def report(*sizes: int | None) -> Report:
    """Return a proof whose candidate scores its dimension divided by 100."""

    def scores(value: float) -> Scores:
        return Scores(query_ids=IDS, values={"ndcg@10": np.full(40, value)})

    return compare(
        {size: scores(0.1) for size in sizes},
        {size: scores((size or 64) / 100) for size in sizes},
        gate_metric="ndcg@10",
        clusters={query: query for query in IDS},
        known=frozenset(IDS),
        resamples=100,
    )


def test_each_dimension_has_its_share_of_the_largest(capsys: pytest.CaptureFixture[str]) -> None:
    made = report(16, 64, 32)
    assert made.kept == pytest.approx({64: 1.0, 32: 0.5, 16: 0.25})
    assert made.to_json()["kept"] == {"64": 1.0, "32": 0.5, "16": 0.25}
    assert Report.from_json(made.to_json()) == made
    show_report(made)
    told = "of nDCG@10 the adapter keeps 100.0% at 64, 50.0% at 32, 25.0% at 16 dimensions"
    assert told in capsys.readouterr().out


@pytest.mark.parametrize("sizes", [(64,), (None,)])
def test_nothing_is_kept_where_nothing_was_cut(
    sizes: tuple[int | None], capsys: pytest.CaptureFixture[str]
) -> None:
    made = report(*sizes)
    assert made.kept == {}
    show_report(made)
    assert "keeps" not in capsys.readouterr().out
