"""Hugging Face's hub and its cache, reached with huggingface_hub: safetensors only, never code."""

from __future__ import annotations

import errno
import logging
import re
from dataclasses import dataclass
from pathlib import Path

_log = logging.getLogger(__name__)
_SHA = re.compile(r"[0-9a-f]{40}")
_NAME = re.compile(r"[\w][\w.-]*(/[\w][\w.-]*)?")
_WANTED = (
    "*.safetensors", "*.json", "*.txt", "*.model", "*.jinja",
)  # fmt: skip
# Other formats of the same weights, and checkpoints on the way to them.
_NOT_WANTED = (
    "onnx/*", "openvino/*", "coreml/*", "gguf/*", "original/*", "checkpoint*/*", "runs/*",
    "data_config.json", "trainer_state.json", "optimizer*", "consolidated*",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A model on the hub: the repositories that the name may mean, in order, and the revision."""

    repos: tuple[str, ...]
    revision: str | None = None

    @classmethod
    def parse(cls, name: str) -> Wanted | None:
        """Read ``owner/name[@revision]``; None if ``name`` cannot be one.

        A name without an owner is looked for under ``sentence-transformers`` first, as that
        library does, and then as it stands.
        """
        repo, _, revision = name.partition("@")
        if not _NAME.fullmatch(repo) or ".." in repo or ("@" in name and not revision):
            return None
        repos = (repo,) if "/" in repo else (f"sentence-transformers/{repo}", repo)
        return cls(repos=repos, revision=revision or None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """Why a place has no such model, and the command that mends it."""

    reason: str
    mend: str = ""


def revision_of(folder: Path) -> str | None:
    """Return the commit that a folder of the cache holds."""
    return folder.name if _SHA.fullmatch(folder.name) else None


def cached(wanted: Wanted, *, cache: Path | None = None) -> Path | Missing:
    """Return the model's folder in the hub's cache, without asking the network."""
    found: Path | Missing = Missing(reason="the name cannot be one of the hub's")
    for repo in wanted.repos:
        found = _fetch(repo, wanted.revision, cache, local_only=True)
        if isinstance(found, Path):
            return found
        if found.mend:  # an unfinished download says more than the next name's absence
            return found
    return found


def download(
    wanted: Wanted, *, cache: Path | None = None, endpoint: str | None = None
) -> Path | Missing:
    """Fetch the model into the hub's cache; what was fetched before is not fetched again."""
    told: list[Missing] = []
    for repo in wanted.repos:
        found = _fetch(repo, wanted.revision, cache, local_only=False, endpoint=endpoint)
        if isinstance(found, Path):
            return found
        told.append(found)
    # For a short name, "not found" under one owner says less than anything said of the other.
    return next((one for one in told if "is not there" not in one.reason), told[0])


def is_offline() -> bool:
    """Say whether ``HF_HUB_OFFLINE`` (or ``TRANSFORMERS_OFFLINE``) forbids the network."""
    from huggingface_hub import is_offline_mode

    return is_offline_mode()


def _fetch(
    repo: str,
    revision: str | None,
    cache: Path | None,
    *,
    local_only: bool,
    endpoint: str | None = None,
) -> Path | Missing:
    from huggingface_hub import snapshot_download

    try:
        folder = snapshot_download(
            repo,
            revision=revision,
            cache_dir=cache,
            local_files_only=local_only,
            allow_patterns=list(_WANTED),
            ignore_patterns=list(_NOT_WANTED),
            endpoint=endpoint,
        )
    # Whatever the library or the network raises is one reason in a list of places.
    except Exception as error:  # noqa: BLE001
        _log.debug("%s: %s", repo, error)
        return explain(repo, revision, error, local_only=local_only)
    return Path(folder)


def explain(
    repo: str, revision: str | None, error: Exception, *, local_only: bool = False
) -> Missing:
    """Return the reason in plain words; the narrow classes come before their bases."""
    from huggingface_hub import errors

    fetch = f"hf download {repo}" + (f" --revision {revision}" if revision else "")
    if isinstance(error, errors.IncompleteSnapshotError) and local_only:
        return Missing(reason=f"the download of {repo} is unfinished", mend=fetch)
    if local_only:
        return Missing(reason=f"{repo}{'@' + revision if revision else ''} is not there")
    if isinstance(error, errors.GatedRepoError):
        mend = f"accept the terms on the page of {repo}, then: hf auth login"
        return Missing(reason=f"{repo} is gated: its terms were not accepted", mend=mend)
    if isinstance(error, errors.RepositoryNotFoundError):
        mend = "check the name; for a private model: hf auth login"
        return Missing(reason=f"{repo} is not there, or it is private", mend=mend)
    if isinstance(error, errors.RevisionNotFoundError):
        return Missing(reason=f"{repo} has no revision {revision!r}", mend="check the revision")
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        mend = "free some space, or set HF_HOME to a folder on another disk"
        return Missing(reason=f"no space is left on the disk for {repo}", mend=mend)
    if isinstance(error, errors.LocalEntryNotFoundError):
        mend = f"on a machine that reaches it: {fetch}; then copy its cache here"
        return Missing(reason="the hub cannot be reached from here", mend=mend)
    first = next(iter(str(error).splitlines()), "")
    return Missing(reason=f"{type(error).__name__}: {first}"[:300], mend=fetch)
