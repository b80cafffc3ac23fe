"""From measurements to one recommendation: a pure function, its thresholds in one place.

The thresholds are rules of thumb, not measurements: small corpora ended below the base in the
literature that this project read (see docs/explanation/when-to-tune.md), and a proof needs 20
independent groups. The proof after the training decides; the advice only says whether to begin.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from typing import Literal

from ragd_tune.advise.facts import Facts

What = Literal["nothing", "query", "lora", "full", "reranker", "raft"]

FEWEST_PAIRS = 200
FEWEST_PASSAGES = 100
FEWEST_GROUPS = 20
"""Independent groups of test questions that a proof needs (see the proof and the gate)."""
GOOD = 0.9
"""nDCG@10 of the base from which there is hardly anything to gain."""
REACHED = 0.95
"""Share of answers among the base's first 50 from which ordering them is what is left to do."""
LARGE = 1_000_000
"""Passages above which embedding them all again is what costs."""
TRAINING = 3.0
"""A step of training costs about three forward passes: one forward, two backward."""
AROUND = 2_300_000_000
"""Bytes that a training takes beside its weights: the process, and what a step keeps.

With four copies of the weights that is about what all-MiniLM-L6-v2 (90 MB) took on a CPU: 1.9 to
2.8 GB in all by `full`, 2.2 by `lora` (docs/explanation/results.md)."""
_COPIES: dict[str, int] = {"full": 4, "lora": 1, "query": 1}
"""Times the weights: themselves, and for `full` their gradients and Adam's two moments."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """One recommendation: what, the command, seconds and bytes it will take, and the reasons.

    ``seconds`` and ``memory`` are None where nothing is recommended or nothing was measured.
    """

    what: What
    command: str
    reasons: tuple[str, ...]
    seconds: float | None = None
    memory: int | None = None

    def to_json(self) -> dict[str, object]:
        """Return a JSON-shaped copy."""
        return asdict(self)


def recommend(
    facts: Facts,
    *,
    data: str = "DATA",
    base: str = "",
    raft_rows: bool = False,
    kinds: Collection[str] = ("bi-encoder", "cross-encoder", "raft"),
    weights: int | None = None,
) -> Advice:
    """Return what to do; the first rule that holds decides.

    ``base`` is what was measured, where it is not the default. ``raft_rows`` says that the set has
    rows for an LLM: they come into play where search is good.
    ``kinds`` are those that can be trained: no other is recommended. ``weights`` are the base's, in
    bytes of 32-bit floats: the memory follows from them.
    """
    advice = _decided(facts, data, base, raft_rows=raft_rows, kinds=kinds)
    copies = _COPIES.get(advice.what)
    if weights is None or copies is None:
        return advice
    return replace(advice, memory=AROUND + copies * weights)


def _decided(
    facts: Facts, data: str, base: str, *, raft_rows: bool, kinds: Collection[str]
) -> Advice:
    no = _against(facts)
    if no:
        return Advice(what="nothing", command="", reasons=no)
    if facts.dense is not None and facts.dense >= GOOD:
        why = f"the base finds the answers already (nDCG@10 {facts.dense:.2f})"
        if raft_rows and "raft" in kinds:
            reasons = (why, "there are rows to train an LLM on")
            return _advice("raft", facts, data, "", reasons)
        return Advice(what="nothing", command="", reasons=(why,))
    signs = _signs(facts)
    if "cross-encoder" in kinds and facts.reach is not None and facts.reach >= REACHED:
        why = f"{facts.reach:.0%} of the answers are among the first 50: their order is the problem"
        return _advice("reranker", facts, data, "", (why, *signs))
    if facts.passages >= LARGE:
        why = f"{facts.passages:,} passages: a query adapter leaves their vectors as they are"
        return _advice("query", facts, data, base, (why, *signs))
    if facts.hardware.tier == "minimal":
        why = f"{facts.pairs:,} pairs, and little memory: LoRA leaves the base as it is"
        return _advice("lora", facts, data, base, (why, *signs))
    why = f"{facts.pairs:,} pairs: all weights learn them best"
    return _advice("full", facts, data, base, (why, *signs))


def _against(facts: Facts) -> tuple[str, ...]:
    """Return why tuning will not pay; empty where it may."""
    found = []
    if facts.passages < FEWEST_PASSAGES:
        found.append(
            f"{facts.passages} passages are few: a base model searches them well, and tuning on "
            "small corpora often ends below it"
        )
    if facts.pairs < FEWEST_PAIRS:
        found.append(f"{facts.pairs} training pairs are fewer than {FEWEST_PAIRS}")
    if facts.groups < FEWEST_GROUPS:
        found.append(
            f"{facts.groups} independent groups of test questions: nothing could be proven with "
            f"fewer than {FEWEST_GROUPS}"
        )
    if not facts.hardware.devices:
        found.append('no backend can train here: pip install "ragd-tune[cpu]"')
    return tuple(found)


def _signs(facts: Facts) -> tuple[str, ...]:
    """Return what the measurements say besides."""
    found = []
    if facts.broken is not None and facts.broken >= 0.05:
        found.append(f"{facts.broken:.0%} of the words are strange to the base's tokenizer")
    if facts.dense is not None:
        found.append(f"the base finds the answers with nDCG@10 {facts.dense:.2f}")
    if facts.dense is not None and facts.lexical is not None and facts.lexical > facts.dense:
        found.append(f"BM25 is better ({facts.lexical:.2f}): the base does not know these words")
    if facts.agreement is not None and facts.agreement < 0.3:
        found.append(f"BM25 and the base agree on {facts.agreement:.0%} of what they find first")
    if facts.hardware.tier == "minimal":
        found.append("ragd calls this machine minimal: steps of 16 rows fit it")
    if facts.generated:
        found.append("all of this is measured on generated questions, not on people's")
    return tuple(found)


_COMMANDS: dict[What, str] = {
    "query": "ragd-tune train bi-encoder --side query --data {}",
    "lora": "ragd-tune train bi-encoder --tuning lora --data {}",
    "full": "ragd-tune train bi-encoder --tuning full --data {}",
    "reranker": "ragd-tune train cross-encoder --data {}",
    "raft": "ragd-tune train raft --data {}",
}


def _advice(what: What, facts: Facts, data: str, base: str, reasons: tuple[str, ...]) -> Advice:
    seconds = None
    if facts.seconds_a_pair is not None and what in ("query", "lora", "full"):
        seconds = facts.pairs * facts.seconds_a_pair * TRAINING
    command = _COMMANDS[what].format(data) + (f" --base {base}" if base else "")
    return Advice(what=what, command=command, reasons=reasons, seconds=seconds)
