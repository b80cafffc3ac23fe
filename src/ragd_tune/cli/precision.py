"""``--proof-precision`` of ``train``, ``evaluate`` and ``demo``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ragd_tune.backends import Precision

_NAME = "proof_precision"
_DECLARED: dict[str, Any] = {
    "type": click.Choice(["auto", "fp32"]),
    "envvar": "RAGD_TUNE_PROOF_PRECISION",
    "default": "auto",
    "show_default": True,
    "help": "What both sides of the proof compute in; auto takes bf16 where it is fast.",
}
OPTION = click.Option(["--proof-precision"], **_DECLARED)
option = click.option("--proof-precision", **_DECLARED)


def taken(parameters: dict[str, Any]) -> Precision:
    """Take the flag out of ``parameters`` and return what it says."""
    return wanted({_NAME: parameters.pop(_NAME)})


def wanted(parameters: Mapping[str, object]) -> Precision:
    """Return what the flag says."""
    return "fp32" if parameters[_NAME] == "fp32" else "auto"
