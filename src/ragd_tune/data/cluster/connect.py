"""Join a Ray cluster, and refuse one that documents may not go to."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from ragd_tune.data.cluster.work import Cluster
from ragd_tune.errors import NotInstalledError, UsageError

PORT = 6379
"""Where ``ray start --head`` listens."""
LOCAL = "local"
_PATIENCE = 5.0


@contextmanager
def clustered(address: str | None, *, allow_remote: bool = False) -> Iterator[Cluster | None]:
    """Yield the cluster at ``address``, joined until the block ends; None where none is named.

    ``address`` is ``HOST`` or ``HOST:PORT`` of its head, ``auto`` for one that runs on this
    machine, or ``local`` for one that is started here and ends with the block. This machine has to
    be part of it (``ray start`` was run here).

    :raises NotInstalledError: Ray is not installed, or no cluster answers there.
    :raises UsageError: machines of the cluster are others than this one, and ``allow_remote`` is
        not given; or the address is none.
    """
    if address is None:
        yield None
        return
    if find_spec("ray") is None:
        mend = 'pip install "ragd-tune[ray]"'
        raise NotInstalledError("work on several machines needs Ray", mend=mend)
    # Ray reports its use to its makers unless told not to; documents are nobody's business.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray = _joined(address)
    try:
        nodes = [one for one in ray.nodes() if one["Alive"]]
        _stays_here(nodes, ray.util.get_node_ip_address(), allow_remote=allow_remote)
        yield _counted(nodes)
    finally:
        ray.shutdown()


def _joined(address: str) -> Any:
    given = _reached(address)
    import ray.data

    import ray

    # Each run of Ray Data tells its plan and its time; that is not what the user asked for.
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    quiet = {"logging_level": logging.ERROR, "log_to_driver": False}
    try:
        ray.init(address=given, **quiet)
    except (OSError, RuntimeError, ValueError) as error:
        raise _gone(address, str(error).strip().splitlines()[0]) from error
    return ray


def _reached(address: str) -> str:
    """Return what Ray takes as ``address``; Ray itself would look for minutes for one that is gone.

    :raises NotInstalledError: nothing listens there.
    """
    if address in (LOCAL, "auto"):
        return address
    host, _, port = address.rpartition(":") if ":" in address else (address, "", str(PORT))
    if "//" in address or not host or not port.isdigit():
        mend = "write HOST:PORT of the cluster's head, auto, or local"
        raise UsageError(f"{address!r} is no address of a Ray cluster", mend=mend)
    try:
        socket.create_connection((host, int(port)), timeout=_PATIENCE).close()
    except (OSError, OverflowError) as error:
        raise _gone(address, str(error)) from error
    return f"{host}:{port}"


def _gone(address: str, why: str) -> NotInstalledError:
    return NotInstalledError(
        f"no Ray cluster answers at {address} ({why})",
        mend="start one (ray start --head, and ray start --address HEAD:6379 on each machine), or "
        "give --ray local",
    )


def _stays_here(nodes: Sequence[Mapping[str, Any]], here: str, *, allow_remote: bool) -> None:
    others = sorted({str(one["NodeManagerAddress"]) for one in nodes} - {here, "127.0.0.1"})
    if others and not allow_remote:
        raise UsageError(
            f"the cluster has other machines ({', '.join(others[:3])}), and your documents would "
            "be sent there",
            mend="give --allow-remote if that is what you want",
        )


def _counted(nodes: Sequence[Mapping[str, Any]]) -> Cluster:
    rooms = [one["Resources"] for one in nodes]
    cpus = [int(one.get("CPU", 0)) for one in rooms]
    if not any(cpus):
        raise UsageError("the cluster has no worker with a CPU", mend="ray start --address HEAD")
    gpus = sum(int(one.get("GPU", 0)) for one in rooms)
    return Cluster(machines=sum(map(bool, cpus)), cpus=sum(cpus), gpus=gpus)
