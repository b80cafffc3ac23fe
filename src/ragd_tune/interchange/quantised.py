"""The few bits that a base was held in while an adapter was trained: which, and who has them.

Such an adapter fits the numbers that those bits stand for, and no others: on the base itself, or on
the bits of another library, it answers something else without a word.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING

from ragd_tune.errors import BaseMismatchError

if TYPE_CHECKING:
    from ragd_tune.backends import LoadRequest
    from ragd_tune.choose import Offer
    from ragd_tune.options import Value
    from ragd_tune.plan import ModelFacts

NF4 = "nf4-double"
"""NF4 with double quantisation by bitsandbytes (Dettmers et al. 2023, arXiv 2305.14314)."""

MLX = "mlx-affine-4-64"
"""MLX's groups of 64 weights, each with a scale and a bias of its own."""

KEYS = ("quantised", "quantised_base", "computed_in")
"""What the settings of a model say of its bits, and the note beside an adapter's weights too."""


def nf4(tuning: str, computed_in: str) -> dict[str, Value]:
    """Return what a model's settings say after ``tuning``: few bits where that was ``qlora``."""
    return {"quantised": NF4, "computed_in": computed_in} if tuning == "qlora" else {}


def note(settings: Mapping[str, object]) -> Mapping[str, object] | None:
    """Return what ``settings`` say of few bits, for :attr:`Lora.quantised`; None if nothing."""
    if not settings.get("quantised"):
        return None
    return {key: settings[key] for key in KEYS if settings.get(key)}


def makers(offers: Iterable[Offer], facts: ModelFacts | None) -> list[Offer]:
    """Leave the offers of backends that make the bits of ``facts``; all, if none of them does."""
    every = list(offers)
    bits = facts.settings.get("quantised") if facts else None
    return [one for one in every if bits and bits in one.backend.bits] or every


def told(request: LoadRequest) -> Mapping[str, object]:
    """Return what the manifest's facts say of few bits, else the note in the adapter itself."""
    from ragd_tune.interchange import peft

    found = note(request.facts.settings) if request.facts else None
    if found is None and request.format == "peft" and request.adapter is not None:
        weights = request.adapter / peft.WEIGHTS
        found = peft.quantised(weights) if weights.is_file() else None
    return found or {}


def bits_of(request: LoadRequest, backend: str, *, makes: Collection[str]) -> str:
    """Return the bits that ``backend`` has to hold the base in; empty for the base as it is.

    :param makes: the bits that it can make.
    :raises BaseMismatchError: the adapter was trained on others; says how its base is made.
    """
    found = told(request)
    bits = str(found.get("quantised") or "")
    if bits and bits not in makes:
        raise _others(request, backend, bits, str(found.get("quantised_base") or ""), makes)
    return bits


def _others(
    request: LoadRequest, backend: str, bits: str, numbers: str, makes: Collection[str]
) -> BaseMismatchError:
    exact = f", with the fingerprint {numbers[:12]}" if numbers else ""
    own = f"makes {' and '.join(sorted(makes))}" if makes else "makes none"
    name = request.adapter.name[:12] if request.adapter else "the adapter"
    return BaseMismatchError(
        f"{request.adapter}: was trained on {request.base.name} in four bits ({bits}{exact}), and "
        f"the backend {backend} {own}: on other numbers it would answer wrongly",
        mend=f"install the backend that trained it (ragd-tune adapters show {name} names it): it "
        f"loads the adapter, and ragd-tune adapters export {name} OUT --format folder writes it as "
        "a whole model with the base that it fits; or train it again with --tuning lora, which "
        "fits the base itself",
    )
