from __future__ import annotations

import json
import random
import sys
from pathlib import Path

import pytest

import ragd_tune
from ragd_tune import cli
from ragd_tune.data import DataSet, read
from ragd_tune.demo import dataset, split
from ragd_tune.demo.library import modules
from ragd_tune.demo.run import EXAMPLES, examples
from ragd_tune.errors import BAD_DATA, DONE, NOT_INSTALLED, NOT_PROVEN, USAGE
from ragd_tune.evaluate.report import Cell, Counts, Moved, Report
from ragd_tune.evaluate.significance import Comparison
from ragd_tune.testing.fakes import advertise, make_base
from ragd_tune.testing.samples import WORDS


def function(number: int, draw: random.Random, *, learnable: bool = True) -> str:
    words = draw.sample(WORDS, 10)
    asked = " ".join(draw.sample(words if learnable else WORDS, 5))
    return f'def f{number}(x):\n    """{asked}"""\n    return x  # {" ".join(words)}\n'


def fill(root: Path, *, learnable: bool = True) -> None:
    draw = random.Random(0)
    for name in sorted(sys.stdlib_module_names):
        functions = [function(number, draw, learnable=learnable) for number in range(4)]
        (root / f"{name}.py").write_text("\n".join(functions))


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A library of modules that have the standard ones' names, and that can be learned."""
    root = tmp_path / "library"
    root.mkdir()
    fill(root)
    monkeypatch.setattr(dataset, "find_library", lambda: root)
    monkeypatch.setattr(dataset, "FEWEST", 100)
    return root


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RAGD_TUNE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def demo(
    library: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    home: Path,
) -> list[str]:
    """The command line of a demo on a backend that is small but real."""
    advertise(tmp_path / "site", monkeypatch.setenv, monkeypatch.syspath_prepend)
    monkeypatch.setenv("RAGD_TUNE_DISABLE", "cpu,mlx,unsloth")
    monkeypatch.setenv("RAGD_TUNE_LEARNING_RATE", "0.02")
    return ["demo", "--base", str(make_base(tmp_path / "base")), "--minutes", "0.05", "--offline"]


