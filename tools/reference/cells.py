"""The page of what each backend trains and serves, and of the tests that run it."""

from __future__ import annotations

from collections.abc import Iterable

from tools.reference.markdown import table
from tools.reference.pages import ROOT, registry

from ragd_tune.backends import Backend, ServeCell, TrainCell

SUITES = {
    "cpu": "tests/cpu/test_backend_suite.py",
    "mlx": "tests/mlx/test_backend_suite.py",
    "unsloth": "tests/unsloth/encoders/test_backend_suite.py",
}
"""The conformance suite of each backend: it makes the same tests for every cell that runs."""

OWN = {
    ("unsloth", "causal_lm"): "tests/unsloth/language/test_backend_suite.py",
}
"""Cells whose tests are not, or not yet, the suite's."""

RUN = {"cpu": "cpu", "mlx": "cpu", "unsloth": "cpu"}
"""The device on which the tests run a backend."""

SPOOFED = {("unsloth", "contrastive"): "cuda"}
"""Cells that run on a processor which the library takes for another device."""

ORDER = ("cpu", "cuda", "mps")


def backends_page() -> str:
    """Return the matrix of backend, objective, tuning and device, each with its test."""
    known = registry().backends.values()
    parts = [
        "# Backends",
        "What each backend declares, and the test that runs it. The tests of a line run on the "
        "device in bold, each backend's in its own environment (`tox -e py`, `mlx`, `unsloth`), "
        "all in CI. On the other devices the code is the same, and no test was run. Unsloth's "
        "encoders run on a processor that it takes for a GPU. What is not here is refused, with "
        "the names of those that have it.",
        "## Training",
        table(
            ("backend", "objective", "tuning", "side", "devices", "tests"),
            [line for one in known for line in _trained(one)],
        ),
        "## Serving",
        "The format `base` is a bare base model, `peft` an adapter on it, `full` a tuned folder.",
        table(
            ("backend", "objective", "formats", "devices", "tests"),
            [line for one in known for line in _served(one)],
        ),
    ]
    return "\n\n".join(parts)


def _trained(backend: Backend) -> Iterable[tuple[str, ...]]:
    groups: dict[tuple[str, str, str], list[TrainCell]] = {}
    for cell in sorted(backend.train_cells):
        groups.setdefault((cell.objective, cell.tuning, cell.side), []).append(cell)
    for (objective, tuning, side), cells in groups.items():
        devices = _devices(backend, objective, [cell.device for cell in cells])
        names = (f"`{one}`" for one in (backend.name, objective, tuning, side))
        yield (*names, devices, proof(backend.name, objective))


def _served(backend: Backend) -> Iterable[tuple[str, ...]]:
    groups: dict[str, list[ServeCell]] = {}
    for cell in sorted(backend.serve_cells):
        groups.setdefault(cell.objective, []).append(cell)
    for objective, cells in groups.items():
        formats = ", ".join(f"`{one}`" for one in sorted({cell.format for cell in cells}))
        devices = _devices(backend, objective, [cell.device for cell in cells])
        test = proof(backend.name, objective)
        yield f"`{backend.name}`", f"`{objective}`", formats, devices, test


def _devices(backend: Backend, objective: str, found: Iterable[str]) -> str:
    run = SPOOFED.get((backend.name, objective)) or RUN.get(backend.name)
    there = set(found)
    return ", ".join(f"**{one}**" if one == run else one for one in ORDER if one in there)


def proof(backend: str, objective: str) -> str:
    """Return the test file that runs the backend's cells of ``objective``, as Markdown.

    :raises SystemExit: there is none: a cell without a test is no cell.
    """
    name = OWN.get((backend, objective)) or SUITES.get(backend, "")
    if not name or not (ROOT / name).is_file():
        raise SystemExit(f"{backend}: {objective} is declared, and no test is named that runs it")
    return f"`{name}`"
