"""An adapter from elsewhere is data, never code: what may lie in its folder.

:func:`scan` looks at names and kinds of files, :func:`check_folder` also into them. Both only
read, and neither follows a link.
"""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path

from ragd_tune.store import files
from ragd_tune.store.configs import check_config
from ragd_tune.store.paths import Names, check_path, refuse
from ragd_tune.store.weights import MAX_HEADER, check_weights

PICKLES = frozenset(
    {".bin", ".ckpt", ".dill", ".joblib", ".npy", ".npz", ".pickle", ".pkl", ".pt", ".pt2", ".pth"}
)
CODE = frozenset(
    {".bat", ".cmd", ".dll", ".dylib", ".exe", ".ipynb", ".js", ".ps1", ".py", ".pyc"}
    | {".pyd", ".pyi", ".pyw", ".pyx", ".sh", ".so", ".whl", ".egg", ".jar", ".wasm"}
)
ALLOWED = frozenset(
    {".safetensors", ".json", ".jsonl", ".txt", ".md", ".jinja", ".metadata"}
    | {".model", ".spm", ".tiktoken", ".vocab", ".bpe", ".merges"}
)
ALLOWED_NAMES = frozenset({"LICENSE", "LICENCE", "NOTICE"})
# A pickle of protocol 2 or later, a zip (what torch.save writes), a NumPy array, gzip, ELF, MZ.
_MAGIC = {
    b"\x80\x02": "a pickle",
    b"\x80\x03": "a pickle",
    b"\x80\x04": "a pickle",
    b"\x80\x05": "a pickle",
    b"PK\x03\x04": "a zip, as torch.save writes them around a pickle",
    b"PK\x05\x06": "an empty zip",
    b"\x93NUMPY": "a NumPy file, which may hold a pickle",
    b"\x1f\x8b": "compressed",
    b"\x7fELF": "a program",
    b"MZ": "a program",
    b"#!": "a script",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much of everything is taken: ``files`` a folder, ``total`` and ``header`` in bytes."""

    files: int = 2_000
    total: int = 64 << 30
    header: int = MAX_HEADER


DEFAULT_LIMITS = Limits()


def check_kind(name: str) -> None:
    """Refuse a file whose ending is not one that data has.

    :raises RefusedAdapterError: a pickle, code, or an unknown ending.
    """
    base = name.rpartition("/")[2]
    suffix = Path(base).suffix.lower()
    if suffix in PICKLES:
        refuse(name, "a pickle runs code when it is loaded", "save the weights as safetensors")
    if suffix in CODE:
        refuse(name, "an adapter is data and brings no code")
    if suffix not in ALLOWED and base not in ALLOWED_NAMES:
        known = ", ".join(sorted(ALLOWED))
        refuse(name, "not a file that an adapter needs", f"leave it out; allowed are {known}")


def scan(folder: Path, *, limits: Limits = DEFAULT_LIMITS) -> dict[str, int]:
    """Return sizes in bytes by relative POSIX path, sorted, of every file below ``folder``.

    :raises RefusedAdapterError: a link, a device, a bad name or ending, too many or too large.
    """
    found: dict[str, int] = {}
    names = Names()
    total = seen = 0
    waiting = [folder]
    while waiting:
        for entry in sorted(waiting.pop().iterdir()):
            seen += 1
            name = entry.relative_to(folder).as_posix()
            check_path(name)
            if _is_folder(entry, name):
                waiting.append(entry)
            else:
                check_kind(name)
                names.add(name)
                total += (size := entry.lstat().st_size)
                found[name] = size
            check_amount(seen, total, limits)
    return dict(sorted(found.items()))


def check_amount(count: int, total: int, limits: Limits) -> None:
    """Refuse too many files, or too many bytes.

    :raises RefusedAdapterError: with the limit.
    """
    if count > limits.files:
        refuse("the adapter", f"more than {limits.files:,} files and folders")
    if total > limits.total:
        refuse("the adapter", f"more than {limits.total:,} bytes")


def _is_folder(entry: Path, name: str) -> bool:
    """Say whether ``entry`` is a folder; refuse everything but folders and plain files."""
    copied = "copy the folder with its links resolved"
    if files.is_link(entry):
        refuse(name, f"a link, to {ascii(str(entry.readlink()))[:120]}", copied)
    found = entry.lstat()
    if stat.S_ISDIR(found.st_mode):
        return True
    if not stat.S_ISREG(found.st_mode):
        refuse(name, "neither a file nor a folder, but a device, pipe or socket")
    if found.st_nlink > 1:
        refuse(name, "a hard link: its bytes also belong to a file elsewhere", copied)
    return False


def check_content(path: Path, name: str, *, limits: Limits = DEFAULT_LIMITS) -> None:
    """Refuse a file whose bytes are not what its ending says.

    :raises RefusedAdapterError: a pickle or program under another name, bad weights or JSON.
    """
    with path.open("rb") as file:
        start = file.read(9)
    weights = name.lower().endswith(".safetensors")
    # A safetensors file starts with a length, which may look like a pickle's first bytes.
    if not (weights and start.endswith(b"{")):
        for magic, what in _MAGIC.items():
            if start.startswith(magic):
                refuse(name, f"its bytes are {what}, whatever the name says")
    if weights:
        check_weights(path, max_header=limits.header)
    elif name.lower().endswith(".json"):
        check_config(path, name)


def check_folder(folder: Path, *, limits: Limits = DEFAULT_LIMITS) -> dict[str, int]:
    """Refuse a folder that holds anything but data; return sizes in bytes by relative path.

    :raises RefusedAdapterError: with the file and the rule that it breaks.
    """
    if files.is_link(folder) or not folder.is_dir():
        refuse(folder.name, "not a folder")
    found = scan(folder, limits=limits)
    for name in found:
        check_content(folder / name, name, limits=limits)
    return found
