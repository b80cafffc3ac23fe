"""The store: manifests, content ids, records, activation and rollback, archives."""

from __future__ import annotations

from ragd_tune.store.activation import SLOTS, Activation
from ragd_tune.store.catalogue import Entry, Finding
from ragd_tune.store.manifest import BaseRef, FileEntry, Manifest, Prompts
from ragd_tune.store.records import Look, Record
from ragd_tune.store.safety import Limits
from ragd_tune.store.store import Store
from ragd_tune.store.vectors import VectorCache

__all__ = [
    "SLOTS",
    "Activation",
    "BaseRef",
    "Entry",
    "FileEntry",
    "Finding",
    "Limits",
    "Look",
    "Manifest",
    "Prompts",
    "Record",
    "Store",
    "VectorCache",
]
