"""Base models: find one, say what it is, refuse what is not safe to load."""

from ragd_tune.models.bases import adopt, find, hold, locate, remember
from ragd_tune.models.fingerprint import files_digest, fingerprint, space_at, space_id
from ragd_tune.models.lengths import length_limit
from ragd_tune.models.resolve import resolve

__all__ = [
    "adopt",
    "files_digest",
    "find",
    "fingerprint",
    "hold",
    "length_limit",
    "locate",
    "remember",
    "resolve",
    "space_at",
    "space_id",
]
