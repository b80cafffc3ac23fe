"""Documents in: Markdown, text, HTML, PDF, DOCX, source code and JSONL, as blocks with headings.

The core reads text, Markdown, code and JSONL by itself; HTML, PDF and DOCX need the extra
``documents``.
"""

from __future__ import annotations

from ragd_tune.data.documents.gather import gather, must_exist
from ragd_tune.data.documents.model import Block, Library, Link, Skipped, Source

__all__ = ["Block", "Library", "Link", "Skipped", "Source", "gather", "must_exist"]
