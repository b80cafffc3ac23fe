"""A loaded language model: transformers and PEFT alone, so that serving patches nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from transformers import (
    AutoModelForCausalLM,
    BitsAndBytesConfig,
    StoppingCriteria,
    StoppingCriteriaList,
)

from ragd_tune.backends import Limits, LoadRequest
from ragd_tune.errors import TuneError
from ragd_tune.interchange import quantised
from ragd_tune.objectives import Frame, asked, before_stop, frame_of
from ragd_tune.plan import ModelFacts
from ragd_tune_unsloth import adapter, safe
from ragd_tune_unsloth.session import TorchHandle, quiet
from ragd_tune_unsloth.tokens import context, tokenizer_of

AT_ONCE = 16
"""Prompts that are answered together: bounds the memory."""


class Generator(TorchHandle[Any]):
    """A loaded language model; :attr:`facts` says what it is."""

    def __init__(self, model: Any, frame: Frame, facts: ModelFacts, device: str) -> None:
        super().__init__(model, facts)
        self._frame = frame
        self._device = device

    def generate(self, prompts: Sequence[str], limits: Limits) -> list[str]:
        """Return one completion a prompt: greedy at temperature 0, else drawn."""
        made = self._ids(prompts, limits)
        answers = [""] * len(made)
        order = sorted(range(len(made)), key=lambda one: -len(made[one]))
        for at in range(0, len(order), AT_ONCE):
            batch = order[at : at + AT_ONCE]
            with quiet(), torch.inference_mode():
                said = self._answer([made[index] for index in batch], limits)
            for index, text in zip(batch, said, strict=True):
                answers[index] = text
        return answers

    def _ids(self, prompts: Sequence[str], limits: Limits) -> list[list[int]]:
        room = max(1, self._facts.max_length - limits.max_tokens)
        system = limits.system or self._facts.prompts.get("system", "")
        made = asked(self._frame, prompts, room=room, system=system, keep=limits.keep)
        return [ids or [self._padding] for ids in made]

    @property
    def _padding(self) -> int:
        return int(self._frame.tokenizer.pad_token_id)  # type: ignore[attr-defined]

    def _answer(self, made: Sequence[Sequence[int]], limits: Limits) -> list[str]:
        width = max(map(len, made))
        ids = torch.full((len(made), width), self._padding)
        mask = torch.zeros_like(ids)
        for row, one in enumerate(made):  # padded on the left: answers begin side by side
            ids[row, width - len(one) :] = torch.tensor(one)
            mask[row, width - len(one) :] = 1
        said = self.model.generate(
            input_ids=ids.to(self._device),
            attention_mask=mask.to(self._device),
            max_new_tokens=limits.max_tokens,
            pad_token_id=self._padding,
            stopping_criteria=StoppingCriteriaList([_Stops(self, width, limits.stop)]),
            **_sampling(limits),
        )
        return [before_stop(self.text(row), limits.stop) for row in said[:, width:]]

    def text(self, ids: Tensor) -> str:
        """Return tokens as text, without the special ones."""
        tokenizer: Any = self._frame.tokenizer
        return str(tokenizer.decode(ids, skip_special_tokens=True))


def _sampling(limits: Limits) -> dict[str, Any]:
    """Return what makes the choice of tokens; a model's own habits (top-k …) are set aside."""
    if limits.temperature == 0:
        found: dict[str, Any] = dict.fromkeys(("temperature", "top_p", "top_k"))
        return {**found, "do_sample": False, "repetition_penalty": 1.0, "num_beams": 1}
    drawn = {"do_sample": True, "temperature": limits.temperature, "top_p": 1.0, "top_k": 0}
    return {**drawn, "repetition_penalty": 1.0, "num_beams": 1}


class _Stops(StoppingCriteria):
    """Ends a row as soon as its text holds one of the stop texts."""

    def __init__(self, generator: Generator, width: int, stop: Sequence[str]) -> None:
        self.generator = generator
        self.width = width
        self.stop = [one for one in stop if one]

    def __call__(self, ids: Tensor, scores: Tensor, **_: Any) -> Tensor:
        if not self.stop:
            return torch.zeros(len(ids), dtype=torch.bool, device=ids.device)
        texts = [self.generator.text(row) for row in ids[:, self.width :]]
        found = [any(one in text for one in self.stop) for text in texts]
        return torch.tensor(found, device=ids.device)


def load(request: LoadRequest) -> Generator:
    """Load what ``request`` names: a base, or one with an adapter on it.

    An adapter that was trained on a four-bit base is put on the same four bits again: it fits
    those, and not the base that they were made from.

    :raises BaseMismatchError: it was trained on four bits that this backend does not make.
    :raises TuneError: the files do not make a model.
    """
    base, facts = request.base, request.facts
    safe.check(base.path, base.name)
    quantised.bits_of(request, "unsloth", makes={quantised.NF4})
    tokenizer = tokenizer_of(base)
    with quiet():
        model = _open(request)
        if request.adapter is not None:
            model = adapter.put_on(model, request.adapter, merge=not _quantised(facts))
    frame = frame_of(tokenizer, facts.settings.get("chat_template") if facts else "auto")
    limit = context(model.config, tokenizer)
    if facts is None:
        settings = {"chat_template": frame.chat}
        facts = ModelFacts(max_length=limit, normalise=False, settings=settings)
    length = min(request.max_length or facts.max_length, facts.max_length, limit)
    return Generator(model.eval(), frame, replace(facts, max_length=length), request.device)


def _quantised(facts: ModelFacts | None) -> bool:
    return facts is not None and bool(facts.settings.get("quantised"))


def _open(request: LoadRequest) -> Any:
    """Load the weights: in four bits where the adapter was trained on those, else in float32."""
    more: dict[str, Any] = {"dtype": torch.float32, "device_map": request.device}
    facts = request.facts
    if facts is not None and _quantised(facts):
        half = facts.settings.get("computed_in") == "bfloat16"
        more["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16 if half else torch.float32,
        )
    try:
        return AutoModelForCausalLM.from_pretrained(
            str(request.base.path),
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            **more,
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        base = request.base
        text = f"base model {base.name}: cannot be loaded from {base.path}: {error}"
        raise TuneError(text) from error
