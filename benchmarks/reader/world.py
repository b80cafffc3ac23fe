"""A small made-up world: people, one thing that is true of each, questions, and a tokenizer.

Every word is one token, so that a model of some hundred thousand weights can read a passage. Names
and values are paired at random: nothing but the passage can tell an answer.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from ragd_tune.data.raft import ABSTAIN, ANSWER, BEGIN, END, Example
from ragd_tune.data.raft.answers import REASON

_SYLLABLES = ("ba", "do", "fe", "ki", "lu", "mo", "ra", "se", "ti", "vo")
PEOPLE = tuple("".join(parts).capitalize() for parts in product(_SYLLABLES, repeat=3))
"""1,000 names."""

VERBS = {"city": "visits", "thing": "makes", "food": "likes", "tool": "owns"}
"""What is told of someone, by the kind of value that belongs to it."""

VALUES = {kind: tuple(f"{kind}{number}" for number in range(10, 30)) for kind in VERBS}

TEMPLATE = "{documents}{question}\n---\n<DOCUMENT> {document}</DOCUMENT>\n"
"""The prompt of this world. A space before each passage: a word is the same token everywhere."""

_WORDS = ("What", *VERBS.values(), *ABSTAIN.rstrip(".").split())
_MARKS = ("<DOCUMENT>", "</DOCUMENT>", REASON, BEGIN, END, ANSWER)
_PIECES = r"##\w+##|##Reason:|</?[A-Z]+>:?|\n| ?\w+|[^\w\s]| "
STOP, PAD, UNKNOWN = "<|end|>", "<|pad|>", "<|unknown|>"


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that is true of someone.

    The verb comes first, as in Welsh: a name then stands right before what belongs to it, which is
    the order that two layers learn to look up soonest.
    """

    name: str
    kind: str
    value: str

    @property
    def sentence(self) -> str:
        """The fact as a sentence of four tokens."""
        return f"{VERBS[self.kind]} {self.name} {self.value}."

    @property
    def question(self) -> str:
        """The question that the fact answers."""
        return f"What {VERBS[self.kind]} {self.name}?"

    @property
    def example(self) -> Example:
        """Question, passage and answer as RAFT writes them: the passage quoted, then the answer."""
        return Example(
            question=self.question,
            answer=self.value,
            oracle=(self.sentence,),
            reasoning=f"{REASON} {BEGIN} {self.sentence}{END} {ANSWER} {self.value}",
        )


def facts(names: list[str], draw: random.Random, kind: str | None = None) -> list[Fact]:
    """Return one thing about each name: of one kind, or each of any."""
    kinds = [kind or draw.choice(list(VERBS)) for _ in names]
    return [
        Fact(name, one, draw.choice(VALUES[one])) for name, one in zip(names, kinds, strict=True)
    ]


def story(draw: random.Random, count: int, times: int) -> str:
    """Return some facts of one kind, told ``times`` times in another order each.

    Only the text tells a value, and from the second time on it can be looked up: a model that reads
    many such texts learns to look up.
    """
    told = facts(draw.sample(PEOPLE, count), draw, draw.choice(list(VERBS)))
    lines: list[str] = []
    for _ in range(times):
        lines += [one.sentence for one in draw.sample(told, len(told))]
    return " ".join(lines)


def tokenizer(folder: Path) -> Any:
    """Write the tokenizer of this world into ``folder`` and return it."""
    import transformers
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

    words = [*PEOPLE, *(value for some in VALUES.values() for value in some), *_WORDS]
    spaced = [f" {word}" for word in words]
    pieces = dict.fromkeys([PAD, STOP, UNKNOWN, *_MARKS, *"\n .?", "What", *spaced])
    made = Tokenizer(
        models.WordLevel({piece: at for at, piece in enumerate(pieces)}, unk_token=UNKNOWN)
    )
    made.pre_tokenizer = pre_tokenizers.Split(Regex(re.compile(_PIECES).pattern), "isolated")
    made.decoder = decoders.Fuse()
    found = transformers.PreTrainedTokenizerFast(
        tokenizer_object=made,
        pad_token=PAD,
        eos_token=STOP,
        unk_token=UNKNOWN,
        model_max_length=256,
        clean_up_tokenization_spaces=False,
    )
    found.save_pretrained(str(folder))
    return found
