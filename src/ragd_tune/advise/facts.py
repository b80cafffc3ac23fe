"""What advice is made from: numbers that were measured, each with what it was measured on."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from ragd_tune.kinds import Tier


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """This machine: cores, memory in bytes (0 is unknown), devices that a backend can train on.

    ``tier`` is what ragd calls it.
    """

    cores: int
    memory: int
    devices: tuple[str, ...] = ()
    tier: Tier = "standard"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Measurements of a data set and a base model.

    ``passages`` and ``pairs`` are counts (training pairs); ``groups`` how many independent groups
    of test questions there are; ``generated`` whether the questions were made from the documents.
    ``pieces`` is tokens a word by the base's tokenizer, ``broken`` the share of words that it cuts
    into four pieces or more. ``agreement`` is the share of the first ten passages that BM25 and the
    base have in common. ``dense`` and ``lexical`` are nDCG@10, ``reach`` is the share of questions
    whose answer the base has among its first 50. All on ``sample`` questions and ``searched``
    passages. ``seconds_a_pair`` is one forward pass of a question and its passage, measured.
    None is "not measured".
    """

    passages: int
    pairs: int
    groups: int
    generated: bool
    hardware: Hardware
    pieces: float | None = None
    broken: float | None = None
    agreement: float | None = None
    dense: float | None = None
    lexical: float | None = None
    reach: float | None = None
    sample: int = 0
    searched: int = 0
    seconds_a_pair: float | None = None

    def to_json(self) -> dict[str, object]:
        """Return a JSON-shaped copy."""
        return asdict(self)
