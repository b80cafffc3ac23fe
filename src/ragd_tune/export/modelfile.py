"""Ollama's Modelfile: the weights, the template that was trained with, and what ends an answer.

``ADAPTER`` is never written: from 0.34.1 on Ollama refuses it, and a merged model needs none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ragd_tune.errors import UsageError

Render = Callable[[Sequence[Mapping[str, str]], bool], str]
"""Turns (``role`` and ``content``), and whether an answer is to follow, to the model's text."""

WEIGHTS, FILE = "model.gguf", "Modelfile"
"""Names of the weights and of the Modelfile in an exported folder."""

_SYSTEM, _USER, _ANSWER = "a-system-text", "a-user-text", "an-answer-text"
_PLACE = re.compile(r"\{\{ (?:(if) )?\.(System|Prompt|Response) \}\}|\{\{ (end) \}\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Turns:
    """A chat template as the texts around its turns.

    ``system`` and ``user`` are what stands before and after such a turn; ``answer`` begins the
    model's turn, and ``end`` ends it. Where ``system`` is None there is no such turn: its text goes
    in front of the question, as it did in training.
    """

    system: tuple[str, str] | None = ("", "")
    user: tuple[str, str] = ("", "")
    answer: str = ""
    end: str = ""

    @property
    def go(self) -> str:
        """The same in Ollama's language, which is Go's ``text/template``."""
        first, last = self.user
        if self.system is None:
            text = "{{ if .System }}{{ .System }}\n\n{{ end }}{{ .Prompt }}"
            return f"{first}{text}{last}{self.answer}{{{{ .Response }}}}{self.end}"
        parts = []
        if any(self.system):
            before, after = self.system
            parts.append(f"{{{{ if .System }}}}{before}{{{{ .System }}}}{after}{{{{ end }}}}")
        parts.append(f"{{{{ if .Prompt }}}}{first}{{{{ .Prompt }}}}{last}{{{{ end }}}}")
        return "".join([*parts, self.answer, "{{ .Response }}", self.end])

    def render(self, prompt: str, system: str = "") -> str:
        """Return what Ollama would send to the model."""
        return filled(self.go, prompt, system)


AS_IT_IS = Turns(system=("", "\n\n"))
"""Without a chat template: a system text is put in front of the prompt, as in training."""


def filled(template: str, prompt: str, system: str = "") -> str:
    """Return what Ollama sends to a model by a template of ours: all that stands before the answer.

    What is filled in is not looked at for places again.
    """
    texts = {"System": system, "Prompt": prompt}
    made, hidden, at = [], False, 0
    for found in _PLACE.finditer(template):
        asks, name, ends = found.groups()
        if not hidden:
            made.append(template[at : found.start()])
        at = found.end()
        if ends:
            hidden = False
        elif name == "Response":
            return "".join(made)
        elif asks:
            hidden = not texts[name]
        elif not hidden:
            made.append(texts[name])
    return "".join([*made, template[at:]])


def turns_of(render: Render, *, first: str = "") -> Turns:
    """Take a chat template apart by what it makes of known texts.

    :param first: the token that begins any text (``<s>``). Ollama puts it there by itself, as the
        GGUF file says, so that it must not stand in the template too.
    :raises UsageError: it depends on more than its turns, so that Ollama could not write the same.
    """

    def written(turns: Sequence[Mapping[str, str]], *, open_: bool = False) -> str:
        return render(turns, open_).removeprefix(first)

    user = {"role": "user", "content": _USER}
    asked, opened = written([user]), written([user], open_=True)
    whole = written([user, {"role": "assistant", "content": _ANSWER}])
    if not opened.startswith(asked) or not whole.startswith(opened):
        raise _odd("it writes a past answer unlike a coming one")
    before, found, after = asked.partition(_USER)
    said, answered, end = whole[len(opened) :].partition(_ANSWER)
    if not found or not answered or said:
        raise _odd("it changes what a turn says")
    return Turns(
        system=_system(written, user, asked),
        user=(before, after),
        answer=opened[len(asked) :],
        end=end.rstrip(),
    )


def _system(
    written: Callable[[Sequence[Mapping[str, str]]], str], user: Mapping[str, str], asked: str
) -> tuple[str, str] | None:
    """Return what is around a system text; None where the template has no such turn."""
    try:
        both = written([{"role": "system", "content": _SYSTEM}, user])
    except Exception:  # noqa: BLE001 - a template says in its own words that it has no system turn
        return None
    head, found, rest = both.partition(_SYSTEM)
    if not found or not rest.endswith(asked):
        raise _odd("a system text changes how a question is written")
    return head, rest[: len(rest) - len(asked)]


def _odd(why: str) -> UsageError:
    return UsageError(
        f"this chat template cannot be written for Ollama: {why}",
        mend="write the Modelfile's TEMPLATE by hand, or train with --chat-template no",
    )


def modelfile(
    weights: str, turns: Turns | None, *, stop: Sequence[str], num_ctx: int, system: str = ""
) -> str:
    """Return the Modelfile of merged weights.

    :param weights: the GGUF file's name beside the Modelfile.
    :param turns: the chat template; None writes prompts as they are.
    :param stop: texts that end an answer.
    :param num_ctx: tokens of prompt and answer together.
    :raises UsageError: a text holds what would end its quotes.
    """
    lines = [f"FROM ./{weights}", f"TEMPLATE {_quoted((turns or AS_IT_IS).go)}"]
    lines += [f"PARAMETER stop {_quoted(one, short=True)}" for one in dict.fromkeys(stop) if one]
    lines.append(f"PARAMETER num_ctx {num_ctx}")
    lines.append("PARAMETER temperature 0")
    if system:
        lines.append(f"SYSTEM {_quoted(system)}")
    return "\n".join(lines) + "\n"


def _quoted(text: str, *, short: bool = False) -> str:
    mark = '"' if short else '"""'
    if '"""' in text or (short and ('"' in text or "\n" in text)) or text.endswith('"'):
        raise UsageError(
            f"{text[:40]!r} cannot be quoted in a Modelfile", mend="write the Modelfile by hand"
        )
    return f"{mark}{text}{mark}"
