"""Questions without an LLM: what documents ask themselves, and what statistics say they are about.

Recipes by name: ``heading``, ``faq``, ``docstring``, ``link`` (structure), ``definition``,
``aspect`` (subjects), ``purpose``, ``keywords``, ``crop`` (the rest). English patterns are used
only on passages that are English; ``keywords`` and ``crop`` work in any language with blanks.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

from ragd_tune.data.chunk import Chunk
from ragd_tune.data.documents.model import Source
from ragd_tune.data.generate import structure
from ragd_tune.data.generate.drawn import drawn
from ragd_tune.data.generate.frames import told
from ragd_tune.data.generate.language import language
from ragd_tune.data.generate.model import Question
from ragd_tune.data.generate.patterns import purpose
from ragd_tune.data.generate.salient import Statistics, plain, statistics
from ragd_tune.data.generate.subjects import Asked, by_subject
from ragd_tune.data.generate.topics import topics
from ragd_tune.data.generate.words import sentences, words

STRUCTURE = ("heading", "faq", "docstring", "link")
SUBJECTS = ("definition", "aspect")
REST = ("keywords", "purpose", "crop")
"""One is asked of a passage that none of :data:`ENOUGH` asks anything of: headings alone say little
("What is done"), and few pages have few of them.

On MedQuAD's dev split that harmed nothing; three times as many as questions of subjects, of every
passage, took its nDCG@10 from .7925 to .7660 (docs/explanation/recipes.md).
"""
ENOUGH = ("faq", "docstring", *SUBJECTS)
RECIPES = (*STRUCTURE, *SUBJECTS, *REST)


def generate(
    chunks: Sequence[Chunk],
    sources: Sequence[Source],
    *,
    per_chunk: int,
    recipes: Sequence[str] = RECIPES,
    progress: Callable[[str, float], None] = lambda text, done: None,
) -> list[Question]:
    """Return up to ``per_chunk`` questions a passage, the best recipes first.

    What the documents ask themselves comes first, then what only this passage tells of its
    subject. Where there is neither but a heading, the passage's id decides which of the rest is
    asked, so that each has its share of the whole.
    """
    progress("counting words and phrases", 0.0)
    found = statistics(chunks)
    asked = _structure(chunks, sources)
    names: dict[str, list[str]] = {}
    for number, chunk in enumerate(chunks):
        if number % 500 == 0:
            progress("looking for what passages are about", number / len(chunks))
        names[chunk.id] = topics(chunk, found)
    subjects = by_subject(chunks, found, names)
    made: list[Question] = []
    for number, chunk in enumerate(chunks):
        if number % 500 == 0:
            progress("making questions", number / len(chunks))
        own = [Asked(style, text, ()) for style, text in asked.get(chunk.id, ())]
        own = [one for one in (*own, *subjects.get(chunk.id, ())) if one.style in recipes]
        if not any(one.style in ENOUGH for one in own):
            own += _rest(chunk, found, names[chunk.id], recipes)
        made += _distinct(chunk, own, per_chunk)
    return made


def _distinct(chunk: Chunk, asked: Sequence[Asked], most: int) -> Iterator[Question]:
    """Yield the first questions, each wording once."""
    texts: set[str] = set()
    for one in asked:
        if len(texts) < most and one.text.lower() not in texts:
            texts.add(one.text.lower())
            yield Question(chunk=chunk.id, text=one.text, style=one.style, against=one.against)


def _structure(
    chunks: Sequence[Chunk], sources: Sequence[Source]
) -> Mapping[str, list[tuple[str, str]]]:
    titles = {source.id: source.title for source in sources}
    asked: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    for chunk in chunks:
        asked[chunk.id] += structure.docstring(chunk)
        asked[chunk.id] += structure.heading(chunk, titles)
        asked[chunk.id] += structure.title(chunk)
    for identity, style, text in structure.links(sources, chunks):
        asked[identity].append((style, text))
    return asked


def _rest(
    chunk: Chunk, found: Statistics, names: Sequence[str], recipes: Sequence[str]
) -> list[Asked]:
    """Return the first question of one of the recipes; none if none finds anything to ask."""
    english = not chunk.code and language(chunk.text) in ("en", "")
    parts = [*chunk.headings[-1:], *sentences(plain(chunk.text))]
    makers: dict[str, Callable[[], Iterator[str]]] = {
        "keywords": lambda: _keywords(names, parts if english else ()),
        "purpose": lambda: purpose(parts, found) if english else iter(()),
        "crop": lambda: _crop(chunk, found),
    }
    first = [(name, next(makers[name](), "")) for name in REST if name in recipes]
    made = [Asked(name, text, ()) for name, text in first if text]
    return [made[drawn(chunk.id, len(made))]] if made else []


def _keywords(names: Sequence[str], parts: Sequence[str]) -> Iterator[str]:
    """Put a topic and an aspect, or two topics, side by side, as in a search box."""
    for frame in told(parts)[:1] if names else ():
        yield f"{names[0]} {frame.name}".lower()
    for other in names[1:]:
        yield f"{names[0]} {other}".lower()


def _crop(chunk: Chunk, found: Statistics) -> Iterator[str]:
    """Yield up to seven content words of one sentence, in order, which is no quotation.

    Words that stand in one passage alone, and those that are no words (``x2_1``), are what nobody
    types and what makes a passage too easy to find.
    """
    kept = [one for one in sentences(plain(chunk.text)) if 6 <= len(one.split()) <= 40]
    if not kept:
        return
    turn = drawn(f"crop {chunk.id}", len(kept))
    for sentence in (kept[turn:] + kept[:turn])[:2]:
        content = [word for word in words(sentence) if word not in found.stop]
        distinct = [word for word in dict.fromkeys(content) if _said(word, found)]
        if len(distinct) >= 3:
            rare = sorted(distinct, key=lambda word: (found.words.get(word, 0), word))[:7]
            yield " ".join(word for word in distinct if word in rare)


def _said(word: str, found: Statistics) -> bool:
    """Say whether people would type the word."""
    lone = found.words.get(word, 0) < 2 and found.total >= 200
    return not lone and not re.search(r"[\d_/]|\w\.\w", word)
