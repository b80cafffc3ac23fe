"""From a row of ``causal_lm`` to tokens: the same in every backend, whatever framework it has.

Prompt and completion are tokenised apart, so that where the loss begins is exact. The prompt goes
through the tokenizer's chat template where that is wanted. What does not fit is cut out of the
prompt: never from the completion, from a part that the row keeps, or from what the template adds.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Protocol

from ragd_tune.errors import DataError, UsageError
from ragd_tune.objectives.rows import Row

_Spans = list[tuple[int, int]]


class Tokenizer(Protocol):
    """What is asked of a tokenizer: the interface of a fast one of transformers."""

    chat_template: Any
    eos_token_id: int | None
    is_fast: bool

    def __call__(self, text: str, **options: Any) -> Mapping[str, Any]:
        """Return ``input_ids``, and ``offset_mapping`` where it is asked for."""
        ...

    def apply_chat_template(self, conversation: list[dict[str, str]], **options: Any) -> Any:
        """Return the conversation as the text that the model was trained on."""
        ...


class TooLongError(DataError):
    """What may not be cut of a row is longer than ``max_length``."""

    def __init__(self, needed: int, max_length: int) -> None:
        super().__init__(
            f"the completion and what must stay of its prompt take {needed} tokens, and "
            f"max_length is {max_length}",
            mend=f"--max-length {needed}, or --too-long drop to leave such rows out",
        )
        self.needed = needed


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A row as tokens: ``ids`` (int32), of which the loss is on those from ``start`` on.

    ``cut`` counts the tokens of the prompt that were left out.
    """

    ids: array[int]
    start: int
    cut: int = 0

    @property
    def learnt(self) -> int:
        """How many tokens the loss is on."""
        return max(0, len(self.ids) - self.start)


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """How a tokenizer writes prompts: by its chat template, or as they are.

    ``chat`` says which; see :func:`frame_of`.
    """

    tokenizer: Tokenizer = field(repr=False)
    chat: bool

    def sample(self, row: Row, *, max_length: int) -> Sample:
        """Return ``row`` as at most ``max_length`` tokens.

        :raises TooLongError: the completion and what must stay of the prompt are more.
        :raises DataError: a part to keep is not in the prompt.
        """
        prompt, system = str(row["prompt"]), str(row.get("system") or "")
        answer = self._answer(prompt, str(row["completion"]), system)
        kept = row.get("keep") or []
        assert isinstance(kept, list)
        asked = self.prompt(prompt, system=system, keep=kept, room=max_length - len(answer))
        ids = asked.ids + array("i", answer)
        if len(ids) > max_length:
            raise TooLongError(len(ids), max_length)
        # nothing comes before a first token, so nothing predicts it
        return Sample(ids=ids, start=max(1, len(asked.ids)), cut=asked.cut)

    def prompt(
        self, prompt: str, *, system: str = "", keep: Sequence[str] = (), room: int | None = None
    ) -> Sample:
        """Return a prompt as tokens, cut to ``room`` where that can be done; see :func:`shortened`.

        What may not be cut stays, even if it is more than ``room``.
        """
        text = self._asked(prompt, system)
        spans = _kept(text, prompt, keep)
        told = self.tokenizer(text, add_special_tokens=not self.chat, return_offsets_mapping=True)
        ids, offsets = list(told["input_ids"]), list(told["offset_mapping"])
        if not self.chat and ids and ids[-1] == self.tokenizer.eos_token_id:
            del ids[-1], offsets[-1]  # the text goes on
        if room is None or len(ids) <= room:
            return Sample(ids=array("i", ids), start=len(ids))
        stays = _inside(offsets, spans)
        places = shortened(stays, len(ids) - room)
        left = array("i", [ids[place] for place in places])
        return Sample(ids=left, start=len(left), cut=len(ids) - len(left))

    def _asked(self, prompt: str, system: str) -> str:
        if not self.chat:
            return f"{system}\n\n{prompt}" if system else prompt
        return self._written(_turns(prompt, system), system, add_generation_prompt=True)

    def _written(self, turns: list[dict[str, str]], system: str, **options: bool) -> str:
        write = self.tokenizer.apply_chat_template
        try:
            return str(write(turns, tokenize=False, **options))
        except Exception:
            if not system:
                raise
        # Some templates (Gemma's) refuse a system turn: it goes in front of the user's then.
        first, *rest = turns[1:]
        merged = [{**first, "content": f"{system}\n\n{first['content']}"}, *rest]
        return str(write(merged, tokenize=False, **options))

    def _answer(self, prompt: str, completion: str, system: str) -> list[int]:
        """Return the completion's tokens, with what ends a turn: the model has to learn to stop."""
        end = self._end(prompt, system) if self.chat else ""
        ids = list(self.tokenizer(completion + end, add_special_tokens=False)["input_ids"])
        eos = self.tokenizer.eos_token_id
        if not end and eos is not None:
            ids.append(eos)
        return ids

    def _end(self, prompt: str, system: str) -> str:
        """Return what the template writes after an answer; empty if that cannot be told."""
        asked = self._asked(prompt, system)
        turns = [*_turns(prompt, system), {"role": "assistant", "content": _ANSWER}]
        whole = self._written(turns, system)
        if not whole.startswith(asked):  # a template that rewrites history, as to hide thoughts
            return ""
        said, found, after = whole[len(asked) :].partition(_ANSWER)
        return after.strip() if found and not said.strip() else ""


