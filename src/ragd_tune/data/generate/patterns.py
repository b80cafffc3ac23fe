"""Questions from English sentences that define something or say what it is for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ragd_tune.data.generate.salient import Statistics
from ragd_tune.data.generate.words import STOP, words

_LABEL = re.compile(r"^\w+(?: \w+)? ?: ")
_DEFINES = re.compile(
    r"^(?:- )?(?:An?\s+|The\s+)?((?:\w[\w'’+#/.-]*(?<!\.)\s+){0,5}?\w[\w'’+#/.-]*)"
    r"(?:\s+\([^)]{1,40}\))?,?\s+"
    r"(?:(is|are)\s+(?:also\s+)?(?:an?|the|one|any|another|when|what|made|used|caused|known|called)"
    r"|(refers to|means|describes|occurs when|happens when)\s+\w+)\b"
)
_PURPOSE = re.compile(
    r"\b(?:(?:is|are|be|can be)\s+(?:also\s+)?"
    r"(?:used|designed|intended|made|able|needed|required|trained)"
    r"|(?:allows?|enables?|helps?)\s+(?:you|users?|one|people)|tools?|in order|functions?|"
    r"commands?|methods?|ways?|models?|trained)\s+to\s+((?:[\w'’/-]+\s+){1,9}[\w'’/-]+)"
)
_SERVES = re.compile(
    r"\b(?:(?:used|designed|intended|suitable|trained|fine-?tuned|made|built)\s+for|capable of|"
    r"models?\s+for|library\s+for)\s+((?:[\w'’/-]+\s+){1,7}[\w'’/-]+)"
)
_DOES = re.compile(
    r"\b(?:model|library|tool|function|command|program|class|method|module|package|app|service)"
    r"(?:\s+(?:that|which))?\s+([a-z]{3,}s)\s+((?:[\w'’/-]+\s+){1,9}[\w'’/-]+)"
)
_ORDER = re.compile(r"^([A-Z][a-z]{2,})\s+((?:[\w'’/-]+\s+){1,9}[\w'’/-]+)")
_FIRST = 3
"""Sentences in which an order ("Convert speech to text.") says what the passage is about."""
_WORDS_NO_VERBS = """
a an the this that these those it be its their his her your our and or
"""
_NO_VERBS = frozenset(_WORDS_NO_VERBS.split())
_WORDS_NOT_NAMES = """
this that these those it they he she there what which who we you i
"""
_NOT_NAMES = frozenset(_WORDS_NOT_NAMES.split())


def definition(parts: Sequence[str], found: Statistics) -> Iterator[tuple[str, str]]:
    """Yield what one of the first sentences defines ("X is a …"), and the question for it."""
    for sentence in parts[:3]:
        match = _DEFINES.match(_LABEL.sub("", sentence))
        if not match:
            continue
        name = match[1].strip()
        if _is_name(words(name), found):
            shown = name if name[1:] != name[1:].lower() else name[0].lower() + name[1:]
            yield shown, f"What {'are' if match[2] == 'are' else 'is'} {shown}?"


def _is_name(parts: Sequence[str], found: Statistics) -> bool:
    content = any(part not in found.stop for part in parts)
    return content and parts[0] not in STOP | _NOT_NAMES and parts[-1] not in STOP


def purpose(parts: Sequence[str], found: Statistics) -> Iterator[str]:
    """Ask how to do what something is said to do or be for: "How to separate voice from noise?"."""
    for place, sentence in enumerate(parts):
        for pattern, form in ((_PURPOSE, "How to {}?"), (_SERVES, "{}")):
            for match in pattern.finditer(sentence):
                said = _ended(match[1].split())
                if len(said) > 1 and said[0].lower() not in _NO_VERBS:
                    yield form.format(" ".join(said))
        orders = [*_ORDER.finditer(sentence)] if place < _FIRST else []
        for match in (*_DOES.finditer(sentence), *orders):
            verb = _verb(match[1].lower(), found)
            said = _ended(match[2].split())
            if verb and len(said) > 1:
                yield f"How to {verb} {' '.join(said)}?"


def _verb(word: str, found: Statistics) -> str:
    """Return the verb that ``word`` is a form of, if these documents use it as one."""
    forms = (word, word.removesuffix("s"), word.removesuffix("es"))
    return next((one for one in forms if one in found.actions and one not in STOP), "")


def _ended(said: list[str]) -> list[str]:
    """Drop words at the end of a phrase that was cut short: "a dog in the" is "a dog"."""
    while said and said[-1].lower() in STOP:
        said = said[:-1]
    return said
