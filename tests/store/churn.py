"""One of several processes that activate and roll back at once: ``churn.py STORE SECONDS SEED``.

Prints, as JSON, the sequence numbers of the changes that this process was told of.
"""

from __future__ import annotations

import json
import random
import sys
import time
from pathlib import Path

from ragd_tune.errors import StoreError
from ragd_tune.store import Store

NAMES = ("one", "two", "three")
SLOT = "embedder"


def act(store: Store, chance: random.Random) -> int | None:
    """Change the slot once; return the number of the change that is then in force.

    An adapter that serves already is left as it is: the number is then that of another's change.
    """
    if chance.random() < 0.6:
        return store.activate(chance.choice(NAMES), SLOT).sequence
    try:
        return store.rollback(SLOT).sequence
    except StoreError as error:
        if "nothing to roll back" not in error.message:
            raise
        return None


def look(store: Store) -> None:
    """Fail if what a reader sees, without a lock, is not a whole state."""
    active = store.active(SLOT)
    if active is not None and store.get(active.id or "").id != active.id:
        raise AssertionError("the active adapter is not there")
    previous = None
    for entry in store.history():
        if entry.previous != previous:
            raise AssertionError(f"change {entry.sequence} does not follow the one before it")
        previous = entry.id


def main(home: Path, seconds: float, seed: int) -> list[int]:
    store, chance = Store(home), random.Random(seed)
    made: list[int] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end or not made:
        number = act(store, chance)
        made += [number] if number else []
        look(store)
    return made


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]))))
