"""The result of an A/B comparison: frozen values that go to JSON and back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

from ragd_tune.errors import StoreError
from ragd_tune.evaluate import words
from ragd_tune.evaluate.elsewhere import TOLERANCE, Elsewhere
from ragd_tune.evaluate.significance import Comparison

SCHEMA = 1

Part = Literal["all", "known", "new"]
PARTS: tuple[Part, ...] = ("all", "known", "new")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One metric at one dimension on one part of the queries.

    ``dims`` is None where there is no choice of dimension. ``before`` and ``after`` are the means
    of incumbent and candidate. Every interval stands alone: with many cells some will lie off 0 by
    chance, which is why one cell, named beforehand, decides.
    """

    part: Part
    dims: int | None
    metric: str
    before: float
    after: float
    difference: Comparison


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """A query that gained or lost: its scores by the gate metric, and its first hit's rank.

    Ranks count from 1; None means that no relevant document was found.
    """

    query_id: str
    text: str
    before: float
    after: float
    rank_before: int | None
    rank_after: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What was judged, and what was left out.

    ``queries`` = ``known`` + ``new`` were compared. ``unjudged`` had no relevant document,
    ``excluded`` were taken out as leaks. ``collapsed`` documents of the corpus were taken for an
    earlier one of identical text.
    """

    queries: int
    known: int
    new: int
    unjudged: int = 0
    excluded: int = 0
    collapsed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One query's scores by the gate's metric: anyone can work the verdict out again."""

    id: str
    before: float
    after: float
    cluster: str
    known: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """What another system scored on the same queries by the gate's metric.

    ``difference`` is the candidate's score minus its own. It decides nothing.
    """

    name: str
    score: float
    difference: Comparison


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """An A/B comparison of ``candidate`` against ``incumbent``.

    ``looks`` is how often this test set was looked at, this time included. ``queries`` are those
    that were compared, with their scores by the gate's metric. ``generated`` says that the
    questions were made from the documents, and not asked by anybody. Verdict, reason and
    sentence follow from the cells, so a record cannot contradict itself. ``elsewhere`` is what
    happened on another domain, None where nobody looked. ``side`` is the adapter's: one of the side
    ``query`` serves known documents, and must not lose on new ones. ``precision`` is what both
    sides computed their vectors in.
    """

    incumbent: str
    candidate: str
    gate_metric: str
    gate_dims: int | None
    looks: int
    seed: int
    resamples: int
    counts: Counts
    cells: tuple[Cell, ...]
    gained: tuple[Moved, ...] = ()
    lost: tuple[Moved, ...] = ()
    queries: tuple[Judged, ...] = ()
    beside: tuple[Beside, ...] = ()
    generated: bool = False
    elsewhere: Elsewhere | None = None
    side: Literal["both", "query"] = "both"
    precision: Literal["fp32", "bf16"] = "fp32"

    def cell(self, part: Part, metric: str, dims: int | None) -> Cell | None:
        """Return one cell; None where that part has no queries or nobody asked for it."""
        for cell in self.cells:
            if (cell.part, cell.metric, cell.dims) == (part, metric, dims):
                return cell
        return None

    @property
    def gate(self) -> Cell:
        """The cell that decides."""
        cell = self.cell("all", self.gate_metric, self.gate_dims)
        if cell is None:
            raise StoreError(f"the report has no {self.gate_metric} to decide by")
        return cell

    @property
    def kept(self) -> dict[int, float]:
        """The candidate's score at each dimension as a share of that at the largest (Matryoshka).

        By the gate's metric on all queries; empty where one dimension alone was measured.
        """
        cells = (self.cell("all", self.gate_metric, size) for size in self._sizes)
        found = {cell.dims: cell.after for cell in cells if cell and cell.dims}
        whole = found[max(found)] if len(found) > 1 else 0.0
        return {size: score / whole for size, score in found.items()} if whole else {}

    @property
    def _sizes(self) -> list[int]:
        return sorted({cell.dims for cell in self.cells if cell.dims}, reverse=True)

    @property
    def passed(self) -> bool:
        """Whether the gate's 95% interval lies above 0, on enough clusters, and nothing was lost.

        Lost is what an adapter forgets elsewhere, and what one of the query side loses on new
        documents.
        """
        return self.gate.difference.proven and not self.forgets and not self.loses_new

    @property
    def forgets(self) -> bool:
        """Whether more than is allowed was lost on another domain."""
        return self.elsewhere is not None and self.elsewhere.forgets

    @property
    def loses_new(self) -> bool:
        """Whether an adapter of the query side does worse on new documents.

        Either surely (the 95% interval lies below 0), or by more than is allowed elsewhere on
        average: new documents come, and nobody trains for each of them.
        """
        new = self.cell("new", self.gate_metric, self.gate_dims)
        if self.side != "query" or new is None or not new.difference.enough:
            return False
        return new.difference.high < 0 or new.difference.mean < -TOLERANCE

    @property
    def reason(self) -> str:
        """Why it did not pass; empty when it did."""
        if not self.gate.difference.proven:
            return words.reason(self.gate.difference)
        if self.loses_new:
            new = self.cell("new", self.gate_metric, self.gate_dims)
            return words.new_lost(new.difference) if new else ""
        return self.elsewhere.reason if self.elsewhere else ""

    @property
    def sentence(self) -> str:
        """The result in plain English, claiming no more than the numbers carry."""
        parts = {part: self.cell(part, self.gate_metric, self.gate_dims) for part in PARTS}
        verdict = words.verdict(self.gate, self.incumbent, self.candidate)
        verdict = f"{words.GENERATED}: {verdict}" if self.generated else verdict
        return " ".join(
            [
                verdict[:1].upper() + verdict[1:],
                *([words.QUERY_SIDE] if self.side == "query" else []),
                *words.by_part(parts["known"], parts["new"]),
                *(self.elsewhere.sentences() if self.elsewhere else ()),
                *words.others(self.beside),
                *words.caveats(self.looks, self.counts.excluded),
            ]
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain dicts, lists, strings, booleans and finite numbers.

        :raises StoreError: a number is NaN or infinite.
        """
        value: dict[str, Any] = {
            "schema": SCHEMA,
            "passed": self.passed,
            "reason": self.reason,
            "sentence": self.sentence,
            "kept": {str(size): share for size, share in self.kept.items()},
            **asdict(self),
        }
        for name in ("cells", "gained", "lost", "queries", "beside"):
            value[name] = list(value[name])
        _refuse_non_finite(value, "report")
        return value

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_json` wrote; what follows from the cells is worked out again.

        :raises StoreError: another schema, or fields missing, unknown or of a wrong shape.
        """
        if value.get("schema") != SCHEMA:
            raise StoreError(
                f"the report has schema {value.get('schema')!r}; this version reads {SCHEMA}",
                mend="run `ragd-tune evaluate` again",
            )
        fields = {k: v for k, v in value.items() if k not in {"schema", *_DERIVED}}
        try:
            fields["counts"] = Counts(**fields["counts"])
            fields["cells"] = tuple(_cell(cell) for cell in fields["cells"])
            fields["beside"] = tuple(
                Beside(**{**one, "difference": Comparison(**one["difference"])})
                for one in fields.get("beside", ())
            )
            for name in ("gained", "lost"):
                fields[name] = tuple(Moved(**moved) for moved in fields[name])
            fields["queries"] = tuple(Judged(**one) for one in fields["queries"])
            fields["elsewhere"] = Elsewhere.read(fields.get("elsewhere"))
            report = cls(**fields)
            _refuse_non_finite(asdict(report), "report")
        except (KeyError, TypeError) as error:
            raise StoreError(
                f"the report cannot be read: {error}", mend="run `ragd-tune evaluate` again"
            ) from error
        return report


_DERIVED = frozenset({"passed", "reason", "sentence", "kept"})


def _cell(value: Mapping[str, Any]) -> Cell:
    return Cell(**{**value, "difference": Comparison(**value["difference"])})


def _refuse_non_finite(value: object, where: str) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise StoreError(f"{where} is {value}, not a finite number")
    if isinstance(value, Mapping):
        for name, inner in value.items():
            _refuse_non_finite(inner, f"{where}.{name}")
    elif isinstance(value, list | tuple):
        for number, inner in enumerate(value):
            _refuse_non_finite(inner, f"{where}[{number}]")
