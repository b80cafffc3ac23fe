"""What people ask about a topic: a closed list of frames, each with the words that give it away.

A frame is asked of a passage whose own words show that it tells about it: "What are the treatments
for gout?" where the passage speaks of treatment first or again and again. What merely stands often
in a passage is no frame: asking for every such noun made "What is the national of gout?".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Frame:
    """An aspect, the questions that ask for it (``{}`` is the topic), and what gives it away."""

    name: str
    ask: tuple[str, ...]
    cue: re.Pattern[str]


def _frame(name: str, cue: str, *ask: str) -> Frame:
    return Frame(name, ask, re.compile(rf"\b(?:{cue})\b", re.IGNORECASE))


FRAMES = (
    _frame(
        "causes",
        r"caus(?:es?|ed|ing)|due to|results? from|triggers?|triggered|because of",
        "What causes {}?",
        "What are the causes of {}?",
    ),
    _frame(
        "symptoms",
        r"symptoms?|signs? (?:of|and)|signs|warning signs?",
        "What are the symptoms of {}?",
        "What are the signs of {}?",
    ),
    _frame(
        "treatment",
        r"treat(?:s|ed|ing|ments?)?|therap(?:y|ies)|cures?|cured|remed(?:y|ies)",
        "What are the treatments for {}?",
        "How {be} {} treated?",
    ),
    _frame(
        "diagnosis",
        r"diagnos(?:e[ds]?|is|ing|tic)|detect(?:ed|ing|s)?|tests? for|be tested",
        "How {be} {} diagnosed?",
        "How to diagnose {}?",
    ),
    _frame(
        "prevention",
        r"prevent(?:s|ed|ing|ion)?|avoid(?:s|ed|ing)?|lower (?:your|the|their) (?:risk|chance)",
        "How to prevent {}?",
        "How can {} be prevented?",
    ),
    _frame(
        "risk",
        r"risks?|risk factors?|(?:more|most|less) (?:likely|common) (?:to|in|among)|dangers?",
        "Who is at risk for {}?",
        "What are the risks of {}?",
    ),
    _frame(
        "outlook",
        r"outlook|prognosis|surviv(?:e|al)|life expectancy|recover(?:y|s|ed)?|chances? of|"
        r"long[- ]term",
        "What is the outlook for {}?",
    ),
    _frame(
        "frequency",
        r"prevalence|incidence|frequency|one in|1 in|estimated|affects? (?:about|an|more)|"
        r"how (?:common|often|many)|(?:very )?rare|occurs in",
        "How common {be} {}?",
        "How many are affected by {}?",
    ),
    _frame(
        "complications",
        r"complications?|consequences?|side effects?|lead to|long-term problems?",
        "What are the complications of {}?",
    ),
    _frame(
        "research",
        r"research(?:ers)?|stud(?:y|ies)|scientists|trials?|investigat(?:e[ds]?|ing|ions?)",
        "What research is being done on {}?",
    ),
    _frame(
        "types",
        r"types? of|kinds? of|forms? of|categories|classified",
        "What types of {} are there?",
    ),
    _frame(
        "stages",
        r"stages?|phases?|steps?|procedure|first,|then,",
        "What are the stages of {}?",
        "What are the steps of {}?",
    ),
    _frame("benefits", r"benefits?|advantages?|improves?|helps?", "What are the benefits of {}?"),
    _frame("cost", r"costs?|prices?|pay|paid|fees?|insurance|charges?", "What does {} cost?"),
    _frame(
        "history",
        r"history|founded|invented|introduced in|originally|since \d{4}",
        "What is the history of {}?",
    ),
    _frame(
        "difference",
        r"differs?|differences?|unlike|compared (?:to|with)|in contrast",
        "What is different about {}?",
    ),
    _frame(
        "requirements",
        r"requires?|required|requirements?|needs?|necessary|prerequisites?",
        "What does {} require?",
    ),
    _frame(
        "limits",
        r"limits?|limitations?|limited|restrictions?|maximum|at most|not supported",
        "What are the limits of {}?",
    ),
    _frame("installation", r"install(?:s|ed|ing|ation)?|set ?up|download", "How to install {}?"),
    _frame(
        "configuration",
        r"configur(?:e[ds]?|ing|ation)|settings?|options?|enable[ds]?|disable[ds]?",
        "How to configure {}?",
    ),
    _frame("arguments", r"arguments?|parameters?|keyword|optional", "What arguments does {} take?"),
    _frame("returns", r"returns?|returned|yields?", "What does {} return?"),
    _frame(
        "errors",
        r"rais(?:es?|ed)|exceptions?|errors?|fails?|failure",
        "What errors does {} raise?",
        "Why does {} fail?",
    ),
    _frame("example", r"examples?|for instance|e\.g\.|such as this", "example of {}"),
    _frame(
        "performance",
        r"performance|accuracy|fast(?:er)?|speed|benchmarks?|scores?",
        "How well does {} perform?",
    ),
)

_EARLY = (3.0, 2.0)
"""What a cue in the first and in the second sentence counts; later ones count 1."""
LEAST = 3.0
"""What a frame's cues must come to: one in the first sentence, or three further down."""
_CUE = "|".join(frame.cue.pattern[len(r"\b(?:") : -len(r")\b")] for frame in FRAMES)
_ONE = re.compile(_CUE, re.IGNORECASE)
_OF = re.compile(
    rf"\b(?:{_CUE})(?:\s+(?:of|for|from|to|on|with|against|about))?"
    r"(?:\s+(?:an?|the|your|their|this|these|someone with|people with))?\s+",
    re.IGNORECASE,
)


def weights(sentences: Sequence[str]) -> dict[str, float]:
    """Return how much a passage speaks of each frame, 0 and above.

    :param sentences: its sentences in their order, a heading before them if there is one.
    """
    weight = dict.fromkeys((frame.name for frame in FRAMES), 0.0)
    for place, sentence in enumerate(sentences):
        worth = _EARLY[place] if place < len(_EARLY) else 1.0
        for frame in FRAMES:
            weight[frame.name] += worth * min(2, len(frame.cue.findall(sentence)))
    return weight


def told(sentences: Sequence[str]) -> list[Frame]:
    """Return the frames of a passage, what it speaks of most first."""
    weight = weights(sentences)
    kept = [frame for frame in FRAMES if weight[frame.name] >= LEAST]
    return sorted(kept, key=lambda frame: -weight[frame.name])


def is_cue(word: str) -> bool:
    """Say whether a word belongs to a frame, and so names no topic."""
    return bool(_ONE.fullmatch(word))


def after_cue(sentence: str) -> list[str]:
    """Return what follows each cue: of "symptoms of gout are" it is "gout are"."""
    return [sentence[found.end() :] for found in _OF.finditer(sentence)]
