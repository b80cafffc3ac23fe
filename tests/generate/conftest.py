from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ragd_tune.data.chunk import Chunk, chunk
from ragd_tune.data.documents import Library, gather
from ragd_tune.testing.machine import Machine

TOPICS = {
    "glaucoma": "eye pressure optic nerve",
    "asthma": "airways lungs breathing",
    "gout": "uric acid joints",
    "anaemia": "iron red cells",
    "measles": "virus rash fever",
    "scurvy": "vitamin gums bleeding",
    "rickets": "bones calcium sunlight",
    "malaria": "mosquito parasite chills",
    "tetanus": "wound bacteria spasms",
    "cholera": "water bacteria dehydration",
    "eczema": "skin itching dryness",
    "migraine": "headache light nausea",
}
"""Made-up pages about real things: each has a definition, symptoms, causes and treatment."""


def page(name: str, words: str) -> str:
    one, two, *rest = words.split()
    third = rest[-1] if rest else two
    return (
        f"# {name.title()}\n\n{name.title()} is a condition of the {one} and the {two}.\n\n"
        f"## Symptoms of {name}\n\nThe symptoms are {two} and {third}. Some symptoms come late.\n\n"
        f"## What causes {name}?\n\nThe causes lie in the {one}. A cause may be {third}.\n\n"
        f"## Treatment\n\nThe treatment of {name} can be used to calm the {two} within a week. "
        f"See the [rules of treatment](rules.md#first-rules) before any treatment begins.\n"
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of Markdown that is small and has what the recipes look for."""
    root = tmp_path / "handbook"
    root.mkdir()
    for name, words in TOPICS.items():
        (root / f"{name}.md").write_text(page(name, words), encoding="utf-8")
    rules = "# Rules\n\nWash hands.\n\n## First rules\n\nAsk the patient before anything is done.\n"
    (root / "rules.md").write_text(rules, encoding="utf-8")
    return root


@pytest.fixture
def library(folder: Path) -> Library:
    return gather([folder])


@pytest.fixture
def chunks(library: Library) -> list[Chunk]:
    return list(chunk(library.sources, tokens=60))


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str | bytes], Path]:
    """Write a file into a folder of documents and return the folder."""
    root = tmp_path / "documents"

    def put(name: str, content: str | bytes) -> Path:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return root

    return put


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine.make(tmp_path, monkeypatch)
