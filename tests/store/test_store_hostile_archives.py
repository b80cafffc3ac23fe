"""Archives that lie about what they hold, or are none: refused, and no trace is left."""

from __future__ import annotations

import contextlib
import gzip
import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file
from tests.store.hostile import PICKLE, WEIGHTS, Snapshot, untouched

from ragd_tune.errors import StoreError, TuneError
from ragd_tune.store import Limits, Manifest, Store
from ragd_tune.store.manifest import FILE


def member(name: str, data: bytes = b"{}", **fields: Any) -> tuple[tarfile.TarInfo, bytes]:
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    for field, value in fields.items():
        setattr(entry, field, value)
    return entry, data


def special(name: str, kind: bytes, to: str = "") -> tuple[tarfile.TarInfo, bytes]:
    return member(name, b"", type=kind, linkname=to)


NEWLINE = "adapter/a\nb.json"
ARCHIVES: dict[str, tuple[list[tuple[tarfile.TarInfo, bytes]], str]] = {
    "..": ([member("adapter/../../x.json")], "the name leads out of the folder by '..'"),
    "only ..": ([member("../x.json")], "the name leads out of the folder by '..'"),
    "an absolute name": ([member("/tmp/x.json")], "the name is absolute"),
    "a drive": ([member("C:/x.json")], "the name starts with a drive letter"),
    "a backslash": ([member("adapter\\..\\x.json")], "the name holds a backslash"),
    "a control character": ([member(NEWLINE)], "the name holds a control character"),
    "a reserved name": ([member("adapter/con.json")], "is a reserved name on Windows"),
    "a dot at the end": ([member("adapter/sub./a.json")], "ends in a dot or a space"),
    "a space at the end": ([member("adapter/sub /a.json")], "ends in a dot or a space"),
    "an empty part": ([member("adapter//a.json")], "the name has an empty part"),
    "a long name": ([member("adapter/" + "a" * 300 + ".json")], "longer than 240 characters"),
    "letters beyond ASCII": ([member("adapter/é.json")], "not every system can store"),
    "a symbolic link": (
        [special("adapter/a.json", tarfile.SYMTYPE, "/etc/passwd")],
        "adapter/a.json: a symbolic link",
    ),
    "a hard link": (
        [special("adapter/a.json", tarfile.LNKTYPE, "/etc/passwd")],
        "adapter/a.json: a hard link",
    ),
    "a link inside": (
        [special("adapter/a.json", tarfile.SYMTYPE, "adapter_config.json")],
        "adapter/a.json: a symbolic link",
    ),
    "a character device": ([special("adapter/a.json", tarfile.CHRTYPE)], "a device"),
    "a block device": ([special("adapter/a.json", tarfile.BLKTYPE)], "a device"),
    "a pipe": ([special("adapter/a.json", tarfile.FIFOTYPE)], "adapter/a.json: a pipe"),
    "the same name twice": (
        [member("adapter/a.json"), member("adapter/a.json")],
        "adapter/a.json: comes twice",
    ),
    "names that collide": (
        [member("adapter/A.json"), member("adapter/a.json")],
        "where case does not count",
    ),
    "a file that is a folder": (
        [member("adapter/a.json"), member("adapter/a.json/b.json")],
        "'adapter/a.json' is a file, not a folder",
    ),
    "a pickle": ([member("adapter/a.bin", PICKLE)], "adapter/a.bin: a pickle runs code"),
    "a place of its own": ([member("bin/a.json")], "belongs to neither 'adapter/' nor 'records/'"),
    "a huge record": ([member("records/1.json", b" " * (2 << 20))], "a record of more than"),
    "a damaged record": ([member("records/1.json", b"{}")], "1.json: at: Field required"),
    "too many files": (
        [member(f"adapter/{number}.json") for number in range(30)],
        "more than 20 files",
    ),
    "too much": ([member("adapter/a.txt", b"." * 200_000)], "more than 100,000 bytes"),
}


def pack(folder: Path, extra: list[tuple[tarfile.TarInfo, bytes]], out: Path) -> Path:
    with tarfile.open(out, "w") as tar:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                tar.addfile(
                    *_io(
                        member(f"adapter/{path.relative_to(folder).as_posix()}", path.read_bytes())
                    )
                )
        for one in extra:
            tar.addfile(*_io(one))
    return out


