"""RAFT's data: questions, the passages that answer them, distractors, and answers that quote.

By "RAFT: Adapting Language Model to Domain Specific RAG" (Zhang et al. 2024, arXiv 2403.10131).

``raft_{train,dev,test}.jsonl[.gz]`` stand beside the files of a BEIR folder: ``question``,
``oracle_ids`` and ``oracle`` (ids and texts of the passages that hold the answer), ``answer``, and
optionally ``reasoning``: a chain of thought with quotes between ``##begin_quote##`` and
``##end_quote##``. The reference implementation's formats are read and written too.
"""

from __future__ import annotations

from ragd_tune.data.raft.answers import (
    ABSTAIN,
    ANSWER,
    BEGIN,
    END,
    answer_of,
    normalised,
    quotes_of,
    reasoned,
)
from ragd_tune.data.raft.build import Context, Contexts, Mix
from ragd_tune.data.raft.example import Example, Examples
from ragd_tune.data.raft.files import answered, read_examples, write_examples
from ragd_tune.data.raft.formats import FORMATS, read_format, write_format
from ragd_tune.data.raft.prompts import Template

__all__ = [
    "ABSTAIN",
    "ANSWER",
    "BEGIN",
    "END",
    "FORMATS",
    "Context",
    "Contexts",
    "Example",
    "Examples",
    "Mix",
    "Template",
    "answer_of",
    "answered",
    "normalised",
    "quotes_of",
    "read_examples",
    "read_format",
    "reasoned",
    "write_examples",
    "write_format",
]
