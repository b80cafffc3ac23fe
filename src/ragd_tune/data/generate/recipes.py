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
from ragd_tune.data.generate.language import language
from ragd_tune.data.generate.model import Question
from ragd_tune.data.generate.salient import About, Statistics, about
from ragd_tune.data.generate.words import STOP, WORD, sentences, words

STRUCTURE = ("heading", "faq", "docstring", "link")
STATISTICS = ("aspect", "keywords", "definition", "purpose", "crop")
RECIPES = (*STRUCTURE, *STATISTICS)

_DEFINES = re.compile(
    r"^(?:An?\s+|The\s+)?((?:[\w'’+#/.-]+\s+){0,4}?[\w'’+#/.-]+)(?:\s+\([^)]{1,40}\))?,?\s+"
    r"(is|are|refers to|means|describes|occurs when|happens when)\s+\w+\b"
)
_PURPOSE = re.compile(
    r"\b(?:(?:is|are|be|can be)\s+(?:also\s+)?(?:used|designed|intended|made|able|needed|required)"
    r"|(?:allows?|enables?|helps?)\s+(?:you|users?|one|people)|tools?|in order|functions?|"
    r"commands?|methods?|ways?)\s+to\s+((?:[\w'’/-]+\s+){1,9}[\w'’/-]+)"
)
_SERVES = re.compile(
    r"\b(?:(?:used|designed|intended|suitable|trained|made|built)\s+for|capable of|models?\s+for|"
    r"library\s+for)\s+((?:[\w'’/-]+\s+){1,7}[\w'’/-]+)"
)
_WORDS_NO_VERBS = """
a an the this that these those it be their its his her your our and or
"""
_NO_VERBS = frozenset(_WORDS_NO_VERBS.split())
_WORDS_NOT_NAMES = """
this that these those it they he she there what which who we you i
"""
_NOT_NAMES = frozenset(_WORDS_NOT_NAMES.split())


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
    found, described = about(chunks)
    asked = _structure(chunks, sources)
    made: list[Question] = []
    for number, (chunk, told) in enumerate(zip(chunks, described, strict=True)):
        if number % 500 == 0:
            progress("making questions", number / len(chunks))
        own = [pair for pair in asked.get(chunk.id, ()) if pair[0] in recipes]
        own += _in_turn(chunk, _statistics(chunk, told, found, recipes))
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
    chunk: Chunk, told: About, found: Statistics, recipes: Sequence[str]
) -> list[list[tuple[str, str]]]:
    english = not chunk.code and language(chunk.text) in ("en", "")
    makers: dict[str, Callable[[], Iterator[str]]] = {
        "aspect": lambda: _aspect(told) if english else iter(()),
        "keywords": lambda: _keywords(told),
        "definition": lambda: _definition(chunk, found) if english else iter(()),
        "purpose": lambda: _purpose(chunk) if english else iter(()),
        "crop": lambda: _crop(chunk, found),
    }
    return [[(name, text) for text in makers[name]()] for name in STATISTICS if name in recipes]


def _aspect(told: About) -> Iterator[str]:
    """Ask for a facet of the topic: "What are the symptoms of glaucoma?"."""
    for topic in told.topics[:1]:
        for facet in told.facets:
            yield f"What {_is(facet)} the {facet} of {topic}?"


def _is(noun: str) -> str:
    plural = noun.endswith("s") and not noun.endswith(("ss", "us", "is"))
    return "are" if plural else "is"


def _keywords(told: About) -> Iterator[str]:
    """Put a topic and a facet, or two topics, side by side: what people type into a search box."""
    if not told.topics:
        return
    for facet in told.facets[:2]:
        yield f"{told.topics[0]} {facet}".lower()
    for other in told.topics[1:]:
        yield f"{told.topics[0]} {other}".lower()


def _definition(chunk: Chunk, found: Statistics) -> Iterator[str]:
    """Ask what something is that one of the first sentences defines."""
    for sentence in sentences(chunk.text)[:3]:
        match = _DEFINES.match(sentence.removeprefix("Summary : "))
        if not match:
            continue
        name = match[1].strip()
        content = [word for word in words(name) if word not in found.stop]
        if content and words(name)[0] not in _NOT_NAMES:
            shown = name if name[1:] != name[1:].lower() else name[0].lower() + name[1:]
            yield f"What {'are' if match[2] == 'are' else 'is'} {shown}?"


def _purpose(chunk: Chunk) -> Iterator[str]:
    """Ask how to do what something is said to be for: "How to separate voice from noise?"."""
    for sentence in sentences(chunk.text):
        for pattern, form in ((_PURPOSE, "How to {}?"), (_SERVES, "{}")):
            for match in pattern.finditer(sentence):
                said = _ended(match[1].split())
                if len(said) > 1 and said[0].lower() not in _NO_VERBS:
                    yield form.format(" ".join(said))


def _ended(said: list[str]) -> list[str]:
    """Drop words at the end of a phrase that was cut short: "a dog in the" is "a dog"."""
    while said and said[-1].lower() in STOP:
        said = said[:-1]
    return said


def _crop(chunk: Chunk, found: Statistics) -> Iterator[str]:
    """Yield up to seven content words of one sentence, in order, which is no quotation."""
    kept = [one for one in sentences(chunk.text) if 6 <= len(one.split()) <= 40]
    if not kept:
        return
    turn = drawn(f"crop {chunk.id}", len(kept))
    for sentence in (kept[turn:] + kept[:turn])[:2]:
        content = [w[0] for w in WORD.finditer(sentence) if w[0].lower() not in found.stop]
        distinct = list(dict.fromkeys(word.lower() for word in content))
        if len(distinct) >= 3:
            rare = sorted(distinct, key=lambda word: (found.words.get(word, 0), word))[:7]
            yield " ".join(word for word in distinct if word in rare)
