"""What a training takes from its base: a name that travels, and prompts."""

from __future__ import annotations

from pathlib import Path

from ragd_tune.plan import BaseModel, ModelFacts, TrainPlan


def portable_name(base: BaseModel) -> str:
    """Return the base's name if it means the same on another machine, else an empty text."""
    is_place = Path(base.name).is_absolute() or base.source == "path" or "\\" in base.name
    return "" if is_place or base.name.startswith((".", "~")) else base.name


def prompts(plan: TrainPlan, facts: ModelFacts) -> dict[str, str]:
    """Return the prompts by role: the options', else the base's own; empty ones are left out.

    Documents that nobody tunes keep the base's own.
    """
    found = dict(facts.prompts)
    for role in ("query", "document") if plan.side == "both" else ("query",):
        wanted = plan.options[f"{role}_prompt"]
        if isinstance(wanted, str):
            found[role] = wanted
    return {role: prompt for role, prompt in found.items() if prompt}
