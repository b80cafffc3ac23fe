"""Reading safetensors as data from a stranger: the header is checked before any library sees it.

Layout (the format's own description): 8 bytes, little-endian, the header's length N; N bytes of
JSON ``{name: {dtype, shape, data_offsets: [begin, end]}, "__metadata__": {text: text}}``; then the
tensors' bytes, without holes, to the end of the file.
"""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from ragd_tune.errors import RefusedAdapterError

# Bits an element. The format's own list; anything else is unknown to the library as well.
_BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "F8_E5M2": 8, "F8_E4M3": 8,
    "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16,
    "I32": 32, "U32": 32, "F32": 32, "I64": 64, "U64": 64, "F64": 64, "C64": 64,
}  # fmt: skip
# A number is NaN or infinite where all bits of its exponent are set (IEEE 754, and bfloat16, which
# cuts float32 in half). F8_E4M3 has no infinity: only the pattern of seven ones is NaN.
_EXPONENT = {
    "F64": ("<u8", 0x7FF0_0000_0000_0000),
    "F32": ("<u4", 0x7F80_0000),
    "C64": ("<u4", 0x7F80_0000),
    "BF16": ("<u2", 0x7F80),
    "F16": ("<u2", 0x7C00),
    "F8_E5M2": ("u1", 0x7C),
    "F8_E4M3": ("u1", 0x7F),
}
_SIZE_FIELD = 8
_BLOCK = 1 << 22
MAX_HEADER = 25_000_000
"""Bytes of JSON. The library stops at 100 MB; parsed, that is gigabytes. 60,000 tensors take 7."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """One tensor as the header describes it; ``begin`` and ``end`` count from the file's start."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


def check_weights(path: Path, *, max_header: int = MAX_HEADER) -> None:
    """Refuse a safetensors file that is malformed, or that holds NaN or infinity.

    :raises RefusedAdapterError: with the rule that the file breaks.
    """
    tensors = read_header(path, max_header=max_header)
    _ask_the_library(path)
    for tensor in tensors:
        _check_finite(path, tensor)


def read_header(path: Path, *, max_header: int = MAX_HEADER) -> tuple[Tensor, ...]:
    """Return the tensors of a safetensors file, in the order of their bytes.

    :raises RefusedAdapterError: the header is oversized, malformed, or at odds with the file.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(_SIZE_FIELD), "little")
        if size < _SIZE_FIELD + 2:
            _refuse(path, "too short for a safetensors header")
        if length > max_header:
            _refuse(path, f"header of {length:,} bytes is oversized; the limit is {max_header:,}")
        if _SIZE_FIELD + length > size:
            _refuse(path, f"header of {length:,} bytes is longer than the file ({size:,} bytes)")
        header = _parse(path, file.read(length))
    _check_metadata(path, header.pop("__metadata__", {}))
    start = _SIZE_FIELD + length
    tensors = (_tensor(path, name, entry, start) for name, entry in header.items())
    return _check_layout(path, sorted(tensors, key=lambda one: (one.begin, one.end)), start, size)


def _parse(path: Path, raw: bytes) -> dict[str, object]:
    """Return the header as a dictionary; a name that comes twice is refused."""

    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        found = dict(pairs)
        if len(found) < len(pairs):
            _refuse(path, "header names a tensor or a field twice")
        return found

    if not raw.startswith(b"{"):
        _refuse(path, "header does not start with '{'")
    try:
        header = json.loads(raw.decode("utf-8"), object_pairs_hook=unique)
    except (ValueError, RecursionError):
        _refuse(path, "header is not JSON")
    assert isinstance(header, dict)
    return header


def _check_metadata(path: Path, metadata: object) -> None:
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        _refuse(path, "header's __metadata__ is not text by name")


def _tensor(path: Path, name: str, entry: object, start: int) -> Tensor:
    """Return one entry of the header, checked on its own."""
    shown = ascii(name[:80])
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        _refuse(path, f"tensor {shown} needs dtype, shape and data_offsets, and nothing else")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _BITS:
        _refuse(path, f"tensor {shown} has the unknown dtype {ascii(dtype)[:40]}")
    if not _sizes(shape) or not _sizes(offsets) or len(offsets) != 2:
        _refuse(path, f"tensor {shown} has a shape or offsets that are not sizes")
    begin, end = offsets
    if math.prod(shape) * _BITS[dtype] != (end - begin) * 8:
        _refuse(path, f"tensor {shown}: dtype and shape do not make {end - begin:,} bytes")
    return Tensor(name=name, dtype=dtype, shape=tuple(shape), begin=start + begin, end=start + end)


def _sizes(value: object) -> bool:
    """Say whether ``value`` is a list of whole numbers that fit 63 bits."""
    return (
        isinstance(value, list)
        and len(value) <= 64
        and all(type(one) is int and 0 <= one < 1 << 63 for one in value)
    )


def _check_layout(path: Path, tensors: list[Tensor], start: int, size: int) -> tuple[Tensor, ...]:
    """Refuse holes, overlaps and bytes that no tensor owns."""
    for tensor, last in itertools.zip_longest(tensors, [start, *(t.end for t in tensors)]):
        if tensor is None:
            if last != size:
                _refuse(path, f"tensors end at byte {last:,}, the file at {size:,}")
        elif tensor.begin < last:
            _refuse(path, f"tensor {tensor.name[:80]!a} overlaps the one before it")
        elif tensor.begin > last:
            _refuse(path, f"there are bytes before {tensor.name[:80]!a} that no tensor owns")
    return tuple(tensors)


def _ask_the_library(path: Path) -> None:
    """Refuse what the library that loads it would refuse."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np"):
            pass
    except SafetensorError as error:
        _refuse(path, f"the safetensors library refuses it: {error}")


def _check_finite(path: Path, tensor: Tensor) -> None:
    """Refuse NaN and infinity; reads 4 MiB at a time, so that memory stays bounded."""
    if tensor.dtype not in _EXPONENT:
        return
    import numpy as np

    word, mask = _EXPONENT[tensor.dtype]
    with path.open("rb") as file:
        file.seek(tensor.begin)
        for at in range(tensor.begin, tensor.end, _BLOCK):
            block = np.frombuffer(file.read(min(_BLOCK, tensor.end - at)), dtype=word)
            if bool(((block & mask) == mask).any()):
                _refuse(path, f"tensor {tensor.name[:80]!a} holds NaN or infinity")


def _refuse(path: Path, why: str) -> NoReturn:
    raise RefusedAdapterError(
        f"{path.name}: {why}", mend="fetch the file again, or train the adapter again"
    )
