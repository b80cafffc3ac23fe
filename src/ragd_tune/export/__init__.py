"""Tuned models for programs that are not ragd-tune: GGUF files and Ollama's Modelfile."""

from __future__ import annotations

from ragd_tune.export.gguf import convert
from ragd_tune.export.modelfile import FILE, WEIGHTS, Turns, filled, modelfile, turns_of

__all__ = ["FILE", "WEIGHTS", "Turns", "convert", "filled", "modelfile", "turns_of"]
