"""A host and ragd-tune in every order, killed anywhere: no vector meets those of another space.

Run as a script: ``orders.py SCENE STANDIN BASE [SITE]``; with SITE the hook is in place. STANDIN is
``real`` where ragd itself is installed. Every query and every insert that reaches Chroma is looked
at, and compared with what lies in the index already: the texts are known, so the vectors tell by
themselves which model made them.
"""

from __future__ import annotations

import itertools
import os
import site
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest import mock

SCENE, STANDIN, BASE = sys.argv[1:4]
REAL, HOOKED = STANDIN == "real", len(sys.argv) > 4
for folder in (*([] if REAL else [STANDIN]), *sys.argv[4:]):
    site.addsitedir(folder)
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ragd.config import load_config  # noqa: E402
from ragd.ingestion.pipeline import index_document  # noqa: E402
from ragd.search import hybrid  # noqa: E402
from tests.ragd import watching  # noqa: E402
from tests.ragd.watching import MET, QUERY  # noqa: E402

from ragd_tune.errors import StoreError  # noqa: E402
from ragd_tune.pipeline import hosting  # noqa: E402
from ragd_tune.pipeline.host_plan import plan_activation  # noqa: E402
from ragd_tune.pipeline.host_status import host_status  # noqa: E402
from ragd_tune.pipeline.workshop import workshop  # noqa: E402
from ragd_tune.ragd import hooking  # noqa: E402
from ragd_tune.store import Store, files  # noqa: E402

# The hook is not in this Python's own site-packages.
mock.patch.object(hooking, "is_enabled", return_value=HOOKED).start()
HOME = Path.home() / ".ragd"
CONFIG = HOME / "config.yaml"
STEP = int(os.environ.get("STEP", "1"))
ORDERS = "123412314231243121342132413214321"
"""Every order of four steps is somewhere in it: the shortest such sequence."""

SAID = "where boats lie at night and nobody is awake to see them"  # ragd takes no shorter text
_number = itertools.count()
watching.begin(BASE)


def open_store(config: Any) -> Any:
    """Open the index as ragd does before it puts a document in."""
    if REAL:
        return import_module("ragd.storage").ChromaStore(config.chroma_path)
    return hybrid.open_store(config)


def activate(name: str) -> None:
    """Activate as the command does."""
    shop = workshop()
    hosting.carry_out(shop, plan_activation(shop, name))


def index() -> None:
    """Index one more document, as ``ragd index`` does: by the configuration as it is now."""
    path = HOME.parent / f"late-{os.getpid()}-{next(_number)}.txt"
    path.write_text(f"{path.stem} at the harbour, {SAID}", encoding="utf-8")
    config = load_config()
    done = index_document(path, open_store(config), config)
    assert not REAL or (done.success and not done.skipped), done


def search() -> None:
    """Search once, as ``ragd search`` does."""
    assert hybrid.HybridSearcher(load_config()).search(QUERY)


def allowed(call: Callable[[], object], words: str) -> None:
    """Call; a refusal that says ``words`` is right, and any other is not."""
    try:
        call()
    except StoreError as error:
        if words not in f"{error.message} {error.mend}":
            raise


def roll_back() -> None:
    """Roll back; where nothing is left to undo, nothing happens."""
    allowed(lambda: hosting.roll_back(workshop()), "nothing to roll back")


def attempt(name: str) -> None:
    """Activate; a query adapter on top of another space is refused."""
    allowed(lambda: activate(name), "go back to the base first")


def every_order() -> None:
    """Go through every order of the four steps; the long-lived searcher looks on, if it can."""
    names = itertools.cycle(("one", "two", "asks") if HOOKED else ("one", "two"))
    lives = hybrid.HybridSearcher(load_config())
    steps: dict[str, Callable[[], None]] = {
        "1": lambda: attempt(next(names)), "2": index, "3": search,
        "4": roll_back,
    }  # fmt: skip
    for step in ORDERS:
        steps[step]()
        if HOOKED:
            assert lives.search(QUERY)
    assert MET.count("add") == ORDERS.count("2")
    assert not [one for one in host_status(workshop()).warnings if "holds vectors" in one]


def in_child(call: Callable[[], object]) -> int:
    """Run ``call`` in a process of its own; return its wait status."""
    child = os.fork()
    if not child:
        try:
            call()
            os._exit(0)
        except BaseException as error:  # noqa: BLE001 - nothing may return twice
            sys.stderr.write(f"{type(error).__name__}: {error}\n")
            os._exit(1)
    return os.waitpid(child, 0)[1]


def killed_anywhere() -> None:
    """Kill an activation, and its rollback, at every STEP-th point; search and index after each."""
    make_ready()
    before = CONFIG.read_bytes()
    for action, begin in (("activate", lambda: None), ("rollback", lambda: activate("one"))):
        done = False
        for point in range(1, 400, STEP):
            if action == "activate":
                clean(before)
            assert in_child(begin) == 0
            done = in_child(lambda: killed(action, point)) == 0  # noqa: B023 - called at once
            assert in_child(search) == in_child(index) == 0, (action, point)
            assert in_child(lambda: finish(action, before)) == 0, (action, point)  # noqa: B023
            if done:
                break
        assert done, action
        sys.stdout.write(f"{action} {point}\n")


def make_ready() -> None:
    """Import and load once what every child would: two thirds of its time. No index is opened."""
    for name in (*(["sentence_transformers"] if REAL else []), "chromadb.api.rust"):
        import_module(name)
    watching.models()


def killed(action: str, point: int) -> None:
    """Do it, and die at a point."""
    files.inject(files.die_at(point))
    if action == "activate":
        activate("one")
    else:
        hosting.roll_back(workshop())


def finish(action: str, before: bytes) -> None:
    """Do it again, to the end, and go back to where everything began."""
    if action == "activate":
        activate("one")
        search()
    roll_back()
    search()
    roll_back()
    assert CONFIG.read_bytes() == before


def clean(before: bytes) -> None:
    """Take away what an earlier try made, so that every point is met again."""
    assert CONFIG.read_bytes() == before
    store = Store()
    for path in (store.view_dir(store.get("one").id), *HOME.glob("chroma-*")):
        if path.exists():
            files.remove_tree(path)


def at_once() -> None:
    """Search and index here while another process switches to and fro.

    Whoever is overtaken by two switches may be refused an index that is in the making again.
    """
    lives = hybrid.HybridSearcher(load_config())
    command = [sys.executable, __file__, "to-and-fro", *sys.argv[2:]]
    with subprocess.Popen(command) as other:
        while other.poll() is None:
            allowed(search, "is not finished")
            if MET.count("add") < 8:
                allowed(index, "is not finished")
            if HOOKED:
                allowed(lambda: lives.search(QUERY), "is not finished")
    assert lives.search(QUERY)
    assert other.returncode == 0
    sys.stdout.write(f"{len(MET)}\n")


def to_and_fro() -> None:
    """Switch over and back."""
    for name in ("one", "two", "one"):
        activate(name)
        roll_back()


SCENES = {
    "every-order": every_order,
    "killed-anywhere": killed_anywhere,
    "at-once": at_once,
    "to-and-fro": to_and_fro,
}

if __name__ == "__main__":
    SCENES[SCENE]()
