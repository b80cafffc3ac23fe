"""An embedder as an ONNX graph, from token ids to the vector: every module of the model is in it.

torch.onnx writes it, and not optimum, whose exporter allows no transformers 5. Batch and length
stay open; the numbers are float32.
"""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from sentence_transformers import SentenceTransformer
from torch import Tensor

from ragd_tune.errors import TuneError, UsageError
from ragd_tune.extras import need
from ragd_tune.plan import ModelFacts
from ragd_tune_cpu.base import transformer
from ragd_tune_cpu.session import quiet

NEEDS = ("onnx", "onnxscript")
INPUTS = ("input_ids", "attention_mask", "token_type_ids")
_SAMPLE = ["a text", "and another one, which is longer"]


class _Graph(torch.nn.Module):
    """The whole model as a function of tensors."""

    def __init__(self, model: SentenceTransformer, *, normalise: bool) -> None:
        super().__init__()
        self.model = model
        self.normalise = normalise

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None
    ) -> Tensor:
        """Return vectors (texts, dimension) of tokens (texts, tokens)."""
        features = {"input_ids": input_ids, "attention_mask": attention_mask}
        if token_type_ids is not None:
            features["token_type_ids"] = token_type_ids
        made: Tensor = self.model(features)["sentence_embedding"]
        return F.normalize(made, dim=-1) if self.normalise else made


def write(model: SentenceTransformer, out: Path, facts: ModelFacts) -> list[Path]:
    """Write ``model.onnx`` and ``tokenizer.json`` under ``out`` and return them.

    :raises NotInstalledError: the exporter is not here.
    :raises UsageError: the model has no transformer, or no tokenizer of the kind that can be kept.
    :raises TuneError: torch.onnx cannot write this architecture; with its words.
    """
    need(NEEDS, extra="onnx", why="torch.onnx writes nothing without")
    tokenizer = getattr(model.tokenizer, "backend_tokenizer", None)
    if transformer(model) is None or tokenizer is None or model.tokenizer.padding_side != "right":
        raise UsageError(
            "this model is no transformer with a fast tokenizer that pads on the right: no graph "
            "is written of others",
            mend="use --format folder",
        )
    out.mkdir(parents=True, exist_ok=True)
    _export(model, out / "model.onnx", facts)
    tokenizer.no_truncation()
    # whoever loads it reads the padding token here
    tokenizer.enable_padding(
        pad_id=model.tokenizer.pad_token_id or 0, pad_token=model.tokenizer.pad_token or ""
    )
    tokenizer.save(str(out / "tokenizer.json"))
    return [out / "model.onnx", out / "tokenizer.json"]


def _export(model: SentenceTransformer, path: Path, facts: ModelFacts) -> None:
    told = model.tokenizer(_SAMPLE, padding=True, return_tensors="pt")
    names = [name for name in INPUTS if name in told]
    open_ = {
        0: torch.export.Dim("texts", min=1),
        1: torch.export.Dim("tokens", max=facts.max_length),
    }
    graph = _Graph(model, normalise=facts.normalise).eval()
    try:
        with quiet(), _silent(), torch.no_grad():
            torch.onnx.export(
                graph,
                tuple(told[name] for name in names),
                str(path),
                input_names=names,
                output_names=["vectors"],
                dynamic_shapes=tuple(open_ for _ in names),
                dynamo=True,
                external_data=False,
                verbose=False,
            )
    except Exception as error:
        raise TuneError(
            f"torch.onnx cannot write this model: {str(error).splitlines()[0]}",
            mend="use --format folder",
        ) from error


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Keep the exporter's notes about itself from the user."""
    log = logging.getLogger("torch.onnx")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(before)
