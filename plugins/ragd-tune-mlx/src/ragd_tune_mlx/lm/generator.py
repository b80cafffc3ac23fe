"""A loaded language model: the handle that the core keeps, and the texts it generates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx_lm.models.cache import make_prompt_cache

from ragd_tune.backends import Limits, LoadRequest
from ragd_tune.errors import BaseMismatchError
from ragd_tune.interchange import peft, quantised
from ragd_tune.objectives import Frame, asked, before_stop, frame_of
from ragd_tune.plan import ModelFacts
from ragd_tune_mlx import lora
from ragd_tune_mlx.lm import base, folder
from ragd_tune_mlx.session import on, uncompiled
from ragd_tune_mlx.shared import Base, Bases, SharedHandle

_bases: Bases[nn.Module] = Bases()


class Generator(SharedHandle[nn.Module, Any]):
    """A loaded language model; :attr:`facts` says what it is."""

    def __init__(
        self,
        base: Base[nn.Module],
        model: Any,
        frame: Frame,
        facts: ModelFacts,
        request: LoadRequest,
    ) -> None:
        super().__init__(base, model, facts)
        self._frame = frame
        self.request = request
        self._ends = _ends(request, frame)

    def generate(self, prompts: Sequence[str], limits: Limits) -> list[str]:
        """Return one completion a prompt: greedy at temperature 0, else drawn."""
        device = self.request.device
        with on(device), uncompiled(device):
            return [self._answer(ids, limits) for ids in self._ids(prompts, limits)]

    def _ids(self, prompts: Sequence[str], limits: Limits) -> list[list[int]]:
        room = max(1, self._facts.max_length - limits.max_tokens)
        system = limits.system or self._facts.prompts.get("system", "")
        made = asked(self._frame, prompts, room=room, system=system, keep=limits.keep)
        tokenizer: Any = self._frame.tokenizer
        return [ids or [int(tokenizer.pad_token_id)] for ids in made]

    def _answer(self, ids: list[int], limits: Limits) -> str:
        cache = make_prompt_cache(self.model)
        said: list[int] = []
        given = mx.array([ids])
        for _ in range(limits.max_tokens):
            logits = self.model(given, cache=cache)[0, -1].astype(mx.float32)
            token = int(_chosen(logits, limits.temperature).item())
            if token in self._ends:
                break
            said.append(token)
            if limits.stop and any(one and one in self._text(said) for one in limits.stop):
                break
            given = mx.array([[token]])
        return before_stop(self._text(said), limits.stop)

    def _text(self, ids: list[int]) -> str:
        tokenizer: Any = self._frame.tokenizer
        return str(tokenizer.decode(ids, skip_special_tokens=True))

    def logits(self, ids: Sequence[int]) -> Any:
        """Return the logits after each token of ``ids``, float32 (tokens, vocabulary)."""
        from ragd_tune_mlx.weights import as_numpy

        device = self.request.device
        with on(device), uncompiled(device):
            return as_numpy(self.model(mx.array([list(ids)]))[0])

    def export(self, out: Path) -> list[Path]:
        """Write the model under ``out`` in float32, an adapter merged into its weights."""
        with on(self.request.device):
            model = base.shared(self.model)
            lora.fuse(model)
            return folder.save(model, _folder(self.request), out)


def _chosen(logits: mx.array, temperature: float) -> mx.array:
    if temperature == 0:
        return mx.argmax(logits)
    return mx.random.categorical(logits / temperature)


def _folder(request: LoadRequest) -> Path:
    whole = request.format == "full" and request.adapter is not None
    return request.adapter if whole and request.adapter is not None else request.base.path


def _ends(request: LoadRequest, frame: Frame) -> frozenset[int]:
    return base.end_tokens(_folder(request), frame.tokenizer)


def load(request: LoadRequest) -> Generator:
    """Load what ``request`` names: a base, a tuned folder, or a base with an adapter on it.

    :raises BaseMismatchError: the adapter was trained on four bits that this base does not give.
    :raises TuneError: the files do not make a model.
    """
    facts, place, name = request.facts, _folder(request), request.base.name
    tokenizer = base.load_tokenizer(place, name)
    frame = frame_of(tokenizer, facts.settings.get("chat_template") if facts else "auto")
    limit = base.context(base.config_of(place, name), tokenizer)
    if facts is None:
        settings = {"chat_template": frame.chat}
        facts = ModelFacts(max_length=limit, normalise=False, settings=settings)
    bits = quantised.bits_of(request, "mlx", makes={base.FOUR_BITS})
    with on(request.device), uncompiled(request.device):
        found = _base(request, place, bits)
        model = base.shared(found.held)
        if request.format == "peft":
            assert request.adapter is not None
            lora.attach(model, peft.read(request.adapter), where=str(request.adapter))
    length = min(request.max_length or facts.max_length, facts.max_length, limit)
    return Generator(found, model, frame, replace(facts, max_length=length), request)


def _base(request: LoadRequest, place: Path, bits: str) -> Base[nn.Module]:
    name = request.base.name
    known = _bases.get(
        request, lambda: base.load_model(place, name, four_bits=bool(bits)), str(place), bits
    )
    if bits and base.numbers(known.held) != quantised.told(request).get("quantised_base"):
        raise BaseMismatchError(
            f"{request.adapter}: was trained on four bits of the base that come out otherwise here",
            mend="load it where it was trained, or train it again with --tuning lora",
        )
    return known
