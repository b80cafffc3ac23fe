"""From paths to documents: which files are read, by which reader, and what is left out."""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from ragd_tune.data.documents.code import read_code, read_python
from ragd_tune.data.documents.faq import raise_questions
from ragd_tune.data.documents.markdown import read_markdown
from ragd_tune.data.documents.model import Library, Skipped, Source, UnreadableError
from ragd_tune.data.documents.table import read_rows
from ragd_tune.data.text import printable
from ragd_tune.errors import DataError, NotInstalledError

LARGEST = 64 * 2**20
"""Bytes of one file; a longer one is data rather than a document. JSONL may be longer."""

Reader = Callable[[str, Path], Iterable[Source]]

_MARKDOWN = ("md", "markdown", "mdx", "rst", "txt", "text", "org", "adoc", "log")
_CODE = (
    *("js", "ts", "jsx", "tsx", "java", "kt", "c", "h", "cc", "cpp", "hpp", "cs", "go", "rs"),
    *("rb", "php", "swift", "scala", "sh", "bash", "lua", "pl", "r", "jl", "sql", "ex", "hs"),
)
_EXTRA = 'pip install "ragd-tune[documents]"'
_PACKAGES = {"html": "selectolax", "htm": "selectolax", "pdf": "pypdf", "docx": "docx"}
_PASSED_OVER = frozenset({"node_modules", "__pycache__", "venv", "site-packages"})


def suffix(path: Path) -> str:
    """Return the type of a file by its name: ``md``, ``jsonl`` (also of ``.jsonl.gz``)."""
    return path.name.lower().removesuffix(".gz").rpartition(".")[2]


def gather(
    paths: Iterable[Path], *, progress: Callable[[str, float], None] = lambda text, done: None
) -> Library:
    """Read the documents at ``paths``, which are folders or files; others are listed as skipped.

    Hidden files and folders, links that lead out of the folder that was given, and what
    package managers install are passed over silently; broken, empty, encrypted and binary files
    are listed. The same documents give the same result in any order of ``paths``. A document is
    named by its place in the folder that was given; where two files would have one name
    (``http/__init__.py`` and ``json/__init__.py``, of the folders ``http`` and ``json``), all names
    begin with the folder, or as many of those above it as tell them apart.

    :raises DataError: there is no such path, or no document that can be read.
    :raises NotInstalledError: all documents need a package that is not installed.
    """
    files = _named(found for path in paths for found in _files(path))
    sources: dict[str, Source] = {}
    skipped: list[Skipped] = []
    counts: Counter[str] = Counter()
    for number, (name, path) in enumerate(files):
        progress("reading documents", number / len(files))
        try:
            for read in _read(name, path):
                source = read if read.whole else replace(read, blocks=raise_questions(read.blocks))
                if source.text.strip() and source.blocks:
                    sources.setdefault(source.id, source)
                    counts[suffix(path)] += 1
                else:
                    skipped.append(Skipped(path=name, reason="is empty"))
        except UnreadableError as error:
            skipped.append(Skipped(path=name, reason=str(error)))
    if not sources:
        _nothing(skipped, files)
    return Library(sources=tuple(sources.values()), skipped=tuple(skipped), counts=dict(counts))


def _named(found: Iterable[tuple[Path, Path]]) -> list[tuple[str, Path]]:
    """Name files, which come as (folder that was given, file), so that no two have one name."""
    roots: dict[Path, Path] = {}
    for root, file in found:  # of a folder and one inside it, the outer one names the file
        roots[file] = min(roots.get(file, root), root, key=lambda one: len(one.parts))
    names: dict[str, Path] = {}
    for above in range(max((len(root.parts) for root in roots.values()), default=0) + 1):
        names = {_name(root, file, above): file for file, root in roots.items()}
        if len(names) == len(roots):
            break
    return sorted(names.items())


def _name(root: Path, file: Path, above: int) -> str:
    """Return a file's place below ``root``, after ``root``'s own last ``above`` parts.

    It becomes part of the ids of passages, which must be fit to be printed.
    """
    outer = root.parts[max(0, len(root.parts) - above) :]
    return printable("/".join((*outer, *file.relative_to(root).parts)))


