"""Adapters from elsewhere are data: each of these is refused by name, and leaves no trace."""

from __future__ import annotations

import contextlib
import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file
from tests.store.hostile import (
    PICKLE,
    WEIGHTS,
    Snapshot,
    Spoil,
    as_json,
    header,
    put,
    tensor,
    untouched,
    weights,
)

from ragd_tune.errors import NotInstalledError, StoreError, TuneError
from ragd_tune.store import Manifest, Store
from ragd_tune.store.manifest import FILE

# Refused for what they are, whatever the manifest says about them: it is made after the spoiling.
CONTENT: dict[str, tuple[Spoil, str]] = {
    "a pickle": (put("pytorch_model.bin", PICKLE), "pytorch_model.bin: a pickle runs code"),
    "a torch file": (put("a.pt", PICKLE), "a.pt: a pickle runs code"),
    "a pickle in capitals": (put("a.PKL", PICKLE), "a.PKL: a pickle runs code"),
    "a checkpoint": (put("last.ckpt", PICKLE), "last.ckpt: a pickle runs code"),
    "a pth": (put("a.pth", "import os"), "a.pth: a pickle runs code"),
    "a pickle as text": (put("vocab.txt", PICKLE), "vocab.txt: its bytes are a pickle"),
    "a torch zip as json": (put("a.json", b"PK\3\4rest"), "a.json: its bytes are a zip"),
    "a pickle as weights": (put(WEIGHTS, PICKLE), f"{WEIGHTS}: its bytes are a pickle"),
    "a NumPy file": (put("a.txt", b"\x93NUMPY"), "its bytes are a NumPy file"),
    "a script as text": (put("run.txt", "#!/bin/sh\n"), "its bytes are a script"),
    "Python": (put("modeling_x.py", "print()"), "modeling_x.py: an adapter is data and brings no"),
    "a library": (put("sub/x.so", b"\x7fELF"), "sub/x.so: an adapter is data and brings no code"),
    "an unknown ending": (put("a.xyz"), "a.xyz: not a file that an adapter needs"),
    "a hidden file": (put(".hidden.json"), "holds characters that not every system can store"),
    "too short": (put(WEIGHTS, b"123"), "too short for a safetensors header"),
    "an oversized header": (
        put(WEIGHTS, struct.pack("<Q", 1 << 40) + b"{}"),
        "header of 1,099,511,627,776 bytes is oversized",
    ),
    "a header beyond the file": (header({}, length=500), "header of 500 bytes is longer than"),
    "a header that is no JSON": (header(b'{"a": '), "header is not JSON"),
    "a header that is a list": (header(b"[]"), "header does not start with '{'"),
    "a very deep header": (header(b'{"a":' * 9_000), "header is not JSON"),
    "a tensor twice": (header(b'{"a":1,"a":2}'), "names a tensor or a field twice"),
    "odd metadata": (header({"__metadata__": {"a": 1}}), "__metadata__ is not text by name"),
    "a missing field": (header({"w": {"dtype": "U8"}}), "'w' needs dtype, shape and data_offsets"),
    "an unknown dtype": (header({"w": tensor(0, 1, "PY")}, 1), "'w' has the unknown dtype 'PY'"),
    "a negative shape": (
        header({"w": tensor(0, 1, shape=[-1])}, 1),
        "'w' has a shape or offsets that are not sizes",
    ),
    "an overflowing shape": (
        header({"w": tensor(0, 1, shape=[1 << 62, 1 << 62])}, 1),
        "'w': dtype and shape do not make 1 bytes",
    ),
    "a wrong shape": (header({"w": tensor(0, 4, "F32", [2])}, 4), "'w': dtype and shape do not"),
    "reversed offsets": (header({"w": tensor(4, 0, shape=[0])}, 4), "'w': dtype and shape do not"),
    "overlapping tensors": (
        header({"a": tensor(0, 4), "b": tensor(2, 6)}, 6),
        "tensor 'b' overlaps the one before it",
    ),
    "a hole": (header({"a": tensor(1, 2)}, 2), "bytes before 'a' that no tensor owns"),
    "bytes at the end": (header({"a": tensor(0, 2)}, 9), "tensors end at byte"),
    "NaN": (weights(float("nan"), np.float32), "tensor 'w' holds NaN or infinity"),
    "infinity in half precision": (weights(float("inf"), np.float16), "holds NaN or infinity"),
    "minus infinity in double": (weights(float("-inf"), np.float64), "holds NaN or infinity"),
    "NaN in bfloat16": (
        header({"w": tensor(0, 2, "BF16", [1])}, b"\xc0\x7f"),
        "tensor 'w' holds NaN or infinity",
    ),
    "NaN in eight bits": (
        header({"w": tensor(0, 1, "F8_E4M3", [1])}, b"\xff"),
        "tensor 'w' holds NaN or infinity",
    ),
    "JSON that is none": (put("config.json", "{'a': 1}"), "config.json: is not JSON in UTF-8"),
    "very deep JSON": (put("config.json", "[" * 100_000), "config.json: is not JSON"),
    "auto_map": (
        as_json("config.json", {"auto_map": {"AutoModel": "modeling_x.Model"}}),
        "config.json: 'auto_map' makes a loader run code",
    ),
    "a nested auto_map": (
        as_json("tokenizer_config.json", {"a": [{"auto_map": ["x.Tok", None]}]}),
        "'auto_map' makes a loader run code",
    ),
    "trust_remote_code": (
        as_json("sentence_bert_config.json", {"model_args": {"trust_remote_code": True}}),
        "'trust_remote_code' makes a loader run code",
    ),
    "a module of its own": (
        as_json("modules.json", [{"idx": 0, "path": "", "type": "modeling_x.Evil"}]),
        "modules.json: the module type 'modeling_x.Evil' is code of the adapter",
    ),
    "a module that only looks right": (
        as_json("modules.json", [{"path": "", "type": "sentence_transformers_evil.X"}]),
        "is code of the adapter",
    ),
    "a module elsewhere": (
        as_json("modules.json", [{"path": "../x", "type": "sentence_transformers.models.Dense"}]),
        "'../x': the name leads out of the folder",
    ),
    "a router's module": (
        as_json("router_config.json", {"types": {"q": "os.system"}}),
        "the module type 'os.system' is code of the adapter",
    ),
    "a callable as activation": (
        as_json("2_Dense/config.json", {"activation_function": "os.abort"}),
        "2_Dense/config.json: 'activation_function' names 'os.abort'",
    ),
    "a tokenizer class by module": (
        as_json("wordembedding_config.json", {"tokenizer_class": "evil.Tok"}),
        "'tokenizer_class' names 'evil.Tok'",
    ),
    "a library to import": (
        as_json("adapter_config.json", {"auto_mapping": {"parent_library": "evil"}}),
        "'parent_library' names 'evil'",
    ),
    "a core to import": (
        as_json("adapter_config.json", {"megatron_core": "evil"}),
        "'megatron_core' names a module to import",
    ),
    "a kernel from a hub": (
        as_json("config.json", {"attn_implementation": {"text": "evil/kernel"}}),
        "'attn_implementation' names code to fetch",
    ),
    "a base by path": (
        as_json("adapter_config.json", {"base_model_name_or_path": "/home/me/model"}),
        "names the base by a place on one machine's disk",
    ),
    "a base by Windows path": (
        as_json("adapter_config.json", {"base_model_name_or_path": "C:\\model"}),
        "names the base by a place on one machine's disk",
    ),
}