def _io(one: tuple[tarfile.TarInfo, bytes]) -> tuple[tarfile.TarInfo, io.BytesIO]:
    return one[0], io.BytesIO(one[1])


@pytest.mark.parametrize("case", ARCHIVES)
def test_a_hostile_archive_is_refused_by_name_and_leaves_no_trace(
    case: str, guarded: Store, adapter: Path, snapshot: Snapshot, tmp_path: Path
) -> None:
    extra, message = ARCHIVES[case]
    archive = pack(adapter, extra, tmp_path / "a.tar")
    limits = Limits(files=20, total=100_000) if "too" in case else Limits()
    with untouched(tmp_path, snapshot), pytest.raises(StoreError) as told:
        guarded.import_(archive, limits=limits)
    assert message in told.value.message


def negative_size(raw: bytes) -> bytes:
    """The first entry claims, in base 256, a size below zero; its sum is right again."""
    block = bytearray(raw[:512])
    block[124:136] = b"\xff" * 11 + b"\x00"
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block) + raw[512:]


MANGLED: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "compressed": (gzip.compress, "not a whole, uncompressed tar archive"),
    "not an archive": (lambda raw: b"hello", "not a whole, uncompressed tar archive"),
    "empty": (lambda raw: b"", "not a whole, uncompressed tar archive"),
    "cut in a file": (lambda raw: raw[:700], "not a whole, uncompressed tar archive"),
    "cut between files": (lambda raw: raw[:1024], "holds no ragd-tune.json"),
    "negative size": (negative_size, "size"),
}


@pytest.mark.parametrize("case", MANGLED)
def test_a_mangled_archive_is_refused_and_leaves_no_trace(
    case: str, guarded: Store, adapter: Path, snapshot: Snapshot, tmp_path: Path
) -> None:
    mangle, message = MANGLED[case]
    archive = pack(adapter, [], tmp_path / "a.tar")
    archive.write_bytes(mangle(archive.read_bytes()))
    with untouched(tmp_path, snapshot), pytest.raises(StoreError, match=message):
        guarded.import_(archive)


def test_a_header_that_claims_gigabytes_is_refused_before_they_are_read(
    guarded: Store, adapter: Path, tmp_path: Path
) -> None:
    archive = tmp_path / "a.tar"
    entry = tarfile.TarInfo("././@PaxHeader")
    entry.type, entry.size = tarfile.XHDTYPE, 8 << 30
    archive.write_bytes(entry.tobuf(tarfile.GNU_FORMAT) + b"\0" * 2048)
    with pytest.raises(StoreError, match="a header of this archive is oversized"):
        guarded.import_(archive)


def test_an_endless_chain_of_headers_is_refused(guarded: Store, tmp_path: Path) -> None:
    entry = tarfile.TarInfo("././@LongLink")
    entry.type, entry.size = tarfile.GNUTYPE_LONGNAME, 4
    chain = (entry.tobuf(tarfile.GNU_FORMAT) + b"a.b\0".ljust(512, b"\0")) * 3_000
    (tmp_path / "a.tar").write_bytes(chain)
    with pytest.raises(StoreError, match="not a whole, uncompressed tar archive"):
        guarded.import_(tmp_path / "a.tar")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    folder = tmp_path_factory.mktemp("fuzz")
    source = folder / "source"
    source.mkdir()
    save_file({"w": np.ones(4, np.float32)}, source / WEIGHTS)
    fields = {"kind": "k", "objective": "o", "tuning": "t", "format": "f"}
    made = Manifest.build(source, **fields, base={"name": "b", "fingerprint": "f" * 64})
    (source / FILE).write_bytes(made.to_bytes())
    return folder, pack(source, [], folder / "a.tar").read_bytes()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(changes=st.lists(st.tuples(st.integers(0, 5_000), st.binary(max_size=12)), max_size=4))
def test_an_archive_with_changed_bytes_is_the_same_adapter_or_refused(
    whole: tuple[Path, bytes], changes: list[tuple[int, bytes]]
) -> None:
    folder, raw = whole
    changed = bytearray(raw)
    for at, data in changes:
        changed[at : at + len(data)] = data
    (folder / "changed.tar").write_bytes(changed)
    store = Store(folder / "home")
    with contextlib.suppress(TuneError):
        store.import_(folder / "changed.tar")
    for entry in store.list():
        assert store.verify(entry.id) == ()
        store.remove(entry.id)
    assert [*(store.root / "tmp").iterdir()] == []
