"""A plan of the side ``query`` made ready for the loop that all objectives share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path

from sentence_transformers import SentenceTransformer
from torch import Tensor

from ragd_tune.objectives import Rows
from ragd_tune.plan import ModelFacts, Role, TrainPlan
from ragd_tune.training.bases import prompts
from ragd_tune.training.course import training_length
from ragd_tune.training.facts import dimensions
from ragd_tune.training.written import blend
from ragd_tune_cpu import folder, lora, pieces
from ragd_tune_cpu.base import facts_of, load_folder
from ragd_tune_cpu.loop import optimizer
from ragd_tune_cpu.loss import cheap_attention, precision, set_dropout
from ragd_tune_cpu.query.frozen import Ahead, Bare, Frozen
from ragd_tune_cpu.query.loss import VECTOR, AgainstFrozen, Embed, Queries
from ragd_tune_cpu.query.mapping import Mapping
from ragd_tune_cpu.session import seed_everything
from ragd_tune_cpu.trainee import Trainee

LENGTH = "query_length"
"""The setting that says how many tokens of a query count; documents keep the base's length."""


def prepare(plan: TrainPlan, rows: Rows) -> Trainee:
    """Load the base, put in what the plan tunes, and name the documents to embed ahead."""
    model = load_folder(plan.base.path, name=plan.base.name, device=plan.device)
    own = facts_of(model)
    facts = _facts(model, plan, own)
    cheap_attention(model)
    seed_everything(plan.seed)
    mapped = plan.tuning == "map"
    tuned = _map(model, plan, own) if mapped else _lora(model, plan)
    set_dropout(model, 0.0)
    documents = _frozen("document", model, rows, facts, own.max_length, tuned.bare)
    frozen = {"document": documents}
    length = min(length_of(facts), training_length(plan))
    if mapped:
        frozen["query"] = _frozen("query", model, rows, facts, length, tuned.bare)
    negatives = plan.integer("negatives")
    collate = partial(
        Queries, model, facts=facts, negatives=negatives, length=length, frozen=frozen
    )
    scale = 1.0 / plan.number("temperature")
    return Trainee(
        model=model,
        facts=facts,
        loss=AgainstFrozen(model, tuned.embed, scale=scale, dims=facts.dimensions),
        adamw=optimizer(model, plan),
        train=collate(rows.train),
        dev=collate(rows.dev),
        save=tuned.save,
        ahead=Ahead(parts=list(frozen.values()), around=lambda: precision(model, plan)),
    )


def length_of(facts: ModelFacts) -> int:
    """Return how many tokens of a query count."""
    told = facts.settings.get(LENGTH, facts.max_length)
    assert isinstance(told, int)
    return min(told, facts.max_length)


def _facts(model: SentenceTransformer, plan: TrainPlan, own: ModelFacts) -> ModelFacts:
    """Return what the model will be; cuts it to the plan's length.

    What says in which space documents lie is the base's: length, normalisation, and their prompt.
    """
    return replace(
        own,
        prompts=prompts(plan, own),
        dimensions=dimensions(plan, own.dimension),
        settings={LENGTH: folder.cut(model, plan.integer("max_length"))},
    )


class _Tuned:
    """What a tuning puts into a model: ``embed`` makes a query's vector with it."""

    embed: Embed
    bare: Bare

    def save(self, out: Path) -> object:
        """Write it."""
        raise NotImplementedError


class _Lora(_Tuned):
    def __init__(self, model: SentenceTransformer, plan: TrainPlan) -> None:
        self.wrapped = lora.add(model, plan)
        self.base = plan.base
        self.blend = blend(plan)
        self.embed = partial(pieces.embed, model)
        self.bare = self.wrapped.disable_adapter

    def save(self, out: Path) -> None:
        lora.save(self.wrapped, out, self.base, blend=self.blend)


def _lora(model: SentenceTransformer, plan: TrainPlan) -> _Tuned:
    return _Lora(model, plan)


class _Map(_Tuned):
    def __init__(self, model: SentenceTransformer, plan: TrainPlan, facts: ModelFacts) -> None:
        self.blend = blend(plan)
        model.requires_grad_(False)
        self.mapping = Mapping(facts.dimension).to(model.device)
        model.append(self.mapping)

    def embed(self, features: dict[str, Tensor]) -> Tensor:
        vectors: Tensor = self.mapping(features)[VECTOR]
        return vectors

    def bare(self) -> AbstractContextManager[object]:
        return self.mapping.off()

    def save(self, out: Path) -> None:
        self.mapping.save(out, blend=self.blend)


def _map(model: SentenceTransformer, plan: TrainPlan, facts: ModelFacts) -> _Tuned:
    return _Map(model, plan, facts)


def _frozen(
    role: Role, model: SentenceTransformer, rows: Rows, facts: ModelFacts, length: int, bare: Bare
) -> Frozen:
    return Frozen(
        model=model,
        texts=list(_texts(rows, role)),
        role=role,
        prompt=facts.prompts.get(role, ""),
        length=length,
        bare=bare,
    )


def _texts(rows: Rows, role: Role) -> Iterator[str]:
    for row in (*rows.train, *rows.dev):
        if role == "query":
            yield str(row["query"])
            continue
        yield str(row["positive"])
        negatives = row.get("negatives") or []
        assert isinstance(negatives, list)
        yield from negatives
