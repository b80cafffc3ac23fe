"""A loaded language model: the handle that the core keeps, and the texts it generates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from transformers import StoppingCriteria, StoppingCriteriaList

from ragd_tune.backends import Limits, LoadRequest
from ragd_tune.interchange import quantised
from ragd_tune.objectives import Frame, asked, before_stop, frame_of
from ragd_tune.plan import ModelFacts
from ragd_tune_cpu.lm.base import config_of, context, load_model, load_tokenizer
from ragd_tune_cpu.loss import has_fast_bf16
from ragd_tune_cpu.session import TorchHandle, quiet

TOKENS_AT_ONCE = 8_192
"""Tokens of the prompts that are answered at once, padding included: bounds the memory."""


class Generator(TorchHandle[Any]):
    """A loaded language model; :attr:`facts` says what it is."""

    def __init__(self, model: Any, frame: Frame, facts: ModelFacts, request: LoadRequest) -> None:
        super().__init__(model, facts)
        self._frame = frame
        self.request = request

    def generate(self, prompts: Sequence[str], limits: Limits) -> list[str]:
        """Return one completion a prompt: greedy at temperature 0, else drawn.

        Draws start anew from the generator's own state: two calls give other texts.
        """
        made = self._ids(prompts, limits)
        answers = [""] * len(made)
        for batch in self._batches(made):
            with quiet(), torch.inference_mode():
                for index, text in zip(batch, self._answer(made, batch, limits), strict=True):
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

    def _batches(self, made: Sequence[Sequence[int]]) -> list[list[int]]:
        """Return which prompts are answered together: those of like length."""
        batches: list[list[int]] = []
        for index in sorted(range(len(made)), key=lambda one: -len(made[one])):
            last = batches[-1] if batches else []
            if last and (len(last) + 1) * len(made[last[0]]) <= TOKENS_AT_ONCE:
                last.append(index)
            else:
                batches.append([index])
        return batches

    def _answer(
        self, made: Sequence[Sequence[int]], batch: Sequence[int], limits: Limits
    ) -> list[str]:
        width = max(len(made[index]) for index in batch)
        ids = torch.full((len(batch), width), self._padding)
        mask = torch.zeros_like(ids)
        for row, index in enumerate(batch):  # padded on the left: answers begin side by side
            ids[row, width - len(made[index]) :] = torch.tensor(made[index])
            mask[row, width - len(made[index]) :] = 1
        model, device = self.model, self.request.device
        said = model.generate(
            input_ids=ids.to(device),
            attention_mask=mask.to(device),
            max_new_tokens=limits.max_tokens,
            pad_token_id=self._padding,
            stopping_criteria=StoppingCriteriaList([_Stops(self, width, limits.stop)]),
            **_sampling(limits),
        )
        return [before_stop(self._text(row), limits.stop) for row in said[:, width:]]

    def _text(self, ids: torch.Tensor) -> str:
        tokenizer: Any = self._frame.tokenizer
        return str(tokenizer.decode(ids, skip_special_tokens=True))


def _sampling(limits: Limits) -> dict[str, Any]:
    """Return what makes the choice of tokens; a model's own habits (top-k …) are set aside."""
    plain = {"repetition_penalty": 1.0, "num_beams": 1}
    if limits.temperature == 0:
        return {**plain, "do_sample": False, "temperature": None, "top_p": None, "top_k": None}
    return {
        **plain,
        "do_sample": True,
        "temperature": limits.temperature,
        "top_p": 1.0,
        "top_k": 0,
    }


class _Stops(StoppingCriteria):
    """Ends a row as soon as its text holds one of the stop texts."""

    def __init__(self, generator: Generator, width: int, stop: Sequence[str]) -> None:
        self.generator = generator
        self.width = width
        self.stop = [one for one in stop if one]

    def __call__(self, ids: torch.Tensor, scores: torch.Tensor, **_: Any) -> torch.Tensor:
        if not self.stop:
            return torch.zeros(len(ids), dtype=torch.bool, device=ids.device)
        texts = [self.generator._text(row) for row in ids[:, self.width :]]
        found = [any(one in text for one in self.stop) for text in texts]
        return torch.tensor(found, device=ids.device)


def load(request: LoadRequest) -> Generator:
    """Load what ``request`` names: a base, a tuned folder, or a base with an adapter on it.

    An adapter that was trained on a four-bit base is put on the same four bits again: it fits
    those, and not the base that they were made from.

    :raises BaseMismatchError: it was trained on four bits that this backend does not make.
    :raises TuneError: the files do not make a model.
    """
    facts = request.facts
    whole = request.format == "full"
    folder: Path = request.adapter if whole and request.adapter is not None else request.base.path
    tokenizer = load_tokenizer(folder, request.base.name)
    model = _open(request, folder)
    frame = frame_of(tokenizer, facts.settings.get("chat_template") if facts else "auto")
    limit = context(model.config, tokenizer)
    if facts is None:
        facts = ModelFacts(
            max_length=limit, normalise=False, settings={"chat_template": frame.chat}
        )
    length = min(request.max_length or facts.max_length, facts.max_length, limit)
    return Generator(model, frame, replace(facts, max_length=length), request)


def _open(request: LoadRequest, folder: Path) -> Any:
    name = request.base.name
    four_bits = None
    if quantised.bits_of(request, "cpu", makes={quantised.NF4}):
        computed = str(quantised.told(request).get("computed_in"))
        four_bits = torch.bfloat16 if computed == "bfloat16" else torch.float32
    stored = getattr(config_of(folder, name), "dtype", None)
    half = stored == torch.bfloat16 and has_fast_bf16(request.device)
    model = load_model(
        folder,
        name=name,
        device=request.device,
        dtype=torch.bfloat16 if half else torch.float32,
        four_bits=four_bits,
    )
    if request.format != "peft":
        return model
    from ragd_tune_cpu.lm.merging import put_on

    assert request.adapter is not None
    # Weights in 16 or 4 bits would lose what a small update adds: it stays beside them there.
    return put_on(model, request.adapter, merge=not half and four_bits is None)
