"""Sets of things that belong together, by what ties them."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping


class Unions:
    """Disjoint sets with path halving; members appear when they are first named."""

    def __init__(self) -> None:
        self._up: dict[Hashable, Hashable] = {}

    def find(self, item: Hashable) -> Hashable:
        """Return a member that stands for the set that ``item`` is in."""
        up = self._up
        up.setdefault(item, item)
        while up[item] != item:
            up[item] = up[up[item]]
            item = up[item]
        return item

    def join(self, first: Hashable, second: Hashable) -> None:
        """Put two items into one set."""
        left, right = self.find(first), self.find(second)
        if left != right:
            self._up[right] = left


def components(ties: Mapping[str, Iterable[Hashable]]) -> dict[str, str]:
    """Return a name for the component of each key: keys that share a tie are in one.

    The name is the smallest key of the component, so it does not depend on the order of rows.
    """
    unions = Unions()
    for key, own in ties.items():
        for tie in own:
            unions.join(("key", key), ("tie", tie))
    least: dict[Hashable, str] = {}
    for key in ties:
        root = unions.find(("key", key))
        least[root] = min(key, least.get(root, key))
    return {key: least[unions.find(("key", key))] for key in ties}