@pytest.mark.parametrize("case", CONTENT)
def test_content_that_is_not_data_is_refused_by_name_and_leaves_no_trace(
    case: str,
    guarded: Store,
    adapter: Path,
    seal: Callable[..., Manifest],
    snapshot: Snapshot,
    tmp_path: Path,
) -> None:
    spoil, message = CONTENT[case]
    spoil(adapter)
    with contextlib.suppress(TuneError):
        seal(adapter)
    with untouched(tmp_path, snapshot), pytest.raises(StoreError) as told:
        guarded.import_(adapter)
    assert message in told.value.message
    assert told.value.mend


def test_a_commit_refuses_what_an_import_refuses_and_leaves_no_trace(
    guarded: Store, adapter: Path, seal: Callable[..., Manifest], snapshot: Snapshot
) -> None:
    with untouched(guarded.root, snapshot):
        draft = guarded.draft()
        shutil.copytree(adapter, draft, dirs_exist_ok=True)
        save_file({"w": np.array([np.nan], np.float32)}, draft / WEIGHTS)
        described = seal(draft)
        with pytest.raises(StoreError, match="NaN"):
            guarded.commit(draft, described)


def test_a_missing_base_is_named_and_leaves_no_trace(
    guarded: Store, adapter: Path, snapshot: Snapshot, tmp_path: Path
) -> None:
    with untouched(tmp_path, snapshot), pytest.raises(NotInstalledError) as told:
        guarded.import_(adapter, base_here=lambda base: base.fingerprint == "0" * 64)
    assert told.value.message.startswith(
        "the base model all-MiniLM-L6-v2 (fingerprint ffffffffffff)"
    )


def test_words_of_a_vocabulary_are_not_taken_for_settings(store: Store, adapter: Path) -> None:
    as_json("vocab.json", {"auto_map": 7, "trust_remote_code": 8, "activation_fn": 1})(adapter)
    as_json("2_Dense/config.json", {"activation_function": "torch.nn.modules.Tanh"})(adapter)
    as_json("modules.json", [{"path": "", "type": "sentence_transformers.models.Dense"}])(adapter)
    described = Manifest.build(adapter, **_fields(adapter))
    (adapter / FILE).write_bytes(described.to_bytes())
    assert store.import_(adapter).id == described.content_id


def _fields(folder: Path) -> dict[str, Any]:
    value = json.loads((folder / FILE).read_bytes())
    del value["files"]
    return dict(value)
