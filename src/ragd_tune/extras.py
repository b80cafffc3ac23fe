"""What an extra brings, and how it is said that it is not here."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec

from ragd_tune.errors import NotInstalledError


def need(modules: Iterable[str], *, extra: str, why: str) -> None:
    """Return where every module is here.

    :param why: what they are for, as it ends the message: "they run exported models".
    :raises NotInstalledError: one is not; names those, and the extra that brings them.
    """
    missing = [name for name in modules if find_spec(name) is None]
    if missing:
        raise NotInstalledError(
            f"{' and '.join(missing)} not installed: {why}",
            mend=f'pip install "ragd-tune[{extra}]"',
        )
