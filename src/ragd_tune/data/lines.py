"""Text files as numbered lines: gzip or not, streamed, and safe to point at anything."""

from __future__ import annotations

import gzip
import io
import stat
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from ragd_tune.data.findings import Findings

MAX_LINE = 32 * 2**20
"""Bytes that one line may have; longer ones are no passage that a model could read."""

_GZIP = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"
_UTF8 = "save the file as UTF-8 (for example: iconv -f UTF-16 -t UTF-8 FILE > NEW)"


def is_data_file(path: Path, findings: Findings) -> bool:
    """Say whether ``path`` is a regular file that is not empty; tell what else it is.

    Looked at before it is opened, because opening a pipe waits for a writer.
    """
    try:
        mode = path.stat()
    except FileNotFoundError:
        findings.error("missing-file", "no such file", path, mend="check the path")
    except (OSError, RuntimeError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        findings.error("unreadable-file", f"cannot be read: {why}", path, mend="check the link")
    else:
        if not stat.S_ISREG(mode.st_mode):
            text = "is not a regular file (a folder, a device or a pipe)"
            findings.error("not-a-file", text, path, mend="give a file on disk")
        elif not mode.st_size:
            findings.error("empty-file", "the file is empty", path, mend="fill it or remove it")
        else:
            return True
    return False


def _open(path: Path, findings: Findings) -> IO[bytes] | None:
    if not is_data_file(path, findings):
        return None
    try:
        file = path.open("rb")
    except OSError as error:
        why = error.strerror or str(error)
        mend = "give yourself the right to read it"
        findings.error("unreadable-file", f"cannot be read: {why}", path, mend=mend)
        return None
    if file.peek(2)[:2] == _GZIP:
        file.close()
        return io.BufferedReader(gzip.GzipFile(path), 1 << 16)
    if path.suffix == ".gz":
        file.close()
        mend = "compress it with gzip, or drop .gz from its name"
        findings.error("not-gzip", "is named .gz and is not gzip", path, mend=mend)
        return None
    return file


def _not_text(head: bytes) -> tuple[str, str, str] | None:
    """Return code, message and mend if ``head`` does not start a UTF-8 text."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")):
        return "utf-16", "is UTF-16 or UTF-32, not UTF-8", _UTF8
    if b"\x00" not in head:
        return None
    if head[1::2].count(0) > len(head) // 4 or head[::2].count(0) > len(head) // 4:
        return "utf-16", "looks like UTF-16, not UTF-8", _UTF8
    mend = "give text: JSONL, JSON, CSV or TSV"
    return "binary-file", "holds NUL bytes: a binary file", mend


def raw_lines(path: Path, findings: Findings) -> Iterator[tuple[int, bytes]]:
    """Yield (line number, bytes with the line's end) of a file; stop at the first fatal fault."""
    file = _open(path, findings)
    if file is None:
        return
    number = 0
    try:
        with file:
            while line := file.readline(MAX_LINE + 1):
                number += 1
                if number == 1:
                    wrong = _not_text(line[:4096])
                    if wrong:
                        findings.error(wrong[0], wrong[1], path, 1, wrong[2])
                        return
                    line = line.removeprefix(_BOM)
                if len(line) > MAX_LINE:
                    text = f"the line is longer than {MAX_LINE // 2**20} MiB"
                    mend = "write one record a line, and split long documents into passages"
                    findings.error("oversized-line", text, path, number, mend)
                    return
                yield number, line
    except (OSError, EOFError, zlib.error) as error:
        text = f"the file breaks off or is damaged about here ({error})"
        findings.error("damaged-file", text, path, number + 1, "copy or compress it again")


def decode(line: bytes, path: Path, number: int, findings: Findings) -> str | None:
    """Return a line as text; None, and a finding, if it is not UTF-8 or holds NUL."""
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        what = f"is not UTF-8: byte 0x{line[error.start]:02x} at column {error.start + 1}"
        findings.error("invalid-utf-8", what, path, number, "save the file as UTF-8")
        return None
    if "\x00" in text:
        what = f"holds a NUL character at column {text.index(chr(0)) + 1}"
        findings.error("binary-text", what, path, number, "remove binary content")
        return None
    return text


def lines(path: Path, findings: Findings) -> Iterator[tuple[int, str]]:
    """Yield (line number, text without the line's end); blank lines are left out."""
    for number, raw in raw_lines(path, findings):
        text = decode(raw, path, number, findings)
        if text is not None and text.strip():
            yield number, text.rstrip("\r\n")
