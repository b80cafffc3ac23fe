"""A converter with llama.cpp's command line, for tiny Qwen2 models only, on the package ``gguf``.

llama.cpp's own is in no package that can be installed. What this one writes is read by the real
llama.cpp all the same.
"""

from __future__ import annotations

import argparse
import json
from importlib import import_module
from pathlib import Path
from typing import Any

from safetensors.numpy import load_file

gguf: Any = import_module("gguf")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--outfile")
    parser.add_argument("--outtype", choices=["f32"])
    given = parser.parse_args()
    config = json.loads((given.folder / "config.json").read_text(encoding="utf-8"))
    assert config["model_type"] == "qwen2"
    writer = gguf.GGUFWriter(given.outfile, "qwen2")
    shape(writer, config)
    words(writer, given.folder)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.QWEN2, config["num_hidden_layers"])
    for name, tensor in load_file(given.folder / "model.safetensors").items():
        found = names.get_name(name, try_suffixes=(".weight", ".bias"))
        assert found is not None, name
        writer.add_tensor(found, tensor.astype("float32"))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def shape(writer: Any, config: dict[str, Any]) -> None:
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    rope = config.get("rope_parameters") or config
    writer.add_rope_freq_base(rope.get("rope_theta", 10000.0))


def words(writer: Any, folder: Path) -> None:
    told = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    model, special = told["model"], {one["content"] for one in told["added_tokens"]}
    tokens = sorted(model["vocab"], key=model["vocab"].__getitem__)
    control, normal = gguf.TokenType.CONTROL, gguf.TokenType.NORMAL
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([control if one in special else normal for one in tokens])
    writer.add_token_merges([" ".join(one) for one in model["merges"]])
    writer.add_eos_token_id(model["vocab"]["<|im_end|>"])
    writer.add_pad_token_id(model["vocab"]["<|endoftext|>"])
    writer.add_add_bos_token(False)


main()
