"""The engine's manners, against a stand-in for RAGatouille: the driver is the real one."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ragd_tune.errors import NotInstalledError, TuneError, UsageError
from ragd_tune.serve.ragatouille import Ragatouille, ending

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the stand-in is a shell script")

STAND_IN = '''
import os, subprocess, sys, time
import numpy as np

class Array:
    """An array with as much of a tensor as the driver asks for."""
    def __init__(self, value): self.value = value
    def float(self): return self
    def cpu(self): return self
    def numpy(self): return self.value

def vectors(texts):
    made = np.zeros((len(texts), 3, 4), np.float32)
    for row, text in zip(made, texts):
        for place, word in enumerate(text.split()[:3]):
            row[place, len(word) % 4] = 1.0
    return made

class Checkpoint:
    def queryFromText(self, texts, bsize):
        print("a library prints where answers go")
        if texts[0] == "hang":
            child = "import time; open('started', 'w').close(); time.sleep(600)"
            subprocess.Popen([sys.executable, "-c", child], process_group=0)
            time.sleep(600)
        if texts[0] == "die":
            print("no more memory", file=sys.stderr, flush=True)
            os._exit(9)
        if texts[0] == "fail":
            raise ValueError("this is no text")
        return Array(vectors(texts))

    def docFromText(self, texts, bsize, keep_dims):
        made = vectors(texts)
        return Array(made.reshape(-1, 4)), [3] * len(made)

class Model:
    inference_ckpt = Checkpoint()

class RAGPretrainedModel:
    model = Model()

    @classmethod
    def from_pretrained(cls, path, verbose, index_root=None): return cls()
'''


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """An interpreter for which the stand-in is installed."""
    place = tmp_path / "stand-in"
    place.mkdir()
    (place / "ragatouille.py").write_text(STAND_IN, encoding="utf-8")
    script = tmp_path / "python"
    run = f"import runpy, sys; sys.path.insert(0, {str(place)!r}); sys.argv = sys.argv[-1:]; "
    run += "runpy.run_path(sys.argv[0], run_name='__main__')"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -u -c "{run}" "$@"\n', encoding="utf-8")
    script.chmod(0o755)
    return script


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    return folder


def test_scores_are_maxsim_and_what_libraries_print_is_no_answer(
    python: Path, model: Path, tmp_path: Path
) -> None:
    with Ragatouille(python, tmp_path / "work") as engine:
        found = engine.scores(model, ["a bb", "ccc"], ["a", "bb ccc", "a bb ccc"])
        assert found.tolist() == [[1.0, 1.0, 2.0], [0.0, 1.0, 1.0]]
        assert engine.scores(model, [], ["a"]).shape == (0, 1)
    assert "a library prints" in (tmp_path / "work" / "ragatouille.log").read_text()


def test_a_call_that_hangs_is_ended_with_its_children_and_the_next_one_works(
    python: Path, model: Path, tmp_path: Path
) -> None:
    with Ragatouille(python, tmp_path / "work", seconds=120) as engine:
        engine.scores(model, ["a"], ["a"])  # imports are done: what follows is the hanging alone
        engine.seconds = 2
        with pytest.raises(TuneError, match="no answer to 'scores' within 2 seconds"):
            engine.scores(model, ["hang"], ["a"])
        assert _until(lambda: not _running("open('started', 'w')"))
        engine.seconds = 120
        assert engine.rerank(model, "a", ["a", "bb"]).tolist() == [1.0, 0.0]


def test_what_was_ended_while_it_compiled_leaves_no_lock_that_the_next_one_waits_for(
    python: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    extensions = tmp_path / "extensions"
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(extensions))
    others, stale = extensions / "others" / "lock", extensions / "stale" / "lock"
    for lock, age in ((others, 60.0), (stale, 2 * ending.STALE)):
        lock.parent.mkdir(parents=True)
        lock.touch()
        os.utime(lock, (time.time() - age,) * 2)
    with Ragatouille(python, tmp_path / "work", seconds=120) as engine:
        engine.scores(model, ["a"], ["a"])
        assert not stale.exists()
        mine = extensions / "mine" / "lock"
        mine.parent.mkdir()
        mine.touch()
    assert not mine.exists()
    assert others.exists()  # somebody else may be compiling


def _running(words: str) -> list[int]:
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if words.encode() in place.read_bytes():
                found.append(int(place.parent.name))
        except OSError:
            continue
    return found


def _until(done: Callable[[], bool], seconds: float = 60) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if done():
            return True
        time.sleep(0.05)
    return done()


def test_an_error_of_the_library_is_told_and_the_process_goes_on(
    python: Path, model: Path, tmp_path: Path
) -> None:
    with Ragatouille(python, tmp_path / "work") as engine:
        with pytest.raises(TuneError, match="cannot scores: ValueError: this is no text"):
            engine.scores(model, ["fail"], ["a"])
        process = engine._process
        assert engine.rerank(model, "a", ["a"]).tolist() == [1.0]
        assert engine._process is process


def test_a_process_that_dies_is_told_with_its_last_words(
    python: Path, model: Path, tmp_path: Path
) -> None:
    with Ragatouille(python, tmp_path / "work") as engine:
        with pytest.raises(TuneError, match="ended without an answer to 'scores': no more memory"):
            engine.scores(model, ["die"], ["a"])
        assert engine.rerank(model, "a", ["a"]).tolist() == [1.0]


def test_an_interpreter_without_ragatouille_or_without_anything_says_what_to_pin(
    tmp_path: Path,
) -> None:
    for python, words in (
        (Path(sys.executable), "No module named 'ragatouille'"),
        (tmp_path / "nothing", "cannot be run"),
    ):
        with (
            Ragatouille(python, tmp_path / "work") as engine,
            pytest.raises(NotInstalledError, match=words) as refused,
        ):
            engine.versions()
        assert "ragatouille==0.0.9.post2" in refused.value.mend


def test_training_is_refused_with_the_reason(tmp_path: Path) -> None:
    engine = Ragatouille(Path(sys.executable), tmp_path / "work")
    with pytest.raises(UsageError, match="waits for ever") as refused:
        engine.train()
    assert "ragd-tune train colbert" in refused.value.mend
    assert not (tmp_path / "work").exists()


def test_an_index_is_not_written_over_anything_nor_of_nothing(
    python: Path, model: Path, tmp_path: Path
) -> None:
    engine = Ragatouille(python, tmp_path / "work")
    with pytest.raises(UsageError, match="is there already"):
        engine.index(model, {"a": "a"}, python.parent, length=32)
    with pytest.raises(UsageError, match="needs documents"):
        engine.index(model, {}, tmp_path / "out", length=32)
    with pytest.raises(UsageError, match="no such folder"):
        engine.search(tmp_path / "none", ["a"], 3)
