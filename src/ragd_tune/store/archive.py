"""One adapter as one file, and back.

An archive is a plain tar, because weights hardly compress, and because its bytes then do not depend
on the version of a compression library: ``adapter/…`` (the manifest and its files) and
``records/…``, sorted, without times and owners. Exporting twice gives identical bytes. Importing
trusts nothing: names, kinds of entries and sizes are checked while it reads, the contents after.
"""

from __future__ import annotations

import contextlib
import io
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from ragd_tune.errors import NotInstalledError, RefusedAdapterError, StoreError, UsageError
from ragd_tune.store import files, records, safety
from ragd_tune.store.catalogue import SHORT, check_sound
from ragd_tune.store.layout import Layout
from ragd_tune.store.manifest import FILE, BaseRef, Manifest
from ragd_tune.store.paths import Names, check_path, refuse
from ragd_tune.store.records import Record

_BLOCK = 1 << 20
_FOREIGN = "import what 'ragd-tune adapters export' wrote"
_KINDS = {
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.LNKTYPE: "a hard link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a pipe",
}
BaseHere = Callable[[BaseRef], bool]


def export(
    layout: Layout, path: Path, out: Path, *, with_records: bool = True, overwrite: bool = False
) -> Path:
    """Write the adapter at ``path`` into the archive ``out`` (a folder gets a name of its own).

    :raises StoreError: the adapter is damaged.
    :raises UsageError: ``out`` exists and may not be overwritten.
    """
    manifest = check_sound(path)
    if out.is_dir():
        out = out / f"{manifest.kind}-{manifest.content_id[:SHORT]}.tar"
    if out.exists() and not overwrite:
        raise UsageError(f"{out} exists", mend="name another file, or add --force")
    part = out.with_name(f".{out.name}.{files.token()}")
    try:
        with part.open("xb") as raw, tarfile.open(fileobj=raw, mode="w:", format=_FORMAT) as tar:
            for name in sorted([FILE, *manifest.files]):
                with (path / name).open("rb") as file:
                    _add(tar, f"adapter/{name}", (path / name).stat().st_size, file)
            found = records.read_records(layout, manifest.content_id) if with_records else []
            for record in found:
                data = record.to_bytes()
                _add(tar, f"records/{record.file}", len(data), io.BytesIO(data))
        files.sync_file(part)
        files.rename(part, out)
    except OSError as error:
        raise StoreError(
            f"{out}: {error.strerror}", mend="check the disk's free space and rights"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
    return out


# Sizes above 8 GiB and nothing else that depends on who writes it.
_FORMAT = tarfile.GNU_FORMAT


def _add(tar: tarfile.TarFile, name: str, size: int, data: IO[bytes]) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size, 0o644
    tar.addfile(entry, data)


def unpack(source: Path, draft: Path, limits: safety.Limits) -> list[tuple[str, bytes]]:
    """Bring the adapter in ``source``, an archive or a folder, into ``draft``.

    :return: its records, as (name, bytes), not looked into yet.
    :raises RefusedAdapterError: with the entry and the rule that it breaks.
    """
    if source.is_dir():
        for name in safety.scan(source, limits=limits):
            files.make_dir((draft / name).parent)
            files.copy(source / name, draft / name)
        return []
    if not source.is_file():
        raise UsageError(f"{source}: no such archive or folder", mend=_FOREIGN)
    return _unpack_tar(source, draft, limits)


def _unpack_tar(source: Path, draft: Path, limits: safety.Limits) -> list[tuple[str, bytes]]:
    try:
        with _Capped(source) as raw, tarfile.open(fileobj=raw, mode="r:") as tar:
            return _unpack_entries(tar, draft, limits)
    # What tarfile raises on malformed bytes is not only its own errors.
    except (tarfile.TarError, ArithmeticError, LookupError, ValueError, RecursionError) as error:
        raise RefusedAdapterError(
            f"{source.name}: not a whole, uncompressed tar archive ({error})", mend=_FOREIGN
        ) from error


def _unpack_entries(
    tar: tarfile.TarFile, draft: Path, limits: safety.Limits
) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    seen = Names()
    total = 0
    for entry, data in _entries(tar):
        name = entry.name
        seen.add(name)
        total += entry.size
        safety.check_amount(len(seen), total, limits)
        place, _, rest = name.partition("/")
        safety.check_kind(name)
        if place == "adapter" and rest:
            _write(draft / rest, entry, data)
        elif place == "records" and PurePosixPath(rest).suffix == ".json":
            found.append((rest, _read(entry, data)))
        else:
            refuse(name, "belongs to neither 'adapter/' nor 'records/'", _FOREIGN)
    return found


class _Capped(io.FileIO):
    """A file of which nobody reads much at once: headers of an archive may claim any size."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0 or size > _BLOCK:
            raise tarfile.ReadError("a header of this archive is oversized")
        return super().read(size) or b""


def _entries(tar: tarfile.TarFile) -> Iterator[tuple[tarfile.TarInfo, IO[bytes]]]:
    """Yield every file in the archive; refuse bad names, links, devices and sparse files."""
    for entry in tar:
        check_path(entry.name)
        # A negative size sends tarfile back to where it came from, for ever.
        if entry.size < 0:
            refuse(entry.name, "claims a negative size")
        if entry.isdir():
            continue
        if not entry.isreg() or entry.issparse():
            refuse(entry.name, _KINDS.get(entry.type, "neither a file nor a folder"))
        data = tar.extractfile(entry)
        assert data is not None
        yield entry, data


def _write(path: Path, entry: tarfile.TarInfo, data: IO[bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    left = entry.size
    with path.open("xb") as out:
        while left and (block := data.read(min(_BLOCK, left))):
            out.write(block)
            left -= len(block)
    if left:
        refuse(entry.name, f"the archive ends {left:,} bytes early", "fetch the archive again")


def _read(entry: tarfile.TarInfo, data: IO[bytes]) -> bytes:
    if entry.size > _BLOCK:
        refuse(entry.name, f"a record of more than {_BLOCK:,} bytes")
    return data.read(entry.size)


def read_claims(found: list[tuple[str, bytes]], manifest: Manifest) -> list[Record]:
    """Return the records of an archive.

    :raises StoreError: one is damaged, or about another adapter.
    """
    claims = [records.read_record(raw, name) for name, raw in found]
    for claim, (name, _) in zip(claims, found, strict=True):
        if claim.adapter != manifest.content_id:
            refuse(name, "is a record of another adapter")
    return sorted(claims, key=lambda claim: claim.number)


def check_base(manifest: Manifest, here: BaseHere | None) -> None:
    """Refuse an adapter whose base is not at hand.

    :raises NotInstalledError: naming the base and its fingerprint.
    """
    if here is not None and not here(manifest.base):
        base = manifest.base
        raise NotInstalledError(
            f"the base model {base.name} (fingerprint {base.fingerprint[:SHORT]}) is not here",
            mend=f"fetch {base.name} first, then import the adapter again",
        )
