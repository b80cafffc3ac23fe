from __future__ import annotations

import json
from pathlib import Path

import pytest

from ragd_tune import cli
from ragd_tune.data import read
from ragd_tune.data.mine.tables import read_teacher
from ragd_tune.errors import DONE, NOT_INSTALLED, USAGE
from ragd_tune.testing.machine import Machine


def test_a_set_is_written_with_negatives_scores_and_their_origin(
    machine: Machine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "mined"
    given = ["data", "mine", str(machine.data), str(out), "--base", str(machine.base)]
    assert cli.run([*given, "--offline", "--json"]) == DONE
    told = json.loads(capsys.readouterr().out)
    before, after = read(machine.data), read(out)
    assert after.qrels == before.qrels
    assert told["negatives"] == sum(map(len, after.negatives.values())) > 100
    assert set(after.negatives) <= set(before.qrels["train"]) | set(before.qrels["dev"])
    about = json.loads((out / "dataset.json").read_text(encoding="utf-8"))["negatives"]
    assert about["margin"] == 0.95
    assert about["by"] == ["bm25", "dense"]
    teacher = read_teacher(out)
    for qid, found in after.negatives.items():
        positive = min(
            teacher[qid][did]
            for did in before.qrels["train"].get(qid, before.qrels["dev"].get(qid, {}))
        )
        assert all(teacher[qid][did] < 0.95 * positive + 1e-6 or positive < 0 for did in found)


def test_mined_negatives_reach_the_rows_of_a_training(machine: Machine, tmp_path: Path) -> None:
    from ragd_tune.registry import discover

    out = tmp_path / "mined"
    given = ["data", "mine", str(machine.data), str(out), "--base", str(machine.base)]
    assert cli.run([*given, "--offline"]) == DONE
    rows = discover().kind("bi-encoder").rows(read(out), "contrastive", {"negatives": 2})
    assert any(len(row.get("negatives", ())) == 2 for row in rows.train)  # type: ignore[arg-type]


def test_a_reranker_that_is_named_scores_the_candidates_and_its_scores_are_kept(
    machine: Machine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from ragd_tune.serve.load import load

    trained = machine.train("--epochs", "1", "--no-proof", "--json", "--negatives-from", "bm25")
    trained[1] = "cross-encoder"
    assert cli.run(trained) == DONE
    adapter = json.loads(capsys.readouterr().out)["id"]
    out = tmp_path / "mined"
    given = ["data", "mine", str(machine.data), str(out), "--by", "bm25", "--depth", "20"]
    assert cli.run([*given, "--teacher", adapter, "--json"]) == DONE
    told = json.loads(capsys.readouterr().out)
    rows = [json.loads(line) for line in (out / "teacher.jsonl").read_text("utf-8").splitlines()]
    assert {row["by"] for row in rows} == {told["scored_by"]}
    data, teacher = read(out), read_teacher(out)
    with load(adapter, slot="reranker") as reranker:
        for qid in list(teacher)[:10]:
            ids = list(teacher[qid])
            scores = reranker.rerank(
                data.queries[qid].text, [data.corpus[did].passage for did in ids]
            )
            assert list(teacher[qid].values()) == pytest.approx(scores.tolist(), abs=1e-5)
            assert set(data.negatives.get(qid, ())) <= set(ids)


def test_what_is_no_reranker_is_no_teacher(
    machine: Machine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["data", "mine", str(machine.data), str(tmp_path / "mined"), "--by", "bm25"]
    assert cli.run([*given, "--offline", "--teacher", "no-such-model"]) == NOT_INSTALLED
    assert "no adapter of the store" in capsys.readouterr().err
    assert cli.run(machine.train("--epochs", "1", "--no-proof", "--json")) == DONE
    adapter = json.loads(capsys.readouterr().out)["id"]
    assert cli.run([*given, "--offline", "--teacher", adapter]) == USAGE
    assert "reranker" in capsys.readouterr().err
    assert not (tmp_path / "mined").exists()


def test_what_stands_beside_a_set_is_kept(machine: Machine, tmp_path: Path) -> None:
    (machine.data / "questions.jsonl").write_text('{"_id": "q0", "style": "faq"}\n', "utf-8")
    out = tmp_path / "mined"
    given = ["data", "mine", str(machine.data), str(out), "--by", "bm25"]
    assert cli.run(given) == DONE
    assert json.loads((out / "questions.jsonl").read_text("utf-8"))["style"] == "faq"


def test_refusals_name_what_to_do(
    machine: Machine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "mined"
    out.mkdir()
    (out / "corpus.jsonl").write_text("x", encoding="utf-8")
    assert cli.run(["data", "mine", str(machine.data), str(out), "--by", "bm25"]) == USAGE
    assert "--force" in capsys.readouterr().err
    other = ["data", "mine", str(machine.data), str(tmp_path / "new"), "--offline"]
    assert cli.run([*other, "--base", "no-such-model"]) == NOT_INSTALLED
