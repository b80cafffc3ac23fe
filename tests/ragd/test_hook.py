"""The hook in a process of a stand-in ragd: the right models, swapped whole, or an error."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ragd_tune.errors import NotInstalledError, UsageError
from ragd_tune.ragd import hooking

STANDIN = Path(__file__).with_name("standin")
TEXTS = [f"part {number} of a harbour at night" for number in range(5)]

# What every scenario begins with, in a process whose site has the stand-in and the hook.
START = """
import site, sys
from pathlib import Path
site.addsitedir(sys.argv[1])
site.addsitedir(sys.argv[2])
import numpy as np
from ragd_tune.errors import StoreError
from ragd_tune.pipeline import hosting
from ragd_tune.pipeline.host_plan import plan_activation
from ragd_tune.pipeline.workshop import workshop
from ragd_tune.ragd import hooking
from ragd_tune.serve.load import load
from ragd_tune.store import Store
hooking.is_enabled = lambda: True  # the place is not this Python's own site-packages
from ragd.config import load_config
from ragd.search.hybrid import HybridSearcher, open_store
from ragd.embedding.embedder import get_embedder
from ragd.ingestion.pipeline import index_document
from ragd.chat.session import ChatSession
from ragd_tune.ragd.following import following
store = Store()

def activate(name):
    shop = workshop()
    hosting.carry_out(shop, plan_activation(shop, name))

def refused(call, words):
    try:
        call()
    except StoreError as error:
        assert words in error.message, error.message
    else:
        raise AssertionError("was not refused")

query = "a boat at night"
"""

QUERY_SIDE = """
searcher = HybridSearcher(load_config())
before = searcher.search(query, limit=5)
own = get_embedder(load_config().embedding.model).embed_single(query)
activate("asks")
tuned = load("asks").embed_queries([query])[0]
assert np.abs(tuned - np.array(own)).max() > 1e-3
assert np.allclose(searcher._embedder.embed_single(query), tuned, atol=1e-6)
text = [before[0].content]
plain = get_embedder(load_config().embedding.model)
assert np.allclose(searcher._embedder.embed(text), plain.embed(text))
after = [one.combined_score for one in searcher.search(query, limit=5)]
assert after != [one.combined_score for one in before]
hosting.roll_back(workshop())
again = [one.combined_score for one in searcher.search(query, limit=5)]
assert again == [one.combined_score for one in before]
"""

SWAP = """
config = load_config()
session = ChatSession(config)
searcher = session._searcher
before = [one.combined_score for one in searcher.search(query, limit=5)]
words, old = searcher._bm25, config.chroma_path
activate("mine")
raw = Path.home() / ".ragd" / "config.yaml"
raw.write_text(raw.read_text() + "chat: {min_relevance: 0.25}\\n")
session._retrieve_with_fallback(query, 10)
assert session.chat_config.min_relevance == 0.25
assert not words.open
assert searcher.config.embedding.model.endswith(load("mine").id)
assert searcher._bm25.path.parent == load_config().chroma_path != old
mine = load("mine")
tuned = mine.embed_queries([query])[0]
assert np.allclose(searcher._embedder.embed_single(query), tuned, atol=1e-6)
found = searcher.search(query, limit=5)
texts = [one.content for one in found]
cosines = mine.embed_documents(texts) @ mine.embed_queries([query])[0]
assert np.allclose([2 * one.combined_score - 1 for one in found], cosines, atol=1e-4)
late = Path.home() / "late.txt"
late.write_text("indexed after the switch")
index_document(late, open_store(load_config()), load_config())
hosting.roll_back(workshop())
assert [one.combined_score for one in searcher.search(query, limit=5)] == before
"""

MIXED = """
activate("mine")
raw = Path.home() / ".ragd" / "config.yaml"
right = raw.read_text()
raw.write_text(right.replace(load_config().embedding.model, sys.argv[3]))
mixed = load_config()
refused(lambda: HybridSearcher(mixed).search(query), "holds vectors of mine")
refused(lambda: index_document(raw, open_store(mixed), mixed), "holds vectors of mine")
raw.write_text(right.replace(load_config().storage.chroma_dir, "chroma"))
mixed = load_config()
refused(lambda: HybridSearcher(mixed).search(query), "was not made with")
refused(lambda: index_document(raw, open_store(mixed), mixed), "was not made with")
"""

OVERTAKEN = """
from ragd_tune.ragd.marker import read_marker
base = load_config().chroma_path
activate("mine")
index, host = load_config().chroma_path, following()
searcher, check = HybridSearcher(load_config()), host.check_index
def make_again():
    read_marker(index).model_copy(update={"state": "building"}).write(index)
