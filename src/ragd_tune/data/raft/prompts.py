"""How documents and a question become a prompt: a template that a user can replace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ragd_tune.errors import UsageError

DOCUMENTS, QUESTION, DOCUMENT = "{documents}", "{question}", "{document}"

REFERENCE = f"{DOCUMENTS}{QUESTION}"
"""The reference implementation's: the documents in their tags, then the question."""

INSTRUCTED = (
    f"{DOCUMENTS}{QUESTION}\n"
    "Give your reason first, and quote the documents word for word between ##begin_quote## and "
    "##end_quote##. Then write <ANSWER>: and the answer, as short as possible."
)
"""The default: an untuned model is told the form too, else a proof would only show the form."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """``whole`` has the places ``{documents}`` and ``{question}``, ``each`` has ``{document}``."""

    whole: str = INSTRUCTED
    each: str = f"<DOCUMENT>{DOCUMENT}</DOCUMENT>\n"

    def fill(self, question: str, documents: Sequence[str]) -> str:
        """Return the prompt. What is filled in is not looked at for places again."""
        shown = "".join(self.each.replace(DOCUMENT, one) for one in documents)
        before, _, rest = self.whole.partition(DOCUMENTS)
        if QUESTION in before:
            start, _, between = before.partition(QUESTION)
            return f"{start}{question}{between}{shown}{rest}"
        between, _, after = rest.partition(QUESTION)
        return f"{before}{shown}{between}{question}{after}"

    @classmethod
    def read(cls, path: Path) -> Template:
        """Read a template; a line ``---`` parts it from that of each document, where that is there.

        :raises UsageError: it cannot be read, or lacks a place.
        """
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(
                f"the template {path} cannot be read: {error}",
                mend="--prompt-template names it in training, --judged-template in a proof",
            ) from error
        whole, parted, each = text.partition("\n---\n")
        made = cls(whole=whole.rstrip("\n"), each=each) if parted else cls(whole=whole.rstrip("\n"))
        wanted = ((made.whole, DOCUMENTS), (made.whole, QUESTION), (made.each, DOCUMENT))
        for one, place in wanted:
            if one.count(place) != 1:
                raise UsageError(
                    f"the template {path} has {place} {one.count(place)} times",
                    mend=f"it needs {DOCUMENTS} and {QUESTION} once each, and {DOCUMENT} after ---",
                )
        return made
