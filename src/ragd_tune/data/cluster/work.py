"""Blocks of work, handed to the workers of a Ray cluster by Ray Data."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ragd_tune import __version__
from ragd_tune.errors import TuneError, WorkerError, from_json

Columns = Mapping[str, NDArray[Any]]
Hand = Callable[[NDArray[Any]], Columns]
"""Works on one block: its items (texts, or rows of vectors) to columns of equal length."""

WINDOW = 256
"""Blocks that are handed to Ray at a time: it keeps what waits in memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A cluster that this process has joined: how many machines work, and with what."""

    machines: int
    cpus: int
    gpus: int = 0

    def map(
        self,
        make: Callable[[], Hand],
        items: Sequence[str] | NDArray[Any],
        *,
        block: int,
        ordered: bool = True,
        at_once: int = 0,
        gpu: bool = False,
    ) -> Iterator[dict[str, NDArray[Any]]]:
        """Yield what hands make of ``items``, in blocks of ``block`` or in parts of those.

        ``make`` is called once on each worker, in a process of its own. It works on one block at a
        time, one worker for each CPU; with ``gpu``, one for each GPU where there are any. With
        ``at_once``, there is one worker on each machine instead, and so many blocks at a time in
        threads. Blocks come in their order, or else as they are ``ordered``.

        A worker that dies takes the blocks in its hands with it; they are done again by others.

        :raises TuneError: what a hand raised; or a worker has another version of this package.
        :raises WorkerError: a worker failed.
        """
        for start in range(0, len(items), block * WINDOW):
            part = items[start : start + block * WINDOW]
            told = self._told(min(self._size(at_once, gpu=gpu), -(-len(part) // block)), at_once)
            told |= {"num_gpus": 1} if gpu and self.gpus else {"num_cpus": 1}
            yield from _run(make, part, block, ordered=ordered, told=told)

    def _size(self, at_once: int, *, gpu: bool) -> int:
        if at_once:
            return self.machines
        return self.gpus if gpu and self.gpus else self.cpus

    def _told(self, size: int, at_once: int) -> dict[str, Any]:
        """Return the keywords that say how many workers there are."""
        from ray.data import ActorPoolStrategy

        # Pools grow from one: a pool of a fixed size waits for a machine that has died.
        many = {"min_size": 1, "max_size": size, "initial_size": size}
        if at_once:
            many |= {"max_concurrent_calls_per_actor": at_once}
            threads = {"enable_true_multi_threading": True}
            return {"compute": ActorPoolStrategy(**many, **threads)}
        return {"compute": ActorPoolStrategy(**many)}


@dataclass(frozen=True, slots=True)
class Shared:
    """Something that every worker needs: it travels once to each machine.

    Arrays in it lie in memory that the workers of a machine share.
    """

    reference: Any

    @classmethod
    def put(cls, value: object) -> Shared:
        """Hand ``value`` to the cluster."""
        import ray

        return cls(ray.put(value))

    def get(self) -> Any:
        """Return it, on a worker."""
        import ray

        return ray.get(self.reference)


def _run(
    make: Callable[[], Hand],
    items: Sequence[str] | NDArray[Any],
    block: int,
    *,
    ordered: bool,
    told: Mapping[str, Any],
) -> Iterator[dict[str, NDArray[Any]]]:
    from ray.exceptions import RayError

    import ray

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.execution_options.preserve_order = ordered
    rows = _dataset(items, block).map_batches(
        Worker,
        fn_constructor_args=(make, __version__),
        batch_size=None,
        batch_format="numpy",
        **told,
    )
    try:
        for made in rows.iter_batches(batch_size=None, batch_format="numpy", prefetch_batches=0):
            if "fault" in made:
                raise from_json(json.loads(str(made["fault"][0])))
            yield made
    except RayError as error:
        raise _failed(error) from error


def _dataset(items: Sequence[str] | NDArray[Any], block: int) -> Any:
    """Return ``items`` as a dataset of Ray with a block for each ``block`` of them."""
    import pyarrow as pa

    import ray

    parts = [items[start : start + block] for start in range(0, len(items), block)]
    if isinstance(items, np.ndarray):
        return ray.data.from_numpy([np.asarray(part) for part in parts])
    return ray.data.from_arrow([pa.table({"data": pa.array(part)}) for part in parts])


def _failed(error: Exception) -> WorkerError:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return _crashed(f"{type(error).__name__}: {lines[0] if lines else ''}")


def _crashed(why: str) -> WorkerError:
    return WorkerError(
        f"a worker of the cluster failed: {why}",
        mend="every machine needs the same ragd-tune with the same extras, and enough memory",
    )


def _fault(error: TuneError) -> Columns:
    return {"fault": np.array([json.dumps(error.to_json())], dtype=object)}


class Worker:
    """One process on a machine of the cluster. It makes its hand at the first block."""

    def __init__(self, make: Callable[[], Hand], version: str) -> None:
        self._make, self._version = make, version
        self._lock = threading.Lock()
        self._hand: Hand | None = None

    def __call__(self, batch: Columns) -> Columns:
        """Work on one block; what went wrong comes back as the column ``fault``."""
        # Ray would tell of an error with the trace of its own machinery, and lose the mend.
        try:
            return self._ready()(batch["data"])
        except TuneError as error:
            return _fault(error)
        except Exception as error:  # noqa: BLE001 - told over there
            return _fault(_crashed(f"{type(error).__name__}: {error}"))

    def _ready(self) -> Hand:
        with self._lock:
            if self._version != __version__:
                raise TuneError(
                    f"a machine of the cluster has ragd-tune {__version__}, and this one "
                    f"{self._version}",
                    mend="install the same version everywhere",
                )
            if self._hand is None:
                self._hand = self._make()
            return self._hand