def test_a_demo_trains_proves_and_tells_how_to_go_on(
    demo: list[str], home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(demo) == DONE
    out, err = capsys.readouterr()
    assert "pairs of a docstring and its code" in err
    assert "base model: " in err
    assert "(from path: " in err
    assert "ndcg@10" in out
    assert "95% interval" in out
    assert "rank " in out
    assert str(home / "adapters" / "bi-encoder") in out
    assert 'ragd_tune.load("demo")' in out
    assert f"--data {home / 'datasets' / dataset.name()}" in out
    embedder = ragd_tune.load("demo", slot="embedder")
    assert len(embedder.embed(["anchor apple"])[0]) == embedder.dimension


def test_its_json_holds_every_number_and_nothing_else_is_printed(
    demo: list[str], home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run([*demo, "--json"]) == DONE
    out, err = capsys.readouterr()
    told = json.loads(out)
    assert err == ""
    low, high = told["interval"]
    assert 0 < low < told["difference"] < high
    assert told["difference"] == pytest.approx(told["adapter"] - told["base"])
    assert told["p"] < 0.05
    assert told["n"] == told["data"]["pairs"]["test"]
    assert told["peak_rss"] > 0
    assert told["estimated_seconds"] > 0
    assert told["total_seconds"] > told["seconds"] > 0
    assert Path(told["path"]).is_dir()
    assert told["base_model"]["source"] == "path"
    assert len(told["examples"]) == EXAMPLES
    kept = read(told["data"]["folder"])
    assert kept.fingerprint == told["data"]["fingerprint"]
    assert kept.about["licence"] == told["data"]["licence"] == "PSF-2.0"


def test_only_held_out_modules_are_searched(
    demo: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run([*demo, "--json"]) == DONE
    counts = json.loads(capsys.readouterr().out)["proof"]["counts"]
    assert counts["known"] == 0
    assert counts["new"] == counts["queries"]


def test_a_demo_without_a_gain_says_so_by_its_exit_code(
    demo: list[str], library: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(library, learnable=False)
    assert cli.run([*demo, "--json"]) == NOT_PROVEN
    told = json.loads(capsys.readouterr().out)
    assert told["passed"] is False
    assert told["reason"]
    assert Path(told["path"]).is_dir()
    assert cli.run(demo) == NOT_PROVEN
    said = capsys.readouterr().out
    assert f"refused: {told['reason']}" in said
    assert "adapters activate demo" not in said


@pytest.mark.parametrize(
    ("arguments", "code", "part"),
    [
        (["--minutes", "soon"], USAGE, "--minutes"),
        (["--minutes", "-1"], USAGE, "--minutes"),
        (["--tuning", "magic"], USAGE, "magic"),
        (["--device", "toaster"], USAGE, "toaster"),
        (["--resume", "--fresh"], USAGE, "exclude each other"),
        (["--resume"], USAGE, "nothing to resume"),
        (["--base", "no-such/model"], NOT_INSTALLED, "no-such/model"),
    ],
)
def test_bad_flags_end_with_one_message(
    demo: list[str],
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    part: str,
) -> None:
    assert cli.run([*demo, *arguments, "--json"]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert part in err
    assert "Traceback" not in err


def test_a_python_without_its_sources_ends_the_demo_before_it_starts(
    demo: list[str],
    library: Path,
    home: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for _, path in modules(library):
        path.unlink()
    assert cli.run([*demo, "--json"]) == NOT_INSTALLED
    assert str(library) in capsys.readouterr().err
    assert not home.exists()


def test_somebody_elses_files_in_the_way_are_not_touched(
    demo: list[str], home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    thesis = home / "datasets" / dataset.name() / "thesis.tex"
    thesis.parent.mkdir(parents=True)
    thesis.write_text("years of work")
    assert cli.run([*demo, "--json"]) in {USAGE, BAD_DATA}
    assert thesis.read_text() == "years of work"
    assert "thesis.tex" in capsys.readouterr().err


# -- examples ----------------------------------------------------------------------------------


def moved(number: int, before: int | None, after: int | None) -> Moved:
    query = f"q/m{number % 4}:f{number}"
    text = f"query {number}"
    return Moved(query_id=query, text=text, before=0, after=1, rank_before=before, rank_after=after)


def report(*gained: Moved) -> Report:
    told = Comparison(
        mean=0.1, low=0.05, high=0.15, p=0.001, queries=9, clusters=30, effective_clusters=30.0,
        wins=9, losses=0, ties=0, enough=True,
    )  # fmt: skip
    cell = Cell(part="all", dims=None, metric="ndcg@10", before=0.1, after=0.2, difference=told)
    return Report(
        incumbent="the base", candidate="the adapter", gate_metric="ndcg@10", gate_dims=None,
        looks=1, seed=0, resamples=100, counts=Counts(queries=9, known=0, new=9), cells=(cell,),
        gained=gained,
    )  # fmt: skip


@pytest.fixture
def tested() -> DataSet:
    from ragd_tune.demo.library import Pair

    pairs = [
        Pair(module=f"m{n % 4}", name=f"f{n}", query=f"query {n}", source=f"def f{n}(): m{n % 4}()")
        for n in range(9)
    ]
    made = dataset.data_set(pairs)
    everything = {qid: found for judged in made.qrels.values() for qid, found in judged.items()}
    return made.with_qrels({"test": everything})


def test_examples_are_queries_whose_answer_is_first_now_one_a_module(tested: DataSet) -> None:
    gained = [
        moved(0, 9, 1), moved(1, 40, 2), moved(2, None, 1), moved(4, 8, 1), moved(5, 7, 1),
        moved(7, 6, 1),
    ]  # fmt: skip
    found = examples(report(*gained), tested)
    assert [(one.document, one.rank_before, one.rank_after) for one in found] == [
        ("m0:f0", 9, 1),
        ("m2:f2", None, 1),
        ("m1:f5", 7, 1),
    ]
    assert found[0].query == "query 0"


def test_no_example_is_made_up_where_nothing_moved(tested: DataSet) -> None:
    assert examples(report(), tested) == ()


def test_family_names_cannot_hide_a_module_on_two_sides() -> None:
    names = sorted(sys.stdlib_module_names)
    assert len({split.family(name) for name in names}) > 100
    assert {split.side(split.family(name)) for name in names} == {"train", "dev", "test"}
