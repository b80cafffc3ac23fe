"""Ask a language model through any OpenAI-compatible endpoint, on this machine unless allowed."""

from __future__ import annotations

from ragd_tune.data.llm.endpoint import Answer, Endpoint, EndpointError
from ragd_tune.data.llm.jobs import Budget, Job, Outcome, ask_all
from ragd_tune.data.llm.kept import Keeper

__all__ = ["Answer", "Budget", "Endpoint", "EndpointError", "Job", "Keeper", "Outcome", "ask_all"]
