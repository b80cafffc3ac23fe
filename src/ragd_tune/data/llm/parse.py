"""JSON out of what models say: fences, thinking aloud, words around it, torn ends."""

from __future__ import annotations

import json
import re

_THINKING = re.compile(r"<(think|thinking|reasoning)>.*?(?:</\1>|\Z)", re.DOTALL | re.IGNORECASE)
_FENCE = re.compile(r"```[\w-]*\s*\n?(.*?)(?:```|\Z)", re.DOTALL)
_COMMA = re.compile(r",(\s*[\]}])")


def json_in(text: str) -> object | None:
    """Return the first JSON object or array in ``text``; None where there is none.

    Trailing commas and typographic quotes around keys are mended; a torn array gives the elements
    that are whole.
    """
    shown = _THINKING.sub("", text)
    places = [*(match[1] for match in _FENCE.finditer(shown)), shown]
    for read in (_value, _torn):  # what is whole comes before what can be saved
        for place in places:
            for start in (found.start() for found in re.finditer(r"[\[{]", place)):
                made = read(place[start:])
                if made is not None:
                    return made
    return None


def _value(text: str) -> object | None:
    for attempt in (text, _COMMA.sub(r"\1", text.replace("\u201c", '"').replace("\u201d", '"'))):
        try:
            made, _ = json.JSONDecoder().raw_decode(attempt)
        except (ValueError, RecursionError):
            continue
        return made if isinstance(made, dict | list) else None
    return None


def _torn(text: str) -> object | None:
    """Return a list of the whole objects inside of an array or object that breaks off."""
    found: list[object] = []
    at = text.find("{", 1)
    while at >= 0:
        try:
            made, end = json.JSONDecoder().raw_decode(text, at)
        except (ValueError, RecursionError):
            at = text.find("{", at + 1)
            continue
        found.append(made)
        at = text.find("{", end)
    return found or None


_ITEM = re.compile(r"^\s*(?:\d+[.):]|[-*•])\s+(?:\*\*)?(.+?)(?:\*\*)?\s*$", re.MULTILINE)


def items_in(text: str) -> list[str]:
    """Return the items of a numbered or dotted list, for models that write no JSON."""
    return [match[1].strip() for match in _ITEM.finditer(_THINKING.sub("", text))]
