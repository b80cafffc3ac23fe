"""LoRA and DoRA on layers of MLX, by mlx-lm's own; in and out as what a layer computes.

MLX computes ``x @ a @ b · scale`` with a of shape (inputs, rank); PEFT ``B(A(x)) · alpha / rank``
with A of shape (rank, inputs). So both matrices transpose, and alpha is rank · scale.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx.utils import tree_unflatten
from mlx_lm.tuner.dora import DoRAEmbedding, DoRALinear
from mlx_lm.tuner.lora import LoRAEmbedding, LoRALinear

from ragd_tune.interchange import peft
from ragd_tune.interchange.lora import Lora, Part, check_shapes
from ragd_tune.plan import TrainPlan
from ragd_tune.training.bases import portable_name
from ragd_tune.training.initial import lora_a
from ragd_tune.training.targets import choose
from ragd_tune_mlx.weights import as_numpy

LINEAR = (nn.Linear, nn.QuantizedLinear)
EMBEDDING = (nn.Embedding, nn.QuantizedEmbedding)
ADAPTED = (LoRALinear, DoRALinear, LoRAEmbedding, DoRAEmbedding)


def linear_names(model: nn.Module) -> list[str]:
    """Return the full names of all linear layers."""
    return [name for name, module in model.named_modules() if isinstance(module, LINEAR)]


def shapes(model: nn.Module) -> dict[str, tuple[int, int]]:
    """Return (outputs, inputs) of every layer that an adapter can change, by name."""
    return {
        name: _shape(module)
        for name, module in model.named_modules()
        if isinstance(module, (*LINEAR, *EMBEDDING))
    }


def _shape(module: Any) -> tuple[int, int]:
    rows, columns = module.weight.shape
    if isinstance(module, (nn.QuantizedLinear, nn.QuantizedEmbedding)):
        columns = columns * 32 // module.bits
    if isinstance(module, EMBEDDING):  # a table (vocabulary, dimension) read by its rows
        return columns, rows
    return rows, columns


def add(model: nn.Module, plan: TrainPlan, names: list[str] | None = None) -> None:
    """Put the plan's new matrices on the layers ``names``, and freeze everything else.

    Without ``names`` these are the linear layers that the plan chooses.
    """
    if names is None:
        names = choose(linear_names(model), plan.options["lora_targets"])
    rank, dora = plan.integer("lora_rank"), plan.tuning == "dora"
    scale, dropout = plan.number("lora_alpha") / rank, plan.number("lora_dropout")
    model.freeze()
    there = dict(model.named_modules())
    made = {}
    for name in names:
        layer = _wrap(there[name], rank=rank, scale=scale, dropout=dropout, dora=dora)
        width = _shape(there[name])[1]
        layer.lora_a = mx.array(lora_a(name, rank=rank, width=width, seed=plan.seed).T)
        made[name] = layer
    _put(model, made)


def attach(model: nn.Module, adapter: Lora, *, where: str) -> None:
    """Put the matrices of ``adapter`` on ``model``, whose own arrays stay as they are.

    :raises TuneError: it does not fit; names the layer.
    """
    check_shapes(adapter, shapes(model), where=where)
    there = dict(model.named_modules())
    made = {}
    for name, part in adapter.parts.items():
        dora = part.magnitude is not None
        layer = _wrap(there[name], rank=part.rank, scale=part.scale, dropout=0.0, dora=dora)
        layer.lora_a, layer.lora_b = mx.array(part.a.T), mx.array(part.b.T)
        if part.magnitude is not None:
            layer.m = mx.array(part.magnitude.reshape(-1))
        made[name] = layer
    _put(model, made)
    model.eval()


def _wrap(layer: Any, *, rank: int, scale: float, dropout: float, dora: bool) -> Any:
    embedding = isinstance(layer, EMBEDDING)
    kinds = (DoRAEmbedding, DoRALinear) if dora else (LoRAEmbedding, LoRALinear)
    kind = kinds[0] if embedding else kinds[1]
    made = kind.from_base(layer, r=rank, dropout=dropout, scale=scale)
    inner = made.embedding if embedding else made.linear
    inner.freeze()
    return made


def _put(model: nn.Module, layers: Mapping[str, Any]) -> None:
    model.update_modules(tree_unflatten(list(layers.items())))


def read(model: nn.Module) -> dict[str, Part]:
    """Return what the adapted layers of ``model`` hold, by their names."""
    return {
        name: Part(
            a=as_numpy(layer.lora_a.T),
            b=as_numpy(layer.lora_b.T),
            scale=float(layer.scale),
            magnitude=as_numpy(layer.m) if "m" in layer else None,
            embedding=isinstance(layer, (LoRAEmbedding, DoRAEmbedding)),
        )
        for name, layer in model.named_modules()
        if isinstance(layer, ADAPTED)
    }


def save(
    model: nn.Module, plan: TrainPlan, out: Path, *, task: str, blend: float = 1.0, **more: Any
) -> None:
    """Write the adapter that ``model`` holds in PEFT's format; ``more`` is as in :class:`Lora`.

    :param blend: what it adds to the base is written so many times as large; not for DoRA, where
        a layer's length is trained apart from what is added.
    """
    adapter = Lora(
        parts=read(model) if blend == 1.0 else _scaled(read(model), blend),
        dropout=plan.number("lora_dropout"),
        base_name=portable_name(plan.base),
        task=task,
        **more,
    )
    peft.write(adapter, out)


def _scaled(parts: Mapping[str, Part], by: float) -> dict[str, Part]:
    assert not any(part.magnitude is not None for part in parts.values())
    return {name: replace(part, b=part.b * np.float32(by)) for name, part in parts.items()}


def merged(model: nn.Module, arrays: Mapping[str, mx.array]) -> dict[str, mx.array]:
    """Return the base's ``arrays`` with what the adapted layers of ``model`` add to them."""
    made = dict(arrays)
    for name, layer in model.named_modules():
        if isinstance(layer, ADAPTED):
            made[f"{name}.weight"] = layer.fuse().weight
    return made


def fuse(model: nn.Module) -> None:
    """Merge the adapted layers of ``model`` into plain ones, and bring all few bits back to floats.

    A layer that no adapter changed may be held in few bits as well, as an output layer is.
    """
    there = dict(model.named_modules())
    made = {
        name: layer.fuse(dequantize=True)
        for name, layer in there.items()
        if isinstance(layer, ADAPTED)
    }
    for name, layer in there.items():
        if isinstance(layer, nn.QuantizedLinear) and name.rpartition(".")[0] not in made:
            made[name] = _plain(layer)
    _put(model, made)


def _plain(layer: Any) -> nn.Linear:
    rows, columns = _shape(layer)
    made = nn.Linear(columns, rows, bias="bias" in layer)
    made.weight = mx.dequantize(
        layer.weight, layer.scales, layer.biases, group_size=layer.group_size, bits=layer.bits
    )
    if "bias" in layer:
        made.bias = layer.bias
    return made
