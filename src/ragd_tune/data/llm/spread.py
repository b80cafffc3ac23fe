"""Many requests from the machines of a cluster, each to the endpoint that it has itself."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ragd_tune.data.cluster import Cluster
from ragd_tune.data.journal import Journal
from ragd_tune.data.llm.endpoint import KEY, Endpoint
from ragd_tune.data.llm.jobs import Answered, Budget, Clock, Job, Outcome, Parse, ask_one, take


def ask_spread(
    cluster: Cluster,
    endpoint: Endpoint,
    jobs: Sequence[Job],
    journal: Journal,
    parse: Parse,
    *,
    workers: int = 4,
    budget: Budget = Budget(),  # noqa: B008 - frozen
    progress: Callable[[str, float], None] = lambda text, done: None,
) -> Outcome:
    """Do what :func:`ragd_tune.data.llm.jobs.ask_all` does, from every machine of ``cluster``.

    Each has ``workers`` requests under way at a time. An address like ``localhost`` is the
    machine's own, and the key comes from its own environment: it does not travel.

    :raises EndpointError: as there.
    """
    told = Outcome(known=sum(job.key in journal for job in jobs))
    left = [job for job in jobs if job.key not in journal]
    clock = Clock(budget, len(left))
    told.stopped = clock.spent(told.tokens)
    if told.stopped or not left:
        return told
    make = partial(_Asker, replace(endpoint, key=""), parse)
    items = [json.dumps(asdict(job)) for job in left]
    progress("asking the model", told.known / len(jobs))
    for made in cluster.map(make, items, block=1, ordered=False, at_once=workers):
        for row in made["answered"]:
            take(Answered(**json.loads(str(row))), journal, told)
        progress(clock.say(told), (told.known + told.asked) / len(jobs))
        told.stopped = clock.spent(told.tokens)
        if told.stopped:
            break
    return told


class _Asker:
    """Asks the endpoint that this machine knows under the address."""

    def __init__(self, endpoint: Endpoint, parse: Parse) -> None:
        self._endpoint = replace(endpoint, key=os.environ.get(KEY, ""), _address=None)
        _ = self._endpoint.address  # the rule about other machines holds here too
        self._parse = parse

    def __call__(self, jobs: NDArray[Any]) -> dict[str, NDArray[Any]]:
        found = (ask_one(self._endpoint, Job(**json.loads(str(one))), self._parse) for one in jobs)
        rows = [json.dumps(asdict(one)) for one in found]
        return {"answered": np.array(rows, dtype=object)}
