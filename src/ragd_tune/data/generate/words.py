"""Words and phrases of a text, without a tagger: what names something in these documents."""

from __future__ import annotations

import re
from collections.abc import Iterator

WORD = re.compile(r"[^\W\d_](?:[\w+#]|[-'’.](?=\w))*|\d+(?:[.,]\d+)*%?", re.UNICODE)
SENTENCE_END = re.compile(
    r"(?<=[.!?…。\uff01\uff1f])[\"'”’)\]]*\s+(?=[\W\d]*[^\W\d_a-zß-öø-ÿ])|\n\s*\n+|\s+[-*•]\s+"
)

# English words that name nothing. For other languages, what stands in many passages is left out.
_STOP_WORDS = """
a about above across after again against all almost along already also although always am among
an and another any anyone anything are aren't around as at away back be became because become
becomes been before began behind being below best better between both but by called came can
can't cannot certain come comes could couldn't depending did didn't different do does doesn't
doing don't done down due during each either else end enough especially etc even every everyone
everything example far few find first following follows for found from further gave general
generally get gets getting give given gives go goes going gone good got great had hadn't has
hasn't have haven't having he he's help helps her here here's hers herself high him himself his
how however i i'd i'll i'm i've if important in include included includes including indeed
instead into is isn't it it's its itself just keep kept kind know known large last later least
less let let's like likely little long look lot low made main make makes making many may maybe
me mean means might more most much must mustn't my myself near need needed needs neither never
new next no non none nor not note nothing now number of off often old on once one ones only onto
or other others otherwise our ours ourselves out over own part parts per perhaps please possible
put quite rather really said same say says second see seem seems seen several shall shan't she
should shouldn't show shown shows similar simply since small so some someone something sometimes
soon still such sure take taken takes taking tell ten than that that's the their theirs them
themselves then there there's therefore these they they'd they'll they're they've thing things
think third this those though three through throughout thus to together too took toward towards
true try turn two type types under unless until up upon us use used useful uses using usually
various very via want wants was wasn't way ways we we'd we'll we're we've well went were weren't
what what's when where whether which while who whole whom whose why will with within without
won't would wouldn't yes yet you you'd you'll you're you've your yours yourself yourselves
"""
STOP = frozenset(_STOP_WORDS.split())
_GAP = re.compile(r"[ \t\n]*[-–]?[ \t\n]*")


def words(text: str) -> list[str]:
    """Return the words of ``text`` in lower case; names such as ``C++`` and ``os.path`` are one."""
    return [found[0].lower() for found in WORD.finditer(text)]


def sentences(text: str) -> list[str]:
    """Return the sentences of ``text``; items of a list count as sentences."""
    parts = (" ".join(part.split()) for part in SENTENCE_END.split(text))
    return [part for part in parts if part]


def runs(text: str, stop: frozenset[str] | set[str]) -> Iterator[list[str]]:
    """Yield the runs of words with neither a stop word nor a mark between them, as written."""
    run: list[str] = []
    end = 0
    for found in WORD.finditer(text):
        word = found[0]
        if run and not _GAP.fullmatch(text[end : found.start()]):
            yield run
            run = []
        if word.lower() in stop or (len(word) < 2 and not word.isupper()):
            if run:
                yield run
            run = []
        else:
            run.append(word)
        end = found.end()
    if run:
        yield run


def phrases(text: str, stop: frozenset[str] | set[str], longest: int = 4) -> Iterator[str]:
    """Yield every run of up to ``longest`` content words, as written; none ends in a number."""
    for run in runs(text, stop):
        for start in range(len(run)):
            for end in range(start + 1, min(len(run), start + longest) + 1):
                if not run[start][0].isdigit() and (end - start > 1 or len(run[start]) > 2):
                    yield " ".join(run[start:end])
