"""Embedders that were exported to ONNX: loaded by onnxruntime, without PyTorch.

An export is a folder of its own, outside the store, and another model than its adapter: int8
vectors lie in a space of their own.
"""

from __future__ import annotations

from ragd_tune.serve.onnx.folder import MARK, Export, is_export, read
from ragd_tune.serve.onnx.load import asked, load
from ragd_tune.serve.onnx.model import OnnxModel

__all__ = ["MARK", "Export", "OnnxModel", "asked", "is_export", "load", "read"]
