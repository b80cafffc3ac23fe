"""Bad input ends with the right exit code and one message that names the place and the mend.

No traceback, and nothing written: neither to the store nor beside the data.
"""

# ruff: noqa: E501 - the cases are a table, one line each

from __future__ import annotations

import gzip
import json
import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from ragd_tune.cli import run
from ragd_tune.store import Manifest, Store

FINGERPRINT = "f" * 64


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with good data and a store with one unproven adapter; a home without ragd."""
    monkeypatch.setenv("RAGD_TUNE_HOME", str(tmp_path / "store"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(Path, "home", staticmethod(lambda: tmp_path))
    monkeypatch.chdir(tmp_path)
    good_data(tmp_path / "data")
    adapter(tmp_path)
    return tmp_path


def good_data(folder: Path) -> None:
    (folder / "qrels").mkdir(parents=True)
    lines = [
        json.dumps({"_id": f"d{n}", "title": "", "text": f"passage {n} of {n * 7}"})
        for n in range(60)
    ]
    (folder / "corpus.jsonl").write_text("\n".join(lines) + "\n")
    lines = [json.dumps({"_id": f"q{n}", "text": f"what is {n * 13} for"}) for n in range(60)]
    (folder / "queries.jsonl").write_text("\n".join(lines) + "\n")
    for split, numbers in (("train", range(40)), ("test", range(40, 60))):
        rows = ["query-id\tcorpus-id\tscore", *(f"q{n}\td{n}\t1" for n in numbers)]
        (folder / "qrels" / f"{split}.tsv").write_text("\n".join(rows) + "\n")


def adapter(folder: Path) -> str:
    store = Store(folder / "store")
    draft = store.draft()
    save_file({"w": np.ones((2, 2), np.float32)}, draft / "adapter_model.safetensors")
    manifest = Manifest.build(
        draft,
        kind="bi-encoder",
        objective="contrastive",
        tuning="lora",
        format="peft",
        base={"name": "nowhere/to-be-found", "fingerprint": FINGERPRINT},
        dimension=2,
        space=FINGERPRINT,
    )
    store.commit(draft, manifest, names=["mine"])
    return manifest.content_id


def snapshot(folder: Path) -> dict[str, bytes]:
    """Every file's bytes; locks are no content."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith("lock")
    }


def append(path: str, text: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        with (folder / path).open("a") as file:
            file.write(text)

    return change


def replace(path: str, content: str | bytes) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        raw = content.encode() if isinstance(content, str) else content
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(raw)

    return change


def nothing(folder: Path) -> None:
    """The input is bad enough as it is."""


def remove(path: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / path).unlink()

    return change


def archive_with(name: str, content: bytes) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        source = folder / "content"
        source.write_bytes(content)
        with tarfile.open(folder / "bad.tar", "w") as tar:
            tar.add(source, arcname=name)
        source.unlink()

    return change


def leak(folder: Path) -> None:
    text = (folder / "data" / "queries.jsonl").read_text()
    (folder / "data" / "queries.jsonl").write_text(
        text.replace("what is 520 for", "What is 0 for?")
    )


def no_train(folder: Path) -> None:
    (folder / "data" / "qrels" / "train.tsv").unlink()


def damage(folder: Path) -> None:
    path = next((folder / "store" / "adapters").rglob("adapter_model.safetensors"))
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(bytes(raw))


def base_with(name: str, content: bytes) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / "base").mkdir()
        (folder / "base" / "config.json").write_text('{"model_type": "bert"}')
        if name == "config.json":
            save_file({"w": np.ones((2, 2), np.float32)}, folder / "base" / "model.safetensors")
        (folder / "base" / name).write_bytes(content)

    return change


class Boom:
    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (Path("ran"),))


PICKLE = pickle.dumps(Boom())
TRAIN = ["train", "bi-encoder", "--data", "data"]
REMOTE = json.dumps({"model_type": "x", "auto_map": {"AutoModel": "code.py"}}).encode()

