"""The page of what each backend trains and serves, and of the tests that run it."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from tools.reference.markdown import table
from tools.reference.pages import ROOT, registry

from ragd_tune.backends import Backend
from ragd_tune.plan import Device, Side

SUITES = {
    ("cpu", ""): "tests/cpu/test_backend_suite.py",
    ("mlx", ""): "tests/mlx/test_backend_suite.py",
    ("unsloth", ""): "tests/unsloth/encoders/test_backend_suite.py",
    ("unsloth", "causal_lm"): "tests/unsloth/language/test_backend_suite.py",
}
"""The conformance suite of each backend: it makes the same tests for every cell that runs."""

_LMS = "tests/mlx/test_language_models.py"
_WHOLE = "test_what_is_tuned_whole_is_a_folder_that_transformers_loads"

OWN = {
    ("cpu", "contrastive", "full", "query"): "tests/cpu/test_query_side.py::"
    "test_a_whole_model_serves_queries_beside_the_bare_base",
    ("mlx", "causal_lm", "dora", "both"): f"{_LMS}::"
    "test_each_of_twenty_steps_has_the_loss_of_cpu_and_so_has_what_was_held_out[dora]",
    ("mlx", "causal_lm", "full", "both"): f"{_LMS}::{_WHOLE}",
    ("mlx", "causal_lm", "qlora", "both"): f"{_LMS}::"
    "test_an_adapter_on_four_bits_fits_those_numbers_and_no_others",
    ("mlx", "relevance", "full", "both"): "tests/mlx/test_rerankers.py::"
    "test_a_reranker_that_cpu_tuned_whole_is_served",
}
"""Cells with a test of their own: a format that is only served, or a suite too long for CI."""

MAKES = {"base": "", "peft": "lora", "full": "full", "map": "map"}
"""The tuning whose suite writes a format and loads it again; a base is loaded beside any."""

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
        "What each backend declares, and the test that runs it, as pytest takes it. The tests of "
        "a line run on the device in bold, each backend's in its own environment (`tox -e py`, "
        "`mlx`, `unsloth`), all in CI, which also checks that none of them is missing. On the "
        "other devices the code is the same, and no test was run. Unsloth's encoders run on a "
        "processor that it takes for a GPU. What is not here is refused, with the names of those "
        "that have it.",
        "## Training",
        table(
            ("backend", "objective", "tuning", "side", "devices", "tests"),
            [line for one in known for line in _trained(one)],
        ),
        "## Serving",
        "The format `base` is a bare base model, `peft` an adapter on it, `full` a tuned folder, "
        "`map` a matrix behind the base. On the side `query` documents go through the bare base.",
        table(
            ("backend", "objective", "format", "side", "devices", "tests"),
            [line for one in known for line in _served(one)],
        ),
    ]
    return "\n\n".join(parts)


def _trained(backend: Backend) -> Iterable[tuple[str, ...]]:
    groups: dict[tuple[str, str, Side], list[Device]] = {}
    for cell in sorted(backend.train_cells):
        groups.setdefault((cell.objective, cell.tuning, cell.side), []).append(cell.device)
    for (objective, tuning, side), devices in groups.items():
        names = (f"`{one}`" for one in (backend.name, objective, tuning, side))
        test = proof(backend.name, objective, tuning, side)
        yield (*names, _devices(backend, objective, devices), test)


def _served(backend: Backend) -> Iterable[tuple[str, ...]]:
    groups: dict[tuple[str, str, Side], list[Device]] = {}
    for cell in sorted(backend.serve_cells, key=lambda one: (one.objective, one.format, one.side)):
        groups.setdefault((cell.objective, cell.format, cell.side), []).append(cell.device)
    trained = {(cell.objective, cell.tuning, cell.side) for cell in backend.train_cells}
    for (objective, format_, side), devices in groups.items():
        names = (f"`{one}`" for one in (backend.name, objective, format_, side))
        test = _serving(backend.name, objective, format_, side, trained)
        yield (*names, _devices(backend, objective, devices), test)


def _serving(
    backend: str, objective: str, format_: str, side: Side, trained: Collection[tuple[str, ...]]
) -> str:
    """Return the test that loads a format: that of a tuning which writes it, if it is trained.

    :raises SystemExit: the format is not written by this backend, and no other test is named.
    """
    tuning = MAKES.get(format_)
    if not tuning:
        some = [one for one in trained if one[0] == objective]
        return proof(backend, *min(some, key=lambda one: (one[1] != "lora", one)))
    here = (objective, tuning, side)
    if here not in trained and (backend, *here) not in OWN:
        raise SystemExit(f"{backend}: nothing here makes {objective} in format {format_}")
    return proof(backend, objective, tuning, side)


def _devices(backend: Backend, objective: str, found: Iterable[str]) -> str:
    run = SPOOFED.get((backend.name, objective)) or RUN.get(backend.name)
    there = set(found)
    return ", ".join(f"**{one}**" if one == run else one for one in ORDER if one in there)


def proof(backend: str, objective: str, tuning: str, side: str) -> str:
    """Return the test that runs a cell, as Markdown: a test, or a suite and its word for ``-k``.

    That it is collected, and is no test left out of CI, is checked in the backend's environment
    (``test_matrix.py``).

    :raises SystemExit: there is none: a cell without a test is no cell.
    """
    own = OWN.get((backend, objective, tuning, side), "")
    suite = SUITES.get((backend, objective)) or SUITES.get((backend, ""), "")
    file = own.partition("::")[0] or suite
    if not (file and (ROOT / file).is_file()):
        raise SystemExit(f"{backend}: {objective} is declared, and no test is named that runs it")
    return f"`{own}`" if own else f"`{suite} -k {objective}-{tuning}-{side}-cpu`"
