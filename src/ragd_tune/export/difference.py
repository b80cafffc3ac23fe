"""The same prompts through two programs: where their answers part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from ragd_tune.data.raft import Template
from ragd_tune.errors import UsageError

_SHOWN = 40
_MADE_UP = (
    ("Who rang the bell?", ("It was the fox who rang it.", "Then all slept.")),
    ("When does the shop open?", ("It closes at six.", "The shop opens at nine.")),
    ("How is the pump primed?", ("Fill the casing with water first.", "Then open the valve.")),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One prompt, answered by the adapter (``ours``) and by what was exported (``theirs``)."""

    prompt: str
    ours: str
    theirs: str

    @property
    def same(self) -> bool:
        """Whether both say the same, white space at the ends aside: templates differ there."""
        return self.ours.strip() == self.theirs.strip()

    @property
    def at(self) -> int:
        """How many characters are the same before they part."""
        pairs = zip(self.ours.strip(), self.theirs.strip(), strict=False)
        return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))

    def told(self) -> str:
        """Return in a line where they part."""
        if self.same:
            return f"the same: {_cut(self.ours.strip())!r}"
        ours, theirs = self.ours.strip()[self.at :], self.theirs.strip()[self.at :]
        return f"parts after {self.at} characters: {_cut(ours)!r} against {_cut(theirs)!r}"

    def to_json(self) -> dict[str, object]:
        """Return it as a program reads it."""
        return {
            "prompt": self.prompt, "ours": self.ours, "theirs": self.theirs, "same": self.same,
            "at": self.at,
        }  # fmt: skip


def made_up_prompts() -> list[str]:
    """Return a few prompts as RAFT writes them, for want of a user's own."""
    return [Template().fill(question, documents) for question, documents in _MADE_UP]


def read_prompts(path: Path) -> list[str]:
    """Return the prompts of a text file; a line ``---`` stands between two.

    :raises UsageError: it cannot be read, or holds none.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the prompts {path} cannot be read: {error}") from error
    found = [part.strip("\n") for part in f"\n{text}\n".split("\n---\n")]
    prompts = [part for part in found if part.strip()]
    if not prompts:
        raise UsageError(f"{path} holds no prompt", mend="write some, with a line --- between two")
    return prompts


def together(
    prompts: Sequence[str], ours: Sequence[str], theirs: Sequence[str]
) -> list[Difference]:
    """Return one :class:`Difference` a prompt."""
    return [
        Difference(prompt=prompt, ours=one, theirs=other)
        for prompt, one, other in zip(prompts, ours, theirs, strict=True)
    ]


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
