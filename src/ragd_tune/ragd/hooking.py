"""The opt-in hook, put into and taken out of the environment that ragd runs in.

Two files in ``site-packages``: ``ragd_tune_host.pth``, which Python reads at start-up, and the tiny
module that it imports, which only waits for ragd to be imported. Nothing of ragd's is changed.
"""

from __future__ import annotations

import sysconfig
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from ragd_tune.errors import NotInstalledError, StoreError, UsageError

TESTED = ("1.0.10",)
"""Versions of ragd that the hook was tested with."""
POINTER = "ragd_tune_host.pth"
MODULE = "_ragd_tune_host.py"
_TEMPLATE = Path(__file__).with_name("hook_module.py")


@dataclass(frozen=True, slots=True, kw_only=True)
class HookState:
    """Whether the hook is in place, where, and for which ragd.

    ``state`` is ``stale`` where the files are there and are not what this version writes.
    """

    state: Literal["enabled", "disabled", "stale"]
    place: Path
    ragd: str | None
    tested: bool


def hook_state(place: Path | None = None) -> HookState:
    """Look at the environment of this Python."""
    place = place or site_packages()
    version = ragd_version()
    there = {name: _read(place / name) for name in (POINTER, MODULE)}
    if not any(one is not None for one in there.values()):
        state: Literal["enabled", "disabled", "stale"] = "disabled"
    else:
        state = "enabled" if there == _wanted() else "stale"
    return HookState(state=state, place=place, ragd=version, tested=version in TESTED)


def is_enabled(place: Path | None = None) -> bool:
    """Say whether ragd asks the provider here."""
    found = hook_state(place)
    return found.state == "enabled" and found.tested


def enable(place: Path | None = None) -> bool:
    """Put the hook in place; return whether anything changed.

    :raises NotInstalledError: ragd is not in this environment.
    :raises UsageError: ragd's version is not one that was tested.
    :raises StoreError: the environment cannot be written.
    """
    found = hook_state(place)
    if found.ragd is None:
        raise NotInstalledError(
            "ragd is not installed in this environment, and the hook works inside ragd's process",
            mend="install ragd-tune where ragd is, and run `ragd-tune host enable` there",
        )
    if not found.tested:
        raise UsageError(
            f"ragd {found.ragd} is not one that the hook was tested with: {', '.join(TESTED)}",
            mend="use the configuration instead (`ragd-tune adapters activate NAME`), or pip "
            'install "ragd==' + TESTED[-1] + '"',
        )
    if found.state == "enabled":
        return False
    try:
        # The pointer last: Python would complain about a module that is not there yet.
        for name in (MODULE, POINTER):
            raw = _wanted()[name]
            assert raw is not None
            (found.place / name).write_bytes(raw)
    except OSError as error:
        disable(found.place)
        raise StoreError(
            f"{found.place}: cannot be written: {error}", mend="use an environment of your own"
        ) from error
    return True


def disable(place: Path | None = None) -> bool:
    """Take the hook out again, to the last byte; return whether anything changed."""
    place = place or site_packages()
    names = [place / POINTER, place / MODULE]
    names += sorted((place / "__pycache__").glob(f"{MODULE.removesuffix('.py')}.*.pyc"))
    there = [path for path in names if path.exists()]
    for path in there:
        path.unlink()
    return bool(there)


def site_packages() -> Path:
    """Return the folder in which this Python looks for pointers at start-up."""
    return Path(sysconfig.get_paths()["purelib"])


def ragd_version() -> str | None:
    """Return the version of ragd in this environment, None without one; ragd is not imported."""
    try:
        return metadata.version("ragd")
    except metadata.PackageNotFoundError:
        return None


def _wanted() -> dict[str, bytes | None]:
    pointer = f"import {MODULE.removesuffix('.py')}\n".encode()
    return {POINTER: pointer, MODULE: _TEMPLATE.read_bytes()}


def _read(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None
