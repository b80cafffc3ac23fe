"""What a model is, in the same words and by the same rules whatever framework loads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ragd_tune.backends import LoadRequest
from ragd_tune.errors import UsageError
from ragd_tune.objectives import Rows
from ragd_tune.options import Value
from ragd_tune.plan import ModelFacts, Role, TrainPlan

NO_LIMIT = 1 << 20
"""What a model without a limit has: more tokens than any memory holds."""

ROLES: dict[Role, tuple[str, ...]] = {
    "query": ("query",),
    "document": ("document", "passage", "corpus"),
}
"""Names under which sentence-transformers looks for a role's prompt, first match first."""


def limit(*found: float | None) -> int:
    """Return the smallest of some limits of tokens, where None and 0 are none.

    A tokenizer without a limit reports a number with 30 digits.
    """
    return min([int(one) for one in found if one] + [NO_LIMIT])


def by_role(prompts: Mapping[str, str | None], default: str | None) -> dict[str, str]:
    """Return the prompts of a sentence-transformers model by role; ``default`` is one's name."""
    otherwise = prompts.get(default or "")
    found: dict[str, str] = {}
    for role, names in ROLES.items():
        # The library adds an empty "document" to every model: it must not hide a "passage".
        own = [prompt for name in names if (prompt := prompts.get(name))]
        chosen = own[0] if own else otherwise
        if chosen:
            found[role] = chosen
    return found


def dimensions(plan: TrainPlan, full: int) -> tuple[int, ...]:
    """Return the dimensions to train, descending, the full one included; () without Matryoshka.

    :raises UsageError: one is larger than the model's vectors.
    """
    wanted = plan.options.get("matryoshka_dims", ())
    assert isinstance(wanted, tuple)
    if not wanted:
        return ()
    sizes = sorted({int(size) for size in wanted} | {full}, reverse=True)
    if sizes[0] > full:
        raise UsageError(
            f"matryoshka_dims: {sizes[0]} is more than the {full} dimensions of this base",
            mend=f"take numbers from 1 to {full}",
        )
    return tuple(sizes)


def of_language(
    plan: TrainPlan, rows: Rows, *, max_length: int, chat: bool, bits: Mapping[str, Value]
) -> ModelFacts:
    """Return what a language model will be that ``plan`` trained on ``rows``.

    The system text is a prompt of the model where all rows have the same one. An adapter that was
    trained on a base in few ``bits`` fits that base, and not the one that it was made from: so
    these are part of what it is (see :mod:`ragd_tune.interchange.quantised`); empty without any.
    """
    systems = {str(row.get("system") or "") for row in rows.train}
    return ModelFacts(
        max_length=max_length,
        normalise=False,
        prompts={"system": systems.pop()} if len(systems) == 1 and systems != {""} else {},
        settings={
            "chat_template": chat,
            "trained_length": plan.integer("max_length"),
            **bits,
        },
    )


def fitted(facts: ModelFacts, request: LoadRequest) -> tuple[ModelFacts, int]:
    """Return ``facts`` cut to what ``request`` asks for, and the dimension of its vectors.

    :raises UsageError: there is no such dimension.
    """
    length = min(request.max_length or facts.max_length, facts.max_length)
    dimension = request.dimension or facts.dimension
    if not 0 < dimension <= facts.dimension:
        raise UsageError(
            f"dimension {dimension} cannot be had of vectors with {facts.dimension}",
            mend=f"take 1 to {facts.dimension}",
        )
    return replace(facts, max_length=length), dimension


def shares(sizes: Sequence[int]) -> list[float]:
    """Return how much the loss at each dimension counts, summing to 1: in proportion to it.

    Counted alike (Kusupati et al. 2022, arXiv 2205.13147), the small ones, whose loss is larger,
    take the gradient: six of them cost the full vector .01 of nDCG@10 on two sets.
    """
    whole = sum(sizes)
    return [size / whole for size in sizes]
