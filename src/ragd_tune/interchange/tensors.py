"""Tensors of an adapter in NumPy: float32 whatever they were stored as."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import safetensors
from safetensors import SafetensorError
from safetensors.numpy import save_file

from ragd_tune.errors import TuneError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FLOATS = {"F64": "<f8", "F32": "<f4", "F16": "<f2"}


def read(path: Path) -> dict[str, NDArray[np.float32]]:
    """Return the tensors of a safetensors file, float32.

    :raises TuneError: the file is damaged, or holds something that is no float.
    """
    try:
        found = safetensors.deserialize(path.read_bytes())
    except (OSError, SafetensorError) as error:
        raise TuneError(f"{path}: cannot be read: {error}", mend="fetch it again") from error
    return {name: _floats(path, name, one) for name, one in found}


def _floats(path: Path, name: str, stored: Mapping[str, object]) -> NDArray[np.float32]:
    kind, data, shape = stored["dtype"], stored["data"], stored["shape"]
    assert isinstance(data, (bytes, bytearray))
    assert isinstance(shape, list)
    if kind == "BF16":  # float32 without its lower half; NumPy has no such type
        raw = np.frombuffer(data, "<u2").astype(np.uint32) << 16
        return raw.view(np.float32).reshape(shape)
    if kind not in _FLOATS:
        raise TuneError(f"{path}: {name} holds {kind}, and weights of an adapter are floats")
    return np.frombuffer(data, _FLOATS[str(kind)]).astype(np.float32).reshape(shape)


def notes(path: Path) -> dict[str, str]:
    """Return the texts that a safetensors file holds beside its tensors."""
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
    return dict(header.get("__metadata__") or {})


def write(
    path: Path,
    tensors: Mapping[str, NDArray[np.float32]],
    *,
    format_: str = "pt",
    notes: Mapping[str, str] | None = None,
) -> None:
    """Write ``tensors`` sorted by name, so that equal adapters are equal bytes.

    :param notes: texts beside the tensors; every library passes over those that it does not know.
    """
    made = {
        name: np.ascontiguousarray(value, np.float32) for name, value in sorted(tensors.items())
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    # The library writes several texts in no fixed order, and equal adapters are to be equal bytes.
    save_file(made, path, metadata=dict(notes) if notes else {"format": format_})