CASES: dict[str, tuple[int, list[str], Callable[[Path], None], str]] = {
    # the command line
    "unknown command": (2, ["trian"], nothing, "No such command 'trian'"),
    "unknown flag": (2, [*TRAIN, "--lerning-rate", "1"], nothing, "--lerning-rate"),
    "no data": (2, ["train", "bi-encoder"], nothing, "--data"),
    "no kind": (4, ["train", "tri-encoder", "--data", "data"], nothing, "tri-encoder"),
    "learning rate too high": (2, [*TRAIN, "--learning-rate", "1"], nothing, "1e-07 to 0.1"),
    "learning rate no number": (2, [*TRAIN, "--learning-rate", "fast"], nothing, "'fast'"),
    "learning rate NaN": (2, [*TRAIN, "--learning-rate", "nan"], nothing, "'nan'"),
    "batch of one": (2, [*TRAIN, "--batch-size", "1"], nothing, "from 2"),
    "negative epochs": (2, [*TRAIN, "--epochs", "-1"], nothing, "--epochs"),
    "warm-up for ever": (2, [*TRAIN, "--warmup", "2"], nothing, "0 to 0.9"),
    "odd schedule": (2, [*TRAIN, "--schedule", "zigzag"], nothing, "one of linear, cosine"),
    "zero dimensions": (2, [*TRAIN, "--matryoshka-dims", "64,0"], nothing, "--matryoshka-dims"),
    "rank of LoRA without LoRA": (
        2, [*TRAIN, "--tuning", "full", "--lora-rank", "8"], nothing, "has no effect",
    ),
    "no such device": (2, [*TRAIN, "--device", "tpu"], nothing, "one of auto, cpu"),
    "device that is not here": (4, [*TRAIN, "--device", "mps"], nothing, "no such device here"),
    "no such backend": (4, [*TRAIN, "--backend", "nope"], nothing, "no backend 'nope'"),
    "tuning of another kind": (2, [*TRAIN, "--tuning", "qlora"], nothing, "it takes one of"),
    "a side that nobody trains": (
        4, [*TRAIN, "--side", "query", "--tuning", "full"], nothing, "leave --side query out",
    ),
    "resume and fresh": (2, [*TRAIN, "--resume", "--fresh"], nothing, "exclude each other"),
    "dims no numbers": (2, ["evaluate", "mine", "--data", "data", "--dims", "x"], nothing, "--dims"),
    # configuration
    "config missing": (2, [*TRAIN, "--config", "no.yaml"], nothing, "no.yaml: cannot be read"),
    "config unknown option": (
        2, [*TRAIN, "--config", "c.yaml"], replace("c.yaml", "seed: 1\nepoch: 3\n"), "c.yaml:2",
    ),
    "config no YAML": (2, [*TRAIN, "--config", "c.yaml"], replace("c.yaml", "a: [\n"), "c.yaml:"),
    "config out of range": (
        2, [*TRAIN, "--config", "c.yaml"], replace("c.yaml", "\nbatch_size: many\n"), "c.yaml:2",
    ),
    "ragd's block out of range": (
        2, TRAIN, replace(".ragd/config.yaml", "training:\n  embedding_epochs: -3\n"), "config.yaml:2",
    ),
    # base models
    "base missing": (4, [*TRAIN, "--base", "./no-model"], nothing, "no such folder"),
    "base unknown": (4, [*TRAIN, "--base", "no/such-model"], nothing, "not asked: offline"),
    "base empty": (4, [*TRAIN, "--base", "./qrels"], replace("qrels/x", ""), "qrels"),
    "base a pickle": (4, [*TRAIN, "--base", "./base"], base_with("pytorch_model.bin", PICKLE), "pytorch_model.bin"),
    "base with code": (1, [*TRAIN, "--base", "./base"], base_with("config.json", REMOTE), "code"),
    # data
    "data missing": (5, ["train", "bi-encoder", "--data", "no"], nothing, "no"),
    "data empty": (5, ["data", "check", "empty.jsonl"], replace("empty.jsonl", ""), "empty.jsonl"),
    "data binary": (5, ["data", "check", "x.jsonl"], replace("x.jsonl", bytes(range(256))), "x.jsonl"),
    "data half a gzip": (
        5, ["data", "check", "x.jsonl.gz"],
        replace("x.jsonl.gz", gzip.compress(b'{"query": "a", "positive": "b"}\n' * 999)[:40]), "x.jsonl.gz",
    ),
    "data no JSON": (5, TRAIN, append("data/corpus.jsonl", "{oops\n"), "corpus.jsonl:61"),
    "data field missing": (5, TRAIN, append("data/queries.jsonl", '{"_id": "q9"}\n'), "queries.jsonl:61"),
    "data id twice": (5, TRAIN, append("data/corpus.jsonl", '{"_id": "d1", "text": "x"}\n'), "corpus.jsonl:61"),
    "data id unknown": (5, TRAIN, append("data/qrels/train.tsv", "q1\tnone\t1\n"), "train.tsv:42"),
    "data score NaN": (5, TRAIN, append("data/qrels/train.tsv", "q1\td2\tnan\n"), "train.tsv:42"),
    "data without training": (5, TRAIN, no_train, "train"),
    "data without corpus": (5, TRAIN, remove("data/corpus.jsonl"), "corpus.jsonl"),
    "table without columns": (5, ["data", "check", "x.csv"], replace("x.csv", "a,b\n1,2\n"), "x.csv"),
    "leak under strict": (5, ["data", "check", "data", "--strict"], leak, "queries.jsonl"),
    "split of nothing": (2, ["data", "split", "data", "out", "--test", "-1"], nothing, "test"),
    "split over something": (
        2, ["data", "split", "data", "out"], replace("out/precious.txt", "mine"), "out",
    ),
    # adapters
    "adapter unknown": (1, ["evaluate", "nobody", "--data", "data"], nothing, "nobody"),
    "blend of nothing": (2, [*TRAIN, "--blend", "0"], nothing, "from 0.01 to 1"),
    "blend beyond": (2, [*TRAIN, "--blend", "1.5"], nothing, "from 0.01 to 1"),
    "adapter's base nowhere": (4, ["evaluate", "mine", "--data", "data"], nothing, "nowhere/to-be-found"),
    "split unknown": (5, ["evaluate", "mine", "--data", "data", "--split", "exam"], nothing, "no exam split"),
    "activate unproven": (3, ["adapters", "activate", "mine"], nothing, "no proof"),
    "roll back nothing": (1, ["adapters", "rollback"], nothing, "nothing to roll back"),
    "damaged": (1, ["adapters", "activate", "mine", "--force"], damage, "adapter_model.safetensors"),
    "verify damaged": (1, ["adapters", "verify"], damage, "adapter_model.safetensors"),
    "export over a file": (2, ["adapters", "export", "mine", "x.tar"], replace("x.tar", "mine"), "x.tar"),
    "import nothing": (2, ["adapters", "import", "no.tar"], nothing, "no.tar"),
    "import no archive": (1, ["adapters", "import", "x.tar"], replace("x.tar", "hello"), "x.tar"),
    "import a pickle": (1, ["adapters", "import", "bad.tar"], archive_with("model.pkl", PICKLE), "model.pkl"),
    "import that climbs": (1, ["adapters", "import", "bad.tar"], archive_with("../../evil.json", b"{}"), ".."),
    "import without manifest": (1, ["adapters", "import", "bad.tar"], archive_with("adapter/a.json", b"{}"), "ragd-tune.json"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_bad_input_gets_its_exit_code_and_a_message_and_writes_nothing(
    name: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, arguments, spoil, told = CASES[name]
    spoil(here)
    before = snapshot(here)
    assert run(arguments) == code
    out, err = capsys.readouterr()
    assert told in err + (out if arguments[:2] == ["adapters", "verify"] else "")
    assert "Traceback" not in out + err
    if arguments[:2] != ["adapters", "verify"]:
        assert err.count("error: ") == 1
        assert "→" in err
    after = snapshot(here)
    after.pop("store/fingerprints.json", None)  # a cache: what it holds is true whatever was asked
    assert after == before
    assert not (here / "ran").exists()


def test_there_are_at_least_forty_cases_and_every_exit_code_is_among_them() -> None:
    assert len(CASES) >= 40
    assert {code for code, *_ in CASES.values()} == {1, 2, 3, 4, 5}


def test_a_store_that_is_a_file_is_an_error_and_stays_a_file(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "file").write_text("mine")
    monkeypatch.setenv("RAGD_TUNE_HOME", str(here / "file"))
    assert run(["adapters", "activate", "x"]) == 1
    assert "Traceback" not in capsys.readouterr().err
    assert (here / "file").read_text() == "mine"


def test_a_bug_is_one_message_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from ragd_tune.cli import plugins

    monkeypatch.delenv("RAGD_TUNE_DEBUG", raising=False)
    monkeypatch.setattr(plugins, "discover", lambda: 1 / 0)
    assert run(["plugins"]) == 1
    err = capsys.readouterr().err
    assert "unexpected ZeroDivisionError" in err
    assert "Traceback" not in err