def overtaken(config):
    host.check_index = check
    hosting.roll_back(workshop())
    make_again()
    check(config)
host.check_index = overtaken
assert searcher.search(query)
assert searcher._bm25.path.parent == base
activate("mine")
make_again()
refused(lambda: searcher.search(query), "is not finished")
"""

HALF_WRITTEN = """
raw = Path.home() / ".ragd" / "config.yaml"
whole = raw.read_text()
searcher = HybridSearcher(load_config())
before = [one.combined_score for one in searcher.search(query, limit=5)]
for text in ("", "embedding: {model: [", whole):
    raw.write_text(text)
    assert [one.combined_score for one in searcher.search(query, limit=5)] == before, text
activate("mine")
assert [one.combined_score for one in searcher.search(query, limit=5)] != before
"""

RERANK = """
from ragd_tune.ragd.protocols import HostReranker
class Last:
    def rerank(self, query, passages):
        return np.array([int(one.split()[1]) for one in passages], np.float32)
searcher = HybridSearcher(load_config())
assert len(searcher.search(query, limit=2)) == 2
following().reranker = lambda config: HostReranker(Last())
assert [one.content.split()[1] for one in searcher.search(query, limit=2)] == ["4", "3"]
named = [one.chunk_id for one in searcher.search(query, limit=5, document_boosts={"d": 1.0})]
following().reranker = lambda config: None
assert [one.chunk_id for one in searcher.search(query, limit=5)] == named
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a site folder with the hook, and a stand-in that says that it is ragd 1.0.10."""
    info = tmp_path / "site" / "ragd-1.0.10.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ragd\nVersion: 1.0.10\n")
    monkeypatch.syspath_prepend(tmp_path / "site")
    assert hooking.enable(tmp_path / "site")
    return tmp_path / "site"


@pytest.mark.slow
@pytest.mark.parametrize(
    "scenario", ["QUERY_SIDE", "SWAP", "MIXED", "OVERTAKEN", "HALF_WRITTEN", "RERANK"]
)
def test_a_running_process_has_the_right_models_or_none(
    bench: Any, place: Path, scenario: str
) -> None:
    base = bench.embedder()
    bench.index.add("one", TEXTS, lambda some: base.embed_documents(some).tolist())
    (bench.home / ".ragd" / "config.yaml").write_text(
        f"embedding: {{model: {bench.base}, dimension: 16}}\n"
        f"storage: {{data_dir: {bench.home / '.ragd'}}}\n",
        encoding="utf-8",
    )
    bench.train("asks", side="query")
    bench.train("mine", seed=3)
    other = str(bench.base)
    script = START + globals()[scenario]
    command = [sys.executable, "-c", script, str(place), str(STANDIN), other]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_hook_goes_in_once_and_out_to_the_last_byte(place: Path) -> None:
    assert hooking.hook_state(place).state == "enabled"
    assert not hooking.enable(place)
    assert hooking.disable(place)
    assert {path.name for path in place.iterdir()} == {"ragd-1.0.10.dist-info"}
    assert not hooking.disable(place)


def test_what_is_compiled_from_the_hook_goes_with_it(place: Path) -> None:
    command = [sys.executable, "-c", f"import site; site.addsitedir({str(place)!r})"]
    subprocess.run(command, check=True)
    hooking.disable(place)
    assert not list(place.rglob("*ragd_tune_host*"))


def test_nothing_is_imported_before_ragd_is(place: Path) -> None:
    script = (
        "import sys; before = set(sys.modules); import site; own = set(sys.modules);"
        f"site.addsitedir({str(place)!r}); print(*sorted(set(sys.modules) - own - before))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    assert done.stdout.split() == ["_ragd_tune_host"]


def test_a_ragd_that_was_not_tested_is_refused_with_what_works(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hooking.disable(place)
    monkeypatch.setattr(hooking, "ragd_version", lambda: "1.1.0")
    with pytest.raises(UsageError, match=r"ragd 1\.1\.0 is not one") as caught:
        hooking.enable(place)
    assert "adapters activate" in caught.value.mend
    monkeypatch.setattr(hooking, "ragd_version", lambda: None)
    with pytest.raises(NotInstalledError, match="not installed in this environment"):
        hooking.enable(place)
    assert not list(place.glob("*.pth"))


def test_a_hook_of_another_version_is_told_and_renewed(place: Path) -> None:
    (place / hooking.MODULE).write_text("# of before\n")
    assert hooking.hook_state(place).state == "stale"
    assert hooking.enable(place)
    assert hooking.hook_state(place).state == "enabled"