_ANSWER = "an answer"


def frame_of(tokenizer: Tokenizer, wanted: object) -> Frame:
    """Return how prompts are written.

    :param wanted: the option ``chat_template`` (``auto``, ``yes`` or ``no``), or a bool.
    :raises UsageError: it says yes, and the tokenizer has no template; or its tokens cannot be
        found in the text again.
    """
    if not getattr(tokenizer, "is_fast", False):
        raise UsageError(
            "this base's tokenizer does not tell where its tokens stand in the text",
            mend="take a base with a tokenizer.json",
        )
    has_one = bool(getattr(tokenizer, "chat_template", None))
    if wanted in {"yes", True} and not has_one:
        raise UsageError(
            "this base's tokenizer has no chat template",
            mend="--chat-template no writes prompts as they are",
        )
    return Frame(tokenizer=tokenizer, chat=has_one and wanted not in {"no", False})


def _turns(prompt: str, system: str) -> list[dict[str, str]]:
    first = [{"role": "system", "content": system}] if system else []
    return [*first, {"role": "user", "content": prompt}]


def _kept(text: str, prompt: str, keep: Sequence[str]) -> _Spans:
    """Return the spans of ``text`` that must stay: the parts to keep, and all but the prompt."""
    for part in keep:
        if part not in prompt:
            raise DataError(f"a part to keep is not in its prompt: {part[:60]!r}")
    whole = prompt if prompt in text else prompt.strip()
    start = text.find(whole)
    if start < 0 or not whole:
        return [(0, len(text))]
    end = start + len(whole)
    inside = [
        (at, at + len(part))
        for part in {part.strip() for part in keep if part.strip()}
        for at in _places(text, part)
        if start <= at < end
    ]
    return [(0, start), *inside, (end, len(text))]


def _places(text: str, part: str) -> Iterator[int]:
    at = text.find(part)
    while at >= 0:
        yield at
        at = text.find(part, at + 1)


def _inside(offsets: Sequence[tuple[int, int]], spans: _Spans) -> list[bool]:
    """Say of each token whether it touches a span; one without text, as a first one, counts so."""
    return [
        start == end or any(start < upto and end > since for since, upto in spans)
        for start, end in offsets
    ]


def shortened(stays: Sequence[bool], surplus: int) -> list[int]:
    """Return the places of the tokens that are left when ``surplus`` of them have to go.

    The longest stretches of tokens that may go are cut first, to one length, and each in its
    middle: of a passage its ends are left, and with them the tags around it. Where all that may
    go is not enough, it all goes.
    """
    runs = [list(run) for _, run in groupby(range(len(stays)), key=stays.__getitem__)]
    sizes = [len(run) for run in runs if not stays[run[0]]]
    level, spare = _level(sizes, max(0, sum(sizes) - surplus))
    left: list[int] = []
    for run in runs:
        if stays[run[0]] or len(run) <= level:
            left += run
            continue
        size = level + (1 if spare > 0 else 0)
        spare -= 1
        head = (size + 1) // 2
        left += run[:head] + run[len(run) - (size - head) :]
    return left


def _level(sizes: Sequence[int], room: int) -> tuple[int, int]:
    """Return the length that longer stretches are cut to, and how many may have one token more."""
    over = sorted(sizes)
    while over and over[0] * len(over) <= room:
        room -= over.pop(0)
    return divmod(room, len(over)) if over else (max(sizes, default=0), 0)


def before_stop(text: str, stop: Sequence[str]) -> str:
    """Return ``text`` up to the first of the texts that end a generation."""
    ends = [text.find(one) for one in stop if one and one in text]
    return text[: min(ends)] if ends else text
