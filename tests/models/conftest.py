"""Small model folders, made of nothing but JSON and safetensors."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save_file

Tensors = Mapping[str, NDArray[np.generic]]
Make = Callable[..., Path]

TOKENIZER = {
    "version": "1.0",
    "truncation": {"max_length": 128},
    "padding": None,
    "model": {"type": "WordPiece", "vocab": {"[PAD]": 0, "a": 1, "b": 2}},
}
MODULES = [
    {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
    {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    {"idx": 2, "name": "2", "path": "2_Dense", "type": "sentence_transformers.models.Dense"},
]


def tensors(seed: int = 0) -> dict[str, NDArray[np.generic]]:
    rng = np.random.default_rng(seed)
    return {
        "embeddings.weight": rng.standard_normal((8, 4)).astype(np.float32),
        "layer.0.weight": rng.standard_normal((4, 4)).astype(np.float16),
        "layer.0.bias": np.zeros(4, np.float32),
        "position_ids": np.arange(8)[None],
    }


def write_json(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


def make_model(folder: Path) -> Path:
    folder.mkdir(parents=True)
    save_file(tensors(), folder / "model.safetensors")
    write_json(
        folder / "config.json",
        {"model_type": "bert", "hidden_size": 4, "transformers_version": "4.8.2"},
    )
    write_json(folder / "tokenizer.json", TOKENIZER)
    write_json(folder / "tokenizer_config.json", {"do_lower_case": True, "model_max_length": 512})
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": 256})
    write_json(
        folder / "config_sentence_transformers.json",
        {"__version__": {"pytorch": "1.8.1"}, "prompts": {"query": "search: "}},
    )
    write_json(folder / "modules.json", MODULES)
    write_json(folder / "1_Pooling" / "config.json", {"pooling_mode_mean_tokens": True})
    write_json(folder / "2_Dense" / "config.json", {"in_features": 4, "out_features": 2})
    dense = {"linear.weight": np.ones((2, 4), np.float32)}
    save_file(dense, folder / "2_Dense" / "model.safetensors")
    (folder / "README.md").write_text("# a model\n", encoding="utf-8")
    return folder


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return make_model(tmp_path / "model")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "hub"
