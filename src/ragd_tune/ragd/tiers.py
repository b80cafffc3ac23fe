"""ragd's hardware tiers: minimal, standard, high, extreme.

ragd sorts machines by their memory alone: below 8, 16 and 32 GiB (its ``hardware_thresholds``).
The tier that its configuration notes stands; else ragd's own detection is asked where ragd is
installed; else the memory of this machine is looked at.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from ragd_tune.errors import TuneError
from ragd_tune.kinds import Tier
from ragd_tune.ragd import configfile
from ragd_tune.ragd.facts import dig

TIERS: tuple[Tier, ...] = ("minimal", "standard", "high", "extreme")
LIMITS = (8.0, 16.0, 32.0)
"""GiB of memory below which a machine is of the tier at the same place."""


_SMALL, _LARGE = "all-MiniLM-L6-v2", "all-mpnet-base-v2"
BASES: Mapping[Tier, str] = {
    "minimal": _SMALL,
    "standard": _SMALL,
    "high": _LARGE,
    "extreme": _LARGE,
}
"""The embedder that ragd recommends for each tier."""


def tier_of(memory: float, limits: tuple[float, float, float] = LIMITS) -> Tier:
    """Return the tier of a machine with ``memory`` GiB."""
    below = (name for name, limit in zip(TIERS, limits, strict=False) if memory < limit)
    return next(below, "extreme")


def find_tier(config: object = None) -> Tier:
    """Return this machine's tier: as ragd noted it, as ragd detects it, or by its memory."""
    noted = dig(config, ("hardware", "tier")) if config is not None else None
    name = str(getattr(noted, "value", noted))
    if name in TIERS:
        return TIERS[TIERS.index(name)]
    if find_spec("ragd") is not None:
        found = import_module("ragd.hardware").detect_hardware()
        return TIERS[TIERS.index(found.tier.value)]
    return tier_of(memory())


def tier_here(path: Path) -> Tier:
    """Return this machine's tier; ragd's configuration at ``path`` is asked first, if it is there.

    One that cannot be read notes nothing: whoever needs more of it says what is wrong.
    """
    try:
        return find_tier(configfile.parse(configfile.read(path), str(path)))
    except TuneError:
        return find_tier()


def memory() -> float:
    """Return this machine's memory in GiB; 8, the middle of the road, where it cannot be told."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    except (AttributeError, ValueError, OSError):
        return LIMITS[0]
