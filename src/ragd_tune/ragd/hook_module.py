"""Wait for ragd to be imported, then hand its modules to ragd-tune. Put here by `host enable`.

Taken out again by `ragd-tune host disable`, or by removing this file and ragd_tune_host.pth.
"""

import sys

WATCHED = frozenset(
    {
        "ragd.chat.session",
        "ragd.embedding.embedder",
        "ragd.ingestion.pipeline",
        "ragd.search.hybrid",
    }
)


class Finder:
    """Let Python find ragd's modules as ever, and look at them once they have been run."""

    @staticmethod
    def find_spec(name, path=None, target=None):  # type: ignore[no-untyped-def]
        """Return the module's own spec with a loader that patches behind it."""
        if name not in WATCHED:
            return None
        from importlib.machinery import PathFinder

        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            try:
                from ragd_tune.ragd.hook import Loader
            except ImportError as error:
                sys.stderr.write(f"ragd-tune's hook finds no ragd-tune: {error}\n")
                return None
            spec.loader = Loader(spec.loader)  # type: ignore[assignment]
        return spec


if not any(getattr(one, "__module__", "") == __name__ for one in sys.meta_path):
    sys.meta_path.insert(0, Finder)
