"""What one passage is about: the phrases that name it, by counts and by where they stand.

A topic is a phrase that few passages have ("acid lipase disease") and that this one names in a
heading, in its first two sentences as what it speaks of ("Symptoms of gout …", "Gout is …"), or
there and again. A verb's company, and the words of a frame ("treatment"), name no topic.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence

from ragd_tune.data.chunk import Chunk
from ragd_tune.data.generate.frames import after_cue, is_cue
from ragd_tune.data.generate.salient import Statistics, plain
from ragd_tune.data.generate.words import STOP, phrases, sentences, words

MOST = 3
"""Topics of a passage."""
FREQUENT = 0.05
"""A phrase in more than this share of many passages is the corpus's subject, and no passage's."""
_MANY = 200
_WHOLE = 0.6
"""A longer phrase takes the place of a shorter one if so much of it stands inside the longer."""
_SUBJECT = re.compile(r"^(?:(?:the|an?|your|this)\s+)?", re.IGNORECASE)
_NAME = re.compile(r"[^\W\d_].*[\w+#)]", re.DOTALL)
_WORDS_GENERIC = """
people person patient patients doctor doctors individual individuals user users someone key points
summary information million thousand year years month months week weeks day days time times case
cases number group groups problem problems condition conditions line lines goal goals factor
factors thing things reason reasons health overview introduction usage notes background contents
chapter section
"""
_GENERIC = frozenset(_WORDS_GENERIC.split())


def topics(chunk: Chunk, found: Statistics) -> list[str]:
    """Return the phrases that name the passage best, the best first, as they are written.

    The score is frequency × rarity × length × place; one that stands in a chosen one is left out.
    """
    text = plain(chunk.passage)
    lead = [*sentences(text)[:2]]
    above = " ".join((*chunk.headings, chunk.title)).lower()
    counts, shown = _counted("\n\n".join((*chunk.headings[-2:], text)), found)
    named, whole = _named(lead), " ".join(lead).lower()
    scores = {}
    for phrase, count in counts.items():
        place = _place(phrase, count, found, lead=whole, above=above, named=named)
        if place and _names(phrase, found):
            length = 1 + 0.3 * phrase.count(" ")
            rarity = found.rarity(found.phrases.get(phrase, 1))
            scores[phrase] = (1 + math.log(count)) * rarity * length * place
    best: list[str] = []
    for phrase in sorted(scores, key=lambda one: (-scores[one], one)):
        if not any(phrase in other or other in phrase for other in best):
            best.append(_whole(phrase, counts, found))
        if len(best) == MOST:
            break
    return [shown[phrase] for phrase in best]


def _counted(text: str, found: Statistics) -> tuple[Counter[str], dict[str, str]]:
    """Return the phrases with their counts, and each as it is written with the fewest capitals."""
    counts: Counter[str] = Counter()
    shown: dict[str, str] = {}
    for one in phrases(text, found.stop):
        key = one.lower()
        counts[key] += 1
        shown[key] = min(shown.get(key, one), one, key=lambda form: (_capitals(form), form))
    return counts, shown


def _capitals(text: str) -> int:
    return sum(letter.isupper() for letter in text)


def _named(lead: Sequence[str]) -> list[str]:
    """Return the ends of the first sentences that begin with what these speak of."""
    starts = [_SUBJECT.sub("", sentence, count=1) for sentence in lead]
    return [end.lower() for end in (*starts, *(e for one in lead for e in after_cue(one)))]


def _place(
    phrase: str, count: int, found: Statistics, *, lead: str, above: str, named: Sequence[str]
) -> float:
    """Return what the places of a phrase are worth; 0 if they make no topic of it."""
    if phrase in above:
        return 3.0
    if any(_begins(end, phrase, found) for end in named):
        return 2.0
    return 1.0 if phrase in lead and count > 1 else 0.0


def _begins(text: str, phrase: str, found: Statistics) -> bool:
    """Say whether ``text`` begins with ``phrase`` and goes on with a word that is no part of it."""
    if not text.startswith(phrase):
        return False
    after = words(text[len(phrase) :][:30])
    ended = not after or not text[len(phrase) :][:1].isspace()
    return ended or after[0] in found.verbs or (after[0] in STOP and after[0] != "of")


def _names(phrase: str, found: Statistics) -> bool:
    """Say whether a phrase can be a name: a noun's company, and not the whole corpus's subject."""
    parts = phrase.split()
    if not _NAME.fullmatch(phrase) or any(part in found.verbs for part in parts):
        return False
    if is_cue(parts[0]) or is_cue(parts[-1]) or parts[-1].endswith(("ed", "ly")):
        return False
    often = found.phrases.get(phrase, 1) > FREQUENT * found.total and found.total >= _MANY
    return not often and not all(part in _GENERIC for part in parts)


def _whole(phrase: str, counts: Mapping[str, int], found: Statistics) -> str:
    """Return the longest name that most of what ``phrase`` stands for is written with."""
    around = [
        other
        for other, count in counts.items()
        if f" {phrase} " in f" {other} "
        and count >= _WHOLE * counts[phrase]
        and (other == phrase or (count > 1 and _names(other, found)))
    ]
    return max(around, key=lambda other: (len(other), other))
