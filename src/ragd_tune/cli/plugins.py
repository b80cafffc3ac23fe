"""``ragd-tune plugins`` and ``ragd-tune doctor``: what is here, what runs, what is missing."""

from __future__ import annotations

import importlib.metadata
import platform

import click

from ragd_tune import __version__, errors
from ragd_tune.choose import Offer
from ragd_tune.cli.output import console, show_json, size, table
from ragd_tune.registry import Registry, discover


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def plugins(*, as_json: bool) -> None:
    """Show backends and kinds of model, and what they can do here."""
    registry = discover()
    offers = registry.offers()
    if as_json:
        show_json(_plugins_json(registry, offers))
        return
    table(
        "Plugins",
        ("name", "distribution", "version", "state", "brings"),
        (
            (p.name, p.distribution, p.version, p.error or p.state, _brings(registry, p.name))
            for p in registry.plugins
        ),
    )
    table("Backends", ("name", "here", "why not", "what gets it"), map(_here, offers))
    table("What trains here", ("objective", "tuning", "side", "device", "backend"), _cells(offers))
    table(
        "Kinds of model",
        ("name", "objective", "tunings", "serves", "what it has to beat"),
        (
            (k.name, ", ".join(k.objectives), ", ".join(k.tunings), k.serves, k.incumbent)
            for k in registry.kinds.values()
        ),
    )


def _brings(registry: Registry, plugin: str) -> str:
    brought = registry.brought(plugin)
    return ", ".join(brought) if brought else "nothing yet"


def _here(offer: Offer) -> tuple[str, str, str, str]:
    found = offer.found
    here = "no" if found.reason else ", ".join(found.devices)
    return offer.backend.name, here, found.reason, found.mend


def _cells(offers: list[Offer]) -> list[tuple[str, str, str, str, str]]:
    cells = [
        (cell.objective, cell.tuning, cell.side, cell.device, offer.backend.name)
        for offer in offers
        if not offer.found.reason
        for cell in offer.backend.train_cells
        if cell.device in offer.found.devices
    ]
    return sorted(cells)


def _plugins_json(registry: Registry, offers: list[Offer]) -> dict[str, object]:
    return {
        "plugins": [
            {
                "name": p.name,
                "distribution": p.distribution,
                "version": p.version,
                "state": p.state,
                "error": p.error,
                "brings": list(registry.brought(p.name)),
            }
            for p in registry.plugins
        ],
        "backends": [
            {
                "name": offer.backend.name,
                "devices": list(offer.found.devices),
                "priority": offer.found.priority,
                "reason": offer.found.reason,
                "mend": offer.found.mend,
            }
            for offer in offers
        ],
        "trains_here": [
            dict(zip(("objective", "tuning", "side", "device", "backend"), cell, strict=True))
            for cell in _cells(offers)
        ],
        "kinds": [
            {"name": k.name, "objectives": list(k.objectives), "tunings": list(k.tunings)}
            for k in registry.kinds.values()
        ],
    }


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(*, as_json: bool) -> int:
    """Look at this machine and say what is missing; exit 4 when nothing can train."""
    from ragd_tune.pipeline.planning import memory
    from ragd_tune.store import Store

    registry = discover()
    offers = registry.offers()
    ready = bool(_cells(offers)) and bool(registry.kinds)
    missing = _missing(registry, offers)
    found = {
        "ragd-tune": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "memory": size(memory()) if memory() else "unknown",
        "store": str(Store().root),
        **{name: _version(name) for name in ("torch", "sentence-transformers", "peft", "ragd")},
    }
    if as_json:
        show_json({"found": found, "missing": missing, "ready": ready})
    else:
        table("This machine", ("what", "found"), found.items())
        table("What trains here", ("objective", "tuning", "side", "device", "by"), _cells(offers))
        for what, how in missing:
            console().print(f"missing: {what}\n  → {how}", markup=False)
        console().print("ready to train" if ready else "nothing can train here yet")
    return errors.DONE if ready else errors.NOT_INSTALLED


def _missing(registry: Registry, offers: list[Offer]) -> list[tuple[str, str]]:
    gaps = [(f"{o.backend.name}: {o.found.reason}", o.found.mend) for o in offers if o.found.reason]
    gaps += [
        (
            f"the plugin {p.name} is broken: {p.error}",
            f"pip install --force-reinstall {p.distribution}",
        )
        for p in registry.plugins
        if p.state == "broken"
    ]
    if not registry.backends:
        gaps.append(("a backend", 'pip install "ragd-tune[cpu]"'))
    if not registry.kinds:
        gaps.append(("a kind of model", 'pip install "ragd-tune[all-kinds]"'))
    return gaps


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