def _nothing(skipped: list[Skipped], files: list[tuple[str, Path]]) -> None:
    shown = "\n".join(f"  {one.path}: {one.reason}" for one in skipped[:10])
    what = "there is no document that can be read"
    if skipped and all(_EXTRA in one.reason for one in skipped):
        raise NotInstalledError(f"{what}:\n{shown}", mend=_EXTRA)
    where = f" ({len(files)} files):\n{shown}" if files else ""
    raise DataError(what + where, mend="give a folder with text, Markdown, HTML, PDF, DOCX or code")


def must_exist(path: Path) -> None:
    """Refuse a path that leads nowhere.

    :raises DataError: there is no such file or folder.
    """
    if not path.exists():
        raise DataError(f"{path}: there is no such file or folder", mend="check the path")


def _files(path: Path) -> Iterator[tuple[Path, Path]]:
    """Yield the folder that is read, and a file in it, both absolute."""
    must_exist(path)
    if path.is_file():
        folder = path.parent.resolve()
        yield folder, folder / path.name
        return
    root = path.resolve()
    for found in root.rglob("*"):
        parts = found.relative_to(root).parts
        if any(part.startswith(".") or part in _PASSED_OVER for part in parts):
            continue
        if found.is_file() and found.resolve().is_relative_to(root):
            yield root, found


def _read(name: str, path: Path) -> Iterable[Source]:
    kind = suffix(path)
    try:
        size = path.stat().st_size
    except OSError as error:
        raise UnreadableError(f"cannot be read: {error.strerror}") from error
    if not size:
        raise UnreadableError("is empty")
    if kind in ("jsonl", "ndjson"):
        return read_rows(name, path)
    if size > LARGEST:
        raise UnreadableError(f"is longer than {LARGEST // 2**20} MiB")
    reader = _readers().get(kind)
    if reader is None:
        raise UnreadableError(f"is no type that is read here (.{kind})")
    package = _PACKAGES.get(kind)
    if package and find_spec(package) is None:
        raise UnreadableError(f"needs a package that is not installed: {_EXTRA}")
    return reader(name, path)


def _readers() -> dict[str, Reader]:
    return {
        **dict.fromkeys(_MARKDOWN, lambda name, path: [read_markdown(name, text_of(path))]),
        **dict.fromkeys(_CODE, lambda name, path: [read_code(name, text_of(path))]),
        **dict.fromkeys(("html", "htm"), _html),
        **dict.fromkeys(("py", "pyi"), lambda name, path: [read_python(name, text_of(path))]),
        "pdf": _pdf,
        "docx": _docx,
    }


def _html(name: str, path: Path) -> list[Source]:
    from ragd_tune.data.documents.html import read_html

    return [read_html(name, text_of(path))]


def _pdf(name: str, path: Path) -> list[Source]:
    from ragd_tune.data.documents.pdf import read_pdf

    return [read_pdf(name, path)]


def _docx(name: str, path: Path) -> list[Source]:
    from ragd_tune.data.documents.docx import read_docx

    return [read_docx(name, path)]


def text_of(path: Path) -> str:
    """Return the text of a file: UTF-8, UTF-16 with its mark, or else Windows-1252.

    :raises UnreadableError: it cannot be read, or is binary.
    """
    try:
        raw = path.read_bytes()
        if raw[:2] == b"\x1f\x8b":
            with gzip.open(path) as file:
                raw = file.read(LARGEST)
    except (OSError, EOFError) as error:
        raise UnreadableError(f"cannot be read: {error}") from error
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return raw.decode("utf-16", errors="replace")
    if b"\x00" in raw[:4096]:
        raise UnreadableError("is binary")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("cp1252", errors="replace")
    odd = sum(not (char.isprintable() or char in "\n\r\t\f") for char in text[:4096])
    if odd * 20 > min(len(text), 4096):
        raise UnreadableError("is binary")
    return text
