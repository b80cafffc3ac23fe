"""Which language a text is in, by its letters and its commonest words; enough to tell a mistake."""

from __future__ import annotations

import unicodedata
from collections import Counter

from ragd_tune.data.generate.words import words

_WORDS = {
    "en": "the of and to in is that it for was on are with as be this have from what how which do",
    "de": "der die und das ist nicht ein eine zu den von mit dem für auf wie werden sich auch was",
    "fr": "le la les des et est une un dans pour que qui sur pas par au avec sont du comment",
    "es": "el la los las de que y en un una por con para es del como se su qué cómo cuál no al más",
    "it": "il di che è la un una per non con sono le dei come della nel gli più si quali anche",
    "pt": "o de que e do da em um para é com não uma os no se na por mais as dos como quais ao à",
    "nl": "de het een van en is dat op te voor met zijn niet aan er hoe wat bij ook als worden",
    "sv": "och att det som en på är av för med till den har inte om ett hur vad kan från eller",
    "pl": "i w na z się do nie to jest że o jak przez dla po od są co oraz czy jakie ale może",
}
_PROFILES = {name: frozenset(text.split()) for name, text in _WORDS.items()}
_LEAST = 6
"""Words of a text below which its commonest words say nothing."""


def script(text: str) -> str:
    """Return the script of most letters: ``LATIN``, ``CYRILLIC``, ``CJK`` …; empty without any."""
    seen: Counter[str] = Counter()
    for char in text[:2000]:
        if char.isalpha():
            name = unicodedata.name(char, "")
            seen[name.partition(" ")[0]] += 1
    return seen.most_common(1)[0][0] if seen else ""


def language(text: str) -> str:
    """Return a two-letter code, or nothing where the text is too short or of another language."""
    row = words(text[:5000])
    if len(row) < _LEAST:
        return ""
    scores = {name: sum(word in known for word in row) for name, known in _PROFILES.items()}
    best, second = sorted(scores.values(), reverse=True)[:2]
    if best < 0.1 * len(row) or best < 1.3 * second:
        return ""
    return max(scores, key=lambda name: scores[name])


def differ(question: str, passage: str) -> bool:
    """Say whether two texts are surely in different languages: another script, or known ones.

    Names and formulas keep their letters in any language, so a question must be mostly in another
    script, and a language counts only where both are told.
    """
    one, two = script(question), script(passage)
    if one and two and one != two:
        return not {one, two} <= {"CJK", "HIRAGANA", "KATAKANA"}
    first, second = language(question), language(passage)
    return bool(first and second and first != second)
