"""What a search found: the best of its trials beside the defaults, and as a configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import yaml

from ragd_tune.autotune.attempts import Attempt, best
from ragd_tune.config import Setting
from ragd_tune.options import Value

if TYPE_CHECKING:
    from ragd_tune.evaluate.significance import Comparison

_LEFT_OPEN = {"default", "kind"}


def configuration(
    settings: Mapping[str, Setting], chosen: Mapping[str, Value], heading: Sequence[str]
) -> str:
    """Return a YAML file for ``--config``: what the user set, and what the search chose.

    Options that neither of them decided are left out, and keep their defaults.
    """
    own = {
        name: one.value
        for name, one in settings.items()
        if one.source not in _LEFT_OPEN and one.value is not None
    }
    values = {**own, **chosen}
    plain = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in sorted(values.items())
    }
    notes = "".join(f"# {line}\n" for line in heading)
    return notes + yaml.safe_dump(plain, sort_keys=False, allow_unicode=True)


def against_defaults(
    attempts: Sequence[Attempt], clusters: Mapping[str, str], *, seed: int
) -> Comparison | None:
    """Compare the best trial with the first, which took the defaults, query by query on dev.

    None where the first is the best, or failed, or where both were not judged by the same queries.
    Being the best of many, the difference is too large: it says what cannot be told from chance.
    """
    from ragd_tune.evaluate.significance import paired

    top, first = best(attempts), attempts[0]
    if top is None or top.number == 0 or not first.queries:
        return None
    if top.queries.keys() != first.queries.keys():
        return None
    ids = list(first.queries)
    differences = [top.queries[qid] - first.queries[qid] for qid in ids]
    return paired(differences, [clusters.get(qid, qid) for qid in ids], seed=seed)
