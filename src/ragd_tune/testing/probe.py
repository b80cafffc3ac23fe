"""Asking in a fresh process what a plugin imports and touches; hiding frameworks from it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from ragd_tune.registry import DISABLE, Registry

FRAMEWORKS = [
    *("accelerate", "bitsandbytes", "datasets", "jax", "mlx", "mlx_lm", "numpy", "onnxruntime"),
    *("peft", "scipy", "sentence_transformers", "sklearn", "tensorflow", "tokenizers", "torch"),
    *("transformers", "trl", "unsloth"),
]
"""None of these may be imported to ask a plugin what it brings and can do."""

# The audit hook sees what a question does to the world. NumPy comes with the core, so it may not be
# imported for a question, but is never hidden.
_SCRIPT = """
import importlib, importlib.machinery, json, sys
spec, what, hide, names = json.loads(sys.argv[1])
if hide:
    find = importlib.machinery.PathFinder.find_spec.__func__
    def hidden(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in hide else find(cls, name, path, target)
    importlib.machinery.PathFinder.find_spec = classmethod(hidden)
done, armed = [], []
WORLD = ("subprocess.Popen", "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn",
         "os.startfile", "socket.connect", "socket.getaddrinfo")
def audit(event, arguments):
    if not armed:
        return
    if event in WORLD:
        done.append(event)
    elif event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
        done.append(f"open for writing: {arguments[0]}")
sys.addaudithook(audit)
module, _, make = spec.partition(":")
importlib.import_module("ragd_tune.registry")
before = set(sys.modules)
registry = getattr(importlib.import_module(module), make)()
sys.dont_write_bytecode = True  # what detect() imports is not to count as a file that it writes
armed.append(True)
answer = {}
exec(what)
armed.clear()
imported = sorted((set(sys.modules) - before) & set(names))
print(json.dumps({"imported": imported, "done": done, **answer}))
"""


def probe(
    registry: Registry, registry_from: str, brings: str, what: str, *, hide: bool = False
) -> dict[str, Any]:
    """Run ``what`` in a fresh process with only the plugin that ``brings`` something.

    ``what`` is Python that has ``registry`` and fills the dict ``answer``. Returned is that, with
    ``imported``: frameworks that were, and ``done``: what was done to the world.

    :param registry: this process's registry, which says what the other plugins are.
    :param brings: as :meth:`ragd_tune.registry.Registry.brought` says it: ``backend cpu``.
    :param hide: let no framework be found.
    """
    others = [
        plugin.name for plugin in registry.plugins if brings not in registry.brought(plugin.name)
    ]
    hidden = [name for name in FRAMEWORKS if name != "numpy"] if hide else []
    done = _python([registry_from, what, hidden, FRAMEWORKS], others)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def _python(given: list[object], blocked: Sequence[str]) -> subprocess.CompletedProcess[str]:
    environ = os.environ | {
        DISABLE: ",".join(blocked),
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }
    return subprocess.run(
        [sys.executable, "-c", _SCRIPT, json.dumps(given)],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
