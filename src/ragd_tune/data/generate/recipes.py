"""Questions without an LLM: what documents ask themselves, and what statistics say they are about.

Recipes by name: ``heading``, ``faq``, ``docstring``, ``link`` (structure), ``definition``,
``aspect``, ``keywords``, ``purpose``, ``crop`` (statistics). English patterns are used only on
passages that are English; ``keywords`` and ``crop`` work in any language with blanks.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

from ragd_tune.data.chunk import Chunk
from ragd_tune.data.documents.model import Source
from ragd_tune.data.generate import structure
from ragd_tune.data.generate.frames import Frame, told
from ragd_tune.data.generate.language import language
from ragd_tune.data.generate.model import Question
from ragd_tune.data.generate.patterns import definition, purpose
from ragd_tune.data.generate.salient import Statistics, plain, statistics
from ragd_tune.data.generate.topics import topics
from ragd_tune.data.generate.words import sentences, words

STRUCTURE = ("heading", "faq", "docstring", "link")
STATISTICS = ("aspect", "keywords", "definition", "purpose", "crop")
RECIPES = (*STRUCTURE, *STATISTICS)


def generate(
    chunks: Sequence[Chunk],
    sources: Sequence[Source],
    *,
    per_chunk: int,
    recipes: Sequence[str] = RECIPES,
    progress: Callable[[str, float], None] = lambda text, done: None,
) -> list[Question]:
    """Return up to ``per_chunk`` questions a passage, the best recipes first.

    What the documents ask themselves comes first; the recipes from statistics then take turns,
    beginning at one that the passage's id decides, so that each has its share of the whole.
    """
    progress("counting words and phrases", 0.0)
    found = statistics(chunks)
    asked = _structure(chunks, sources)
    made: list[Question] = []
    for number, chunk in enumerate(chunks):
        if number % 500 == 0:
            progress("making questions", number / len(chunks))
        own = [pair for pair in asked.get(chunk.id, ()) if pair[0] in recipes]
        own += _in_turn(chunk, _statistics(chunk, found, recipes))
        texts: set[str] = set()
        for style, text in own:
            if len(texts) < per_chunk and text.lower() not in texts:
                texts.add(text.lower())
                made.append(Question(chunk=chunk.id, text=text, style=style))
    return made


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


def _in_turn(chunk: Chunk, by_recipe: list[list[tuple[str, str]]]) -> Iterator[tuple[str, str]]:
    """Yield the first question of each recipe, then the second of each, and so on."""
    filled = [one for one in by_recipe if one]
    if not filled:
        return
    turn = drawn(chunk.id, len(filled))
    filled = filled[turn:] + filled[:turn]
    for place in range(max(map(len, filled))):
        for one in filled:
            if place < len(one):
                yield one[place]


def drawn(text: str, below: int) -> int:
    """Return a number below ``below`` that ``text`` decides, the same on every machine."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") % below


def _statistics(
    chunk: Chunk, found: Statistics, recipes: Sequence[str]
) -> list[list[tuple[str, str]]]:
    english = not chunk.code and language(chunk.text) in ("en", "")
    parts = [*chunk.headings[-1:], *sentences(plain(chunk.text))]
    names = topics(chunk, found)
    frames = told(parts) if english else []
    makers: dict[str, Callable[[], Iterator[str]]] = {
        "aspect": lambda: _aspect(chunk, names, frames),
        "keywords": lambda: _keywords(names, frames),
        "definition": lambda: definition(parts, found) if english else iter(()),
        "purpose": lambda: purpose(parts, found) if english else iter(()),
        "crop": lambda: _crop(chunk, found),
    }
    return [[(name, text) for text in makers[name]()] for name in STATISTICS if name in recipes]


def _aspect(chunk: Chunk, names: Sequence[str], frames: Sequence[Frame]) -> Iterator[str]:
    """Ask for what the passage tells of its topic: "What are the symptoms of glaucoma?"."""
    for topic in names[:1]:
        for frame in frames[:2]:
            form = frame.ask[drawn(chunk.id + frame.name, len(frame.ask))]
            yield form.format(topic, be="are" if _plural(topic) else "is")


def _plural(noun: str) -> bool:
    return noun.endswith("s") and not noun.endswith(("ss", "us", "is"))


def _keywords(names: Sequence[str], frames: Sequence[Frame]) -> Iterator[str]:
    """Put a topic and an aspect, or two topics, side by side, as in a search box."""
    for frame in frames[:1] if names else ():
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
