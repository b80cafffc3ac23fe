"""Which backend trains, which serves: pure functions over what the backends declare."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from ragd_tune.backends import Availability, Backend, ServeCell, TrainCell
from ragd_tune.errors import NoBackendError
from ragd_tune.plan import BaseModel, Device, Side

DEVICES: tuple[Device, ...] = ("cuda", "mps", "cpu")


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A backend and what it found on this machine."""

    backend: Backend
    found: Availability


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A backend, and the device it is to use."""

    backend: Backend
    device: Device


def choose_trainer(
    offers: Iterable[Offer],
    *,
    objective: str,
    tuning: str,
    side: Side = "both",
    device: Device | None = None,
    backend: str | None = None,
    base: BaseModel | None = None,
) -> Choice:
    """Return the best backend that can train the cell here.

    ``device=None`` takes each backend's best one; ``backend`` narrows the choice to one name, and
    ``base`` to those that compute that base.
    The order is: declares the cell, is available, computes the base, priority, name.

    :raises NoBackendError: names every backend with its reason, and the command that gets one.
    """

    def runs(offer: Backend, one: Device, side: Side = side) -> bool:
        cell = TrainCell(objective=objective, tuning=tuning, side=side, device=one)
        return cell in offer.train_cells

    def other(offer: Backend, one: Device) -> bool:
        return runs(offer, one, "query" if side == "both" else "both")

    asked = f"train {objective} by {tuning}" + (f" on {device}" if device else "")
    asked += f" ({side} side only)" if side != "both" else ""
    offers = list(offers)
    try:
        return _choose(_asked(offers, objective, base), asked, runs, device, backend)
    except NoBackendError as error:
        declared = any(runs(o.backend, one) for o in offers for one in DEVICES)
        if declared or not any(_device(o.backend, o.found, device, other)[0] for o in offers):
            raise
        mend = "add --side query" if side == "both" else "leave --side query out"
        raise NoBackendError(asked, error.refused, mend=mend) from error


def choose_server(
    offers: Iterable[Offer],
    *,
    objective: str,
    format: str,
    side: Side = "both",
    device: Device | None = None,
    backend: str | None = None,
    base: BaseModel | None = None,
) -> Choice:
    """Return the best backend that can load and run a model of this format here.

    :raises NoBackendError: as :func:`choose_trainer`.
    """

    def runs(offer: Backend, one: Device) -> bool:
        cell = ServeCell(format=format, objective=objective, device=one, side=side)
        return cell in offer.serve_cells

    asked = f"load {objective} in format {format}" + (f" on {device}" if device else "")
    asked += f" ({side} side only)" if side != "both" else ""
    return _choose(_asked(offers, objective, base), asked, runs, device, backend)


def _asked(
    offers: Iterable[Offer], objective: str, base: BaseModel | None
) -> Iterator[tuple[Offer, Callable[[], str]]]:
    """Yield every offer, and what tells why its backend does not compute the base."""
    for offer in offers:
        told = partial(offer.backend.unfit, base, objective) if base is not None else str
        yield offer, told


def _choose(
    offers: Iterable[tuple[Offer, Callable[[], str]]],
    asked: str,
    runs: Callable[[Backend, Device], bool],
    device: Device | None,
    name: str | None,
) -> Choice:
    usable: list[tuple[int, str, Choice]] = []
    refused: dict[str, str] = {}
    mends: list[str] = []
    others: list[str] = []
    for offer, unfit in offers:
        backend, found = offer.backend, offer.found
        device_here, reason = _device(backend, found, device, runs)
        if device_here is not None and (lacks := unfit()):
            device_here, reason = None, lacks
        if name is not None and backend.name != name:
            others += [backend.name] if device_here else []
            continue
        if device_here is None:
            refused[backend.name] = reason
            mends += [found.mend] if found.reason and found.mend else []
        else:
            choice = Choice(backend=backend, device=device_here)
            usable.append((-found.priority, backend.name, choice))
    if not usable:
        if others and not mends:
            mends = [f"the backend {min(others)} does: --backend {min(others)}"]
        raise NoBackendError(asked, refused, mend=mends[0] if mends else "")
    return min(usable, key=lambda item: item[:2])[2]


def _device(
    backend: Backend,
    found: Availability,
    device: Device | None,
    runs: Callable[[Backend, Device], bool],
) -> tuple[Device | None, str]:
    """Return the device to use, or None and why not."""
    if not any(runs(backend, one) for one in ([device] if device else DEVICES)):
        return None, "does not declare it"
    if found.reason:
        return None, found.reason
    wanted = [device] if device else list(found.devices)
    for one in wanted:
        if one in found.devices and runs(backend, one):
            return one, ""
    here = ", ".join(found.devices) or "none"
    return None, f"has no such device here (devices: {here})"
