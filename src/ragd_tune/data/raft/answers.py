"""Answers as RAFT writes them: a reason with quotes, then ``<ANSWER>:`` and the answer itself."""

from __future__ import annotations

import math
import re
import string
import unicodedata
from collections.abc import Sequence

BEGIN, END = "##begin_quote##", "##end_quote##"
ANSWER = "<ANSWER>:"
REASON = "##Reason:"
ABSTAIN = "The answer is not in the documents."
"""What is answered where no document holds the answer, and abstaining is trained."""

_QUOTE = re.compile(re.escape(BEGIN) + "(.*?)" + re.escape(END), re.DOTALL)
_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans(dict.fromkeys(string.punctuation, " "))
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
_WORD = re.compile(r"\w+")


def quotes_of(text: str) -> list[str]:
    """Return what stands between the marks of a quote, without white space around it."""
    return [quote.strip() for quote in _QUOTE.findall(text)]


def answer_of(text: str) -> str:
    """Return what stands after the last ``<ANSWER>:``; the whole text where there is none.

    A base model was never taught the mark: what it says counts as its answer.
    """
    return text.rpartition(ANSWER)[2].strip()


def normalised(answer: str) -> str:
    """Return an answer in lower case without articles, punctuation and extra white space.

    SQuAD's normalisation (Rajpurkar et al. 2016, arXiv 1606.05250), over Unicode's NFKC.
    """
    text = unicodedata.normalize("NFKC", answer).lower().translate(_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", text).split())


def reasoned(question: str, answer: str, oracle: Sequence[str]) -> str:
    """Return a completion for an answer without reasoning: it quotes the best sentence it has.

    That is the first sentence that holds the answer, else the one that shares most words with
    question and answer. It is taken from the passage, so it is there word for word.
    """
    quote = _best(question, answer, oracle)
    said = f"{BEGIN}{quote}{END} " if quote else ""
    return f"{REASON} {said}{ANSWER} {answer}"


def _best(question: str, answer: str, oracle: Sequence[str]) -> str:
    sentences = [part.strip() for text in oracle for part in _SENTENCE.split(text) if part.strip()]
    holding = [one for one in sentences if answer.strip() and answer.strip() in one]
    if holding:
        return min(holding, key=len)
    wanted = set(_WORD.findall(f"{question} {answer}".lower()))
    return max(sentences, key=lambda one: _shared(one, wanted), default="")


def _shared(sentence: str, wanted: set[str]) -> float:
    words = set(_WORD.findall(sentence.lower()))
    return len(words & wanted) / math.sqrt(1 + len(words))
