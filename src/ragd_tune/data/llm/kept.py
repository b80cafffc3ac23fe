"""Questions to a language model whose answers are kept as they come, and asked for once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ragd_tune.data.journal import Journal
from ragd_tune.data.llm.endpoint import Endpoint
from ragd_tune.data.llm.jobs import Budget, Job, Outcome, Parse, ask_all

if TYPE_CHECKING:
    from ragd_tune.data.cluster import Cluster

Progress = Callable[[str, float], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeper:
    """Whom to ask, how, and the folder where the answers are kept.

    ``workers`` is how many requests are under way at a time, on each machine of a ``cluster``.
    """

    endpoint: Endpoint
    folder: Path
    workers: int = 4
    budget: Budget = field(default_factory=Budget)
    cluster: Cluster | None = None
    progress: Progress = lambda text, done: None

    @property
    def settings(self) -> list[object]:
        """What answers depend on beside the question; the address is not part of it."""
        one = self.endpoint
        return [one.model, one.temperature, one.max_tokens, one.seed]

    def digest(self, prompt: str, *on: object) -> str:
        """Return the sha256 of all that answers depend on: the settings, a prompt's id, ``on``."""
        told = json.dumps([*self.settings, prompt, *on], sort_keys=True)
        return hashlib.sha256(told.encode()).hexdigest()

    def ask(
        self,
        what: str,
        digest: str,
        jobs: Mapping[str, Job],
        parse: Parse,
    ) -> tuple[dict[str, object], Outcome]:
        """Return what ``parse`` made of each answer, of those that came, and what it took.

        The same call goes on where an earlier one was killed, and asks nothing twice. The order in
        which answers come does not matter.

        :param digest: of all that the answers depend on: with another one, all is asked anew.
        :raises EndpointError: the endpoint refuses or is gone; what came is kept.
        """
        path = self.folder / f"{what}-{digest[:16]}.jsonl"
        with Journal(path, {"asked": what, "id": digest}) as journal:
            outcome = self._asks()(
                self.endpoint,
                list(jobs.values()),
                journal,
                parse,
                workers=self.workers,
                budget=self.budget,
                progress=self.progress,
            )
            return {key: journal.get(key)["made"] for key in jobs if key in journal}, outcome

    def _asks(self) -> Callable[..., Outcome]:
        if self.cluster is None:
            return ask_all
        from ragd_tune.data.llm.spread import ask_spread

        return partial(ask_spread, self.cluster)
