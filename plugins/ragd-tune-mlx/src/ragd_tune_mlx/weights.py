"""A model's tensors from safetensors, and back so that equal ones are equal bytes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import mlx.core as mx
import numpy as np
from safetensors.numpy import save_file

from ragd_tune.errors import TuneError
from ragd_tune.models.folder import modules

Arrays = dict[str, mx.array]


def read(folder: Path, place: str = "") -> Arrays:
    """Return the tensors of the module in ``folder / place`` by their names in the file.

    They are read at once: a folder that is moved or removed later changes nothing.

    :raises TuneError: there are none in safetensors, or a file cannot be read.
    """
    part = next(part for part in modules(folder) if part.place == place)
    if not part.weights:
        raise TuneError(
            f"{folder / place}: holds no weights in safetensors",
            mend="choose a revision with model.safetensors, or convert it where you trust it",
        )
    found: Arrays = {}
    for name in part.weights:
        path = folder / place / name
        try:
            found |= mx.load(str(path))
            mx.eval(found)
        except (RuntimeError, ValueError) as error:
            raise TuneError(f"{path}: cannot be read: {error}") from error
    return found


def write(path: Path, arrays: Mapping[str, mx.array]) -> None:
    """Write ``arrays`` to ``path`` in float32, sorted by name."""
    made = {name: as_numpy(value) for name, value in sorted(arrays.items())}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(made, path, metadata={"format": "pt"})


def as_numpy(value: mx.array) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Return a copy in NumPy, float32."""
    return np.array(value.astype(mx.float32), copy=True)
