"""Two hundred documents: ragd shows what the adapter gained, and everything goes back."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
TRAIN = "train bi-encoder --data made/data --name tuned --tuning full --mine no --max-length 96"
SHARE = 0.6
"""Of the questions that the proof counts as gained, those whose document ragd must show."""
OTHERS = 40
"""Questions that were not gained, whose output must be the same after the rollback, too."""

QUESTIONS = """
import json, sys
from pathlib import Path
from ragd_tune.data import read
data = read(Path("made/data"))
print(json.dumps({
    key: {"text": data.queries[key].text, "right": sorted(judged)}
    for key, judged in data.qrels["test"].items()
}))
"""
DIFFERENCE = """
import numpy as np
from ragd.config import load_config
from ragd_tune.ragd import chroma
from ragd_tune.serve.load import load
with chroma.reading(load_config().chroma_path, vectors=[chroma.DOCUMENTS]) as client:
    found = client.get_collection(chroma.DOCUMENTS).get(include=["embeddings", "documents"])
own = load("tuned").embed_documents(found["documents"])
print(float(np.abs(np.array(found["embeddings"]) - own).max()))
"""


@pytest.fixture(scope="module")
def library(make_host: Callable[[], Any], shared_data: Callable[[str], Path]) -> Any:
    """Return a home in which ragd has 200 documents, and an adapter was trained on them."""
    host = make_host()
    source = str(shared_data("apibench").resolve())
    host.python((HERE / "two_hundred.py").read_text(encoding="utf-8"), source, "made")
    host.index(host.home / "made" / "docs")
    host.tune(TRAIN)
    return host


def share(found: dict[str, Any], asked: dict[str, Any], wanted: set[str]) -> float:
    """Return the share of ``wanted`` questions for which a right document was shown."""
    shown = [one for one in wanted if set(asked[one]["right"]) & set(found[one]["documents"])]
    return len(shown) / len(wanted)


def test_ragd_shows_what_was_gained_and_goes_back_to_what_it_said(library: Any) -> None:
    asked = json.loads(library.python(QUESTIONS))
    records = json.loads(library.tune("adapters show tuned --json"))["records"]
    (proof,) = [one["payload"] for one in records if one["type"] == "proof"]
    gained = {one["id"] for one in proof["report"]["queries"] if one["after"] > one["before"]}
    some = [*sorted(gained), *sorted(set(asked) - gained)[:OTHERS]]
    questions = {key: asked[key]["text"] for key in some}
    before, written = library.ask(questions), library.config.read_bytes()
    told = library.tune("adapters activate tuned --data made/data --yes")
    assert "min_score: 0.55 →" in told
    assert float(library.python(DIFFERENCE)) <= 1e-5
    after = library.ask({key: questions[key] for key in gained})
    missed = {one for one in gained if not share(before, asked, {one})}
    figures = {
        "gained": len(gained), "missed before": len(missed),
        "shown before": share(before, asked, gained), "shown after": share(after, asked, gained),
        "missed, shown after": share(after, asked, missed),
    }  # fmt: skip
    (library.home / "figures.json").write_text(json.dumps(figures), encoding="utf-8")
    assert len(gained) >= 50
    assert figures["shown after"] >= SHARE, figures
    assert figures["missed, shown after"] >= SHARE, figures
    library.tune("adapters rollback")
    assert library.config.read_bytes() == written
    assert library.ask(questions) == before
