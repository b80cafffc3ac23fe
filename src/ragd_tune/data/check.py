"""Check a data set: what would spoil training or its proof, with the place and the mend."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ragd_tune.data import faults
from ragd_tune.data.findings import Finding, Findings
from ragd_tune.data.leaks import leaks, similar
from ragd_tune.data.model import DataSet
from ragd_tune.data.power import ASSUMED, Power, Spread, detectable, power
from ragd_tune.data.stats import Stats, stats
from ragd_tune.data.tokens import CountTokens, TokenStats, counter, token_stats

FEW = 100
"""Test clusters of one query below which a gain of 0.09 nDCG@10 is missed more than 1 time in 5."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a check found, the worst first.

    ``leaked`` are the queries of dev and test that the proof must leave out. ``totals`` counts the
    findings of each code; no more than 20 of one level and code are listed. ``power`` is the gain
    in nDCG@10 that the test split shows in 4 of 5 tries, None without one.
    ``tokens`` has the keys ``passages`` and ``queries`` where a tokenizer was given.
    """

    stats: Stats
    findings: tuple[Finding, ...]
    totals: dict[str, int]
    leaked: frozenset[str]
    tokens: dict[str, TokenStats]
    power: Power | None

    @property
    def detectable_gain(self) -> float | None:
        """The smallest gain in nDCG@10 that the test split shows in 4 of 5 tries."""
        return self.power.own if self.power else None

    @property
    def ok(self) -> bool:
        """Say that nothing found is an error."""
        return all(finding.level != "error" for finding in self.findings)

    @property
    def counts(self) -> dict[str, object]:
        """The figures to show first, by name."""
        made: dict[str, object] = {
            "documents": self.stats.documents,
            "queries": self.stats.queries,
            "scored pairs": self.stats.scored,
        }
        for name, part in self.stats.splits.items():
            told = f"{part.queries} queries, {part.pairs} pairs"
            if name != "train":
                told += f", {part.clusters} independent groups, {part.known} known, {part.new} new"
            made[name] = told
        made["leaked queries"] = len(self.leaked)
        if self.power is not None:
            made["detectable gain (nDCG@10)"] = self.power.own
            for size, gain in self.power.by_size.items():
                made[f"… with {size:,} such queries"] = gain
            made["… as results vary"] = self.power.spread.told
        for name, found in self.tokens.items():
            made[f"{name} cut"] = f"{found.cut} ({found.lost:.1%} of the tokens)"
        return made

    def to_json(self) -> dict[str, object]:
        """Return a JSON-shaped copy."""
        return {
            "ok": self.ok,
            "stats": self.stats.to_json(),
            "findings": [finding.to_json() for finding in self.findings],
            "totals": self.totals,
            "leaked": sorted(self.leaked),
            "tokens": {name: found.to_json() for name, found in self.tokens.items()},
            "detectable_gain": self.detectable_gain,
            "power": self.power.to_json() if self.power else None,
        }


def check(
    data: DataSet,
    *,
    tokenizer: CountTokens | Path | str | None = None,
    max_tokens: int | None = None,
    strict: bool = False,
    spread: Spread = ASSUMED,
) -> Report:
    """Check ``data`` and say what would spoil training or its proof.

    ``tokenizer`` is a function from texts to token counts, a ``tokenizer.json`` or a model's
    folder; ``max_tokens`` is the model's limit. ``spread`` is how much results vary, as a proof on
    this set measured it.

    :raises UnusableDataError: with ``strict``, there are leaks.
    """
    found = Findings()
    for note in data.notes:
        found.add(note)
    faults.ids(data, found)
    found.raise_errors(data.source)  # what follows looks every id up
    leaked = leaks(data)
    faults.tell_leaks(data, leaked, "error" if strict else "warning", found)
    if strict:
        found.raise_errors(data.source)
    faults.tell_similar(data, similar(data, leaked), found)
    faults.texts(data, found)
    faults.duplicates(data, found)
    faults.near(data, found)
    made = stats(data)
    return Report(
        stats=made,
        tokens=_tokens(data, tokenizer, max_tokens, found),
        power=_power(data, made, {leak.qid for leak in leaked}, spread, found),
        leaked=frozenset(leak.qid for leak in leaked),
        findings=found.sorted(),
        totals=found.totals,
    )


def _tokens(
    data: DataSet, tokenizer: CountTokens | Path | str | None, limit: int | None, found: Findings
) -> dict[str, TokenStats]:
    if tokenizer is None:
        return {}
    count = counter(tokenizer)
    texts = {
        "passages": [doc.passage for doc in data.corpus.values()],
        "queries": [query.text for query in data.queries.values()],
    }
    made = {name: token_stats(count(part), limit) for name, part in texts.items()}
    for name, part in made.items():
        if part.cut:
            what = (
                f"{part.cut} of {part.lengths.count} {name} are longer than {limit} tokens; "
                f"{part.lost:.1%} of their tokens are not read"
            )
            mend = "split long documents into passages, or raise the model's maximum length"
            found.warning("cut-texts", what, data.source, mend=mend)
    return made


def _power(
    data: DataSet, made: Stats, leaked: set[str], spread: Spread, found: Findings
) -> Power | None:
    """Return what the test split detects, and warn where that is little."""
    kept = {qid: name for qid, name in data.clusters("test").items() if qid not in leaked}
    told = power(kept.values(), spread)
    if told is None:
        what = "there is no test query" + (" that does not leak" if leaked else "")
        if made.queries:
            found.warning(
                "no-test",
                what + ": nothing can be proved",
                data.source,
                mend="split the data: ragd-tune data split",
            )
        return None
    clusters = len(set(kept.values()))
    if clusters < FEW:
        enough = detectable([1] * FEW, spread)
        what = (
            f"the test split has {len(kept)} queries in {clusters} independent groups: only a gain "
            f"of {told.own} nDCG@10 or more is likely to show (with {FEW} groups: {enough:.2f})"
        )
        found.warning("few-queries", what, data.source, mend="add test queries on other documents")
    return told
