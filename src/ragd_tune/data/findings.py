"""Findings: what was wrong or worth knowing, where, and what to do about it."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from ragd_tune.errors import DataError

Level = Literal["error", "warning", "info"]
SHOWN = 20
"""Findings of one level and code that are kept and shown; beyond that they are counted."""

_ORDER: dict[str, int] = {"error": 0, "warning": 1, "info": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing found in a data set.

    ``code`` is stable and meant for programs, ``message`` and ``mend`` are for people. ``line``
    counts from 1 and is None where the finding is about the whole file.
    """

    level: Level
    code: str
    message: str
    file: str = ""
    line: int | None = None
    mend: str = ""

    @property
    def place(self) -> str:
        """Return ``file:line``, ``file`` or nothing."""
        return f"{self.file}:{self.line}" if self.file and self.line else self.file

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" if self.place else self.message

    def to_json(self) -> dict[str, object]:
        """Return a JSON-shaped copy."""
        return asdict(self)


class BadRow(Exception):
    """One row cannot be used; the reader turns it into a finding and goes on."""

    def __init__(self, code: str, message: str, mend: str = "") -> None:
        super().__init__(message)
        self.code, self.message, self.mend = code, message, mend


class UnusableDataError(DataError):
    """The data has errors; ``findings`` holds the first of each code, ``total`` counts all."""

    def __init__(self, findings: tuple[Finding, ...], total: int, about: str) -> None:
        lines = [str(finding) for finding in findings[:SHOWN]]
        if total > len(lines):
            lines.append(f"… and {total - len(lines)} more")
        text = lines[0] if total == 1 else "\n  ".join([f"{about}: {total} errors", *lines])
        super().__init__(text, mend=findings[0].mend)
        self.findings = findings
        self.total = total

    def to_json(self) -> dict[str, object]:
        """Return the error with its findings and their number."""
        found = [finding.to_json() for finding in self.findings]
        return {**super().to_json(), "findings": found, "total": self.total}


class Findings:
    """Collects findings: keeps the first ``SHOWN`` of each level and code, and counts the rest."""

    def __init__(self) -> None:
        self._kept: list[Finding] = []
        self._counts: Counter[tuple[Level, str]] = Counter()

    def add(self, finding: Finding) -> None:
        """Count ``finding``; keep it if few of its kind came before."""
        key = (finding.level, finding.code)
        self._counts[key] += 1
        if self._counts[key] <= SHOWN:
            self._kept.append(finding)

    def error(
        self, code: str, message: str, file: Path | str, line: int | None = None, mend: str = ""
    ) -> None:
        """Add an error at ``file:line``."""
        self._at("error", code, message, file, line, mend)

    def warning(
        self, code: str, message: str, file: Path | str, line: int | None = None, mend: str = ""
    ) -> None:
        """Add a warning at ``file:line``."""
        self._at("warning", code, message, file, line, mend)

    def info(
        self, code: str, message: str, file: Path | str, line: int | None = None, mend: str = ""
    ) -> None:
        """Add something worth knowing at ``file:line``."""
        self._at("info", code, message, file, line, mend)

    def bad_row(self, row: BadRow, file: Path | str, line: int) -> None:
        """Add the error that ended a row."""
        self._at("error", row.code, row.message, file, line, row.mend)

    def _at(
        self, level: Level, code: str, message: str, file: Path | str, line: int | None, mend: str
    ) -> None:
        self.add(
            Finding(level=level, code=code, message=message, file=str(file), line=line, mend=mend)
        )

    @property
    def totals(self) -> dict[str, int]:
        """How many findings of each code there were, shown or not."""
        totals: Counter[str] = Counter()
        for (_, code), count in self._counts.items():
            totals[code] += count
        return dict(totals)

    @property
    def errors(self) -> int:
        """How many errors there were, shown or not."""
        return sum(count for (level, _), count in self._counts.items() if level == "error")

    def sorted(self) -> tuple[Finding, ...]:
        """Return what was kept, errors first, else in the order found."""
        return tuple(sorted(self._kept, key=lambda finding: _ORDER[finding.level]))

    def raise_errors(self, about: Path | str) -> None:
        """Raise one error that lists what is wrong with ``about``, if anything is.

        :raises UnusableDataError: at least one error was found.
        """
        if self.errors:
            found = tuple(finding for finding in self.sorted() if finding.level == "error")
            raise UnusableDataError(found, self.errors, str(about))
