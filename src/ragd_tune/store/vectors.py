"""Vectors that a base model made before: ``cache/vectors`` under the store's root.

They only save time. A file that is damaged, or is not what its name says, is passed over and made
again; beyond :data:`LIMIT` those that were not used for longest go; the folder may be deleted at
any time.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_log = logging.getLogger(__name__)

LIMIT = 1 << 30
"""Bytes of all files together: about 700,000 vectors of 384 floats."""
_NAME = "vectors"
_DIGEST = "sha256"


class VectorCache:
    """Arrays of float32 (n, dimension) by a key that says what they are, a sha256 in hex.

    :param folder: where they lie; it is made when something is first kept.
    :param limit: bytes that all of them may take.
    """

    def __init__(self, folder: Path, *, limit: int = LIMIT) -> None:
        self.folder = folder
        self.limit = limit

    def get(self, key: str) -> NDArray[np.float32] | None:
        """Return what is kept under ``key``, every byte checked; None if there is nothing sound."""
        path = self._path(key)
        try:
            found = _read(path, key)
        except FileNotFoundError:
            return None
        except Exception as error:  # noqa: BLE001 - whatever is wrong with it, it is made again
            _log.warning("%s is passed over: %s", path.name, error)
            return None
        with contextlib.suppress(OSError):
            os.utime(path)  # the order in which they go
        return found

    def put(self, key: str, values: NDArray[np.float32]) -> None:
        """Keep ``values`` under ``key``; a disk that refuses is logged and costs nothing else."""
        from safetensors.numpy import save

        if values.nbytes > self.limit:
            return
        raw = save({_NAME: values}, metadata={"key": key, _DIGEST: _digest(values)})
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            _replace(self._path(key), raw)
            self._trim()
        except OSError as error:
            _log.warning("vectors were not kept in %s: %s", self.folder, error)

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.safetensors"

    def _trim(self) -> None:
        """Remove the files that were not used for longest, until the rest fits."""
        found = []
        for path in self.folder.glob("*.safetensors"):
            with contextlib.suppress(OSError):  # another process may be trimming, too
                stat = path.stat()
                found.append((stat.st_mtime_ns, stat.st_size, path))
        total = sum(size for _, size, _ in found)
        for _, size, path in sorted(found):
            if total <= self.limit:
                return
            path.unlink(missing_ok=True)
            total -= size


def _read(path: Path, key: str) -> NDArray[np.float32]:
    """Return the vectors in ``path``.

    :raises ValueError: they are not those of ``key``, or not as they were written.
    """
    import numpy as np
    from safetensors import safe_open

    with safe_open(path, framework="np") as file:
        told = file.metadata() or {}
        values: NDArray[np.float32] = file.get_tensor(_NAME)
    if told.get("key") != key or values.dtype != np.float32 or values.ndim != 2:
        raise ValueError("it holds something else")
    if told.get(_DIGEST) != _digest(values):
        raise ValueError("its bytes have changed")
    return values


def _digest(values: NDArray[np.float32]) -> str:
    import numpy as np

    sha = hashlib.sha256(str(values.shape).encode())
    sha.update(np.ascontiguousarray(values).data)
    return sha.hexdigest()


def _replace(path: Path, raw: bytes) -> None:
    handle, name = tempfile.mkstemp(prefix=".", suffix=".part", dir=path.parent)
    draft = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(raw)
        draft.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise
