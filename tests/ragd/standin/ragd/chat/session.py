"""A session that lives long and keeps its searcher and its threshold."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from ragd.search.hybrid import HybridSearcher


class ChatSession:
    def __init__(self, config: Any) -> None:
        self.config = config
        self.chat_config = SimpleNamespace(min_relevance=config.chat.min_relevance)
        self._searcher = HybridSearcher(config=config)

    def _retrieve_with_fallback(self, question: str, budget_context: int) -> list[Any]:
        least = self.chat_config.min_relevance
        found = self._searcher.search(query=question, limit=4)
        return [one for one in found if one.combined_score >= least]
