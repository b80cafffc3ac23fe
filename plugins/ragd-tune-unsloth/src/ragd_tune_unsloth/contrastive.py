"""The contrastive objective on an encoder that Unsloth made ready."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ragd_tune.errors import UsageError
from ragd_tune.objectives import Row, Rows
from ragd_tune.objectives.reading import negatives
from ragd_tune.plan import Role, TrainPlan
from ragd_tune.training.bases import prompts
from ragd_tune.training.course import training_length
from ragd_tune.training.facts import dimensions, shares
from ragd_tune.training.written import blend
from ragd_tune_unsloth import adapter, engine, safe
from ragd_tune_unsloth.facts import facts_of
from ragd_tune_unsloth.session import uses_bf16


class Contrastive:
    """A model in training: the loss of some rows, and the adapter that comes of it."""

    def __init__(self, plan: TrainPlan, rows: Rows) -> None:
        self.plan = plan
        self.rows = rows
        self.model = _load(plan)
        own = facts_of(self.model)
        self.model.max_seq_length = min(training_length(plan), own.max_length)
        inner = self.model[0].auto_model
        _without_attention_dropout(inner)
        _set_dropout(inner, plan.number("dropout"))
        self.wrapped = self._adapted(inner)
        self.facts = replace(
            own,
            max_length=min(plan.integer("max_length"), own.max_length),
            prompts=prompts(plan, own),
            normalise=True,  # the objective is over cosines
            dimensions=dimensions(plan, own.dimension),
        )
        self._bf16 = uses_bf16(plan)

    def _adapted(self, inner: torch.nn.Module) -> Any:
        plan, fast = self.plan, engine.fast("FastSentenceTransformer")
        fast.get_peft_model(
            self.model,
            r=plan.integer("lora_rank"),
            lora_alpha=plan.number("lora_alpha"),
            lora_dropout=plan.number("lora_dropout"),
            target_modules=adapter.targets(inner, plan.options["lora_targets"]),
            random_state=plan.seed,
        )
        wrapped = self.model[0].auto_model
        adapter.begin(wrapped, plan.seed)
        return wrapped

    def losses(self, batch: Sequence[int], *, held_out: bool = False) -> Iterator[Tensor]:
        """Yield the in-batch softmax over cosines (van den Oord et al. 2018, arXiv 1807.03748).

        With ``matryoshka_dims``, its mean over the full vector and each leading part
        (Kusupati et al. 2022, arXiv 2205.13147). It cannot be had in parts.
        """
        known = self.rows.dev if held_out else self.rows.train
        yield self._loss([known[index] for index in batch])

    def _loss(self, rows: Sequence[Row]) -> Tensor:
        queries = self._vectors([str(row["query"]) for row in rows], "query")
        texts = [str(row["positive"]) for row in rows]
        count = self.plan.integer("negatives")
        texts += [text for row in rows for text in negatives(row, count)]
        passages = self._vectors(texts, "document")
        sizes = self.facts.dimensions or (self.facts.dimension,)
        parts = [self._softmax(queries[:, :size], passages[:, :size]) for size in sizes]
        counted = torch.tensor(shares(sizes), device=queries.device)
        return (torch.stack(parts) * counted).sum()

    def _softmax(self, queries: Tensor, passages: Tensor) -> Tensor:
        cosines = F.normalize(queries, dim=1) @ F.normalize(passages, dim=1).T
        answers = torch.arange(len(queries), device=queries.device)
        return F.cross_entropy(cosines / self.plan.number("temperature"), answers)

    def _vectors(self, texts: list[str], role: Role) -> Tensor:
        prompt = self.facts.prompts.get(role) or None
        features = self.model.preprocess(texts, prompt=prompt, task=role)
        features = {
            name: value.to(self.plan.device) if isinstance(value, Tensor) else value
            for name, value in features.items()
        }
        device = torch.device(self.plan.device).type
        with torch.autocast(device, dtype=torch.bfloat16, enabled=self._bf16):
            made = self.model[0](features)
        # Pooling and softmax stay in float32: a cosine in bfloat16 has two digits, and the
        # temperature multiplies its error by 20.
        made = {
            name: value.float() if name.endswith("embeddings") else value
            for name, value in made.items()
        }
        for module in list(self.model)[1:]:
            made = module(made)
        vectors: Tensor = made["sentence_embedding"]
        return vectors

    def save(self, out: Path) -> None:
        """Write the adapter under ``out``."""
        adapter.save(self.wrapped, out, self.plan.base, blend=blend(self.plan))


def _load(plan: TrainPlan) -> Any:
    base, fast = plan.base, engine.fast("FastSentenceTransformer")
    architecture = safe.check(base.path, base.name)
    known = sorted(fast.ENCODER_MODEL_TYPES)
    if architecture not in known:
        raise UsageError(
            f"base model {base.name} is a {architecture}, and Unsloth's encoders are "
            f"{', '.join(known)}",
            mend="the backend cpu trains it: --backend cpu",
        )
    bf16 = uses_bf16(plan)
    return fast.from_pretrained(
        str(base.path),
        dtype=torch.bfloat16 if bf16 else torch.float32,
        load_in_4bit=False,
        load_in_16bit=bf16,
        device_map=plan.device,
        local_files_only=True,
        trust_remote_code=False,
        random_state=plan.seed,
    )


def _set_dropout(model: torch.nn.Module, share: float) -> None:
    """Have all layers drop ``share`` of their numbers, but for attention weights."""
    for module in model.modules():
        if "Attention" in type(module).__name__:
            continue
        for found in module.children():
            if isinstance(found, torch.nn.Dropout):
                found.p = share


def _without_attention_dropout(model: torch.nn.Module) -> None:
    """Set the dropout of attention weights to 0: fused attention has none, nor has ``cpu``'s."""
    for module in model.modules():
        if "Attention" not in type(module).__name__:
            continue
        for name in ("dropout", "attention_dropout", "dropout_prob", "attn_dropout"):
            found = getattr(module, name, None)
            if isinstance(found, torch.nn.Dropout):
                found.p = 0.0
            elif isinstance(found, float):
                setattr(module, name, 0.0)
