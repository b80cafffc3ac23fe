"""Who asked the questions of a data set: people, a language model, or the documents themselves."""

from __future__ import annotations

from collections.abc import Mapping

from ragd_tune.data.model import DataSet

WITHOUT_MODEL = "headings"
"""The generator that makes questions from documents without a language model."""


def without_model(data: DataSet, split: str = "train") -> bool:
    """Say whether all questions of ``split`` were made from documents, without a language model."""
    made, origins = data.about.get("generated"), data.about.get("origins")
    if not isinstance(made, list | tuple) or split not in made or not isinstance(origins, list):
        return False
    by = {one.get("generator") for one in origins if isinstance(one, Mapping)}
    return by == {WITHOUT_MODEL}
