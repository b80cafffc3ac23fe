"""Repositories on the hub: what lies in one, fetch some of it, put something there.

Only what is asked for is fetched, and its size is known before; nothing is sent but by :func:`put`.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragd_tune.errors import NotInstalledError, StoreError, TuneError, UsageError
from ragd_tune.models import hub

if TYPE_CHECKING:
    from huggingface_hub import HfApi

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_KEPT = frozenset({".gitattributes", ".gitignore"})
"""Files that the hub puts into a repository itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What lies in a repository at one commit: sizes in bytes by name."""

    repo: str
    commit: str
    private: bool
    files: Mapping[str, int]


def parse(name: str) -> tuple[str, str | None]:
    """Split ``owner/name[@revision]``.

    :raises UsageError: it cannot be a repository's name.
    """
    repo, at, revision = name.partition("@")
    if not _NAME.fullmatch(repo) or ".." in repo or (at and not revision):
        raise UsageError(
            f"{name!r} is no repository on the hub", mend="name it as owner/name, or owner/name@v1"
        )
    return repo, revision or None


def find(repo: str, revision: str | None, *, endpoint: str | None = None) -> Listing:
    """Return what lies in ``repo`` at ``revision`` (its main branch if None).

    :raises NotInstalledError: it is not there, not to be seen, or the hub cannot be reached.
    """
    with _plain(repo, revision):
        info = _api(endpoint).model_info(repo, revision=revision, files_metadata=True)
    files = {one.rfilename: int(one.size or 0) for one in info.siblings or ()}
    return Listing(repo=repo, commit=str(info.sha), private=info.private is not False, files=files)


def fetch(listing: Listing, name: str, folder: Path, *, endpoint: str | None = None) -> Path:
    """Copy one file of a listing into ``folder``, as a plain file of its own.

    The hub's cache keeps it too; a download that broke off goes on where it stopped.

    :raises NotInstalledError: as :func:`find`.
    """
    with _plain(listing.repo, listing.commit):
        found = _api(endpoint).hf_hub_download(listing.repo, name, revision=listing.commit)
    target = folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(found, target)
    return target


def put(
    repo: str,
    files: Mapping[str, Path | bytes],
    *,
    public: bool,
    message: str,
    endpoint: str | None = None,
) -> str:
    """Make ``repo`` hold exactly ``files`` in one commit; return the commit's address.

    A repository that is not there is made: private, unless ``public``.

    :raises UsageError: the repository is public, and ``public`` was not said.
    :raises StoreError: the hub refuses.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    api = _api(endpoint)
    there = _ready(api, repo, public=public, endpoint=endpoint)
    stale = sorted(there - files.keys() - _KEPT)
    operations: list[CommitOperationAdd | CommitOperationDelete] = [
        *(CommitOperationAdd(name, _content(files[name])) for name in sorted(files)),
        *(CommitOperationDelete(name) for name in stale),
    ]
    with _sending(repo):
        made = api.create_commit(repo, operations, commit_message=message)
    return str(made.commit_url)


def _content(content: Path | bytes) -> str | bytes:
    return content if isinstance(content, bytes) else str(content)


def _ready(api: HfApi, repo: str, *, public: bool, endpoint: str | None) -> set[str]:
    """Make the repository unless it is there; return the names of its files."""
    try:
        found = find(repo, None, endpoint=endpoint)
    except NotInstalledError as error:
        if "is not there" not in error.message:
            raise
        with _sending(repo):
            api.create_repo(repo, private=not public)
        return set()
    if not found.private and not public:
        raise UsageError(
            f"{repo} is public: everybody would see the adapter",
            mend="name another repository, or say --public",
        )
    return set(found.files)


def _api(endpoint: str | None) -> HfApi:
    if hub.is_offline():
        raise NotInstalledError(
            "the hub is not asked: offline", mend="unset HF_HUB_OFFLINE for this command"
        )
    from huggingface_hub import HfApi

    return HfApi(endpoint=endpoint)


@contextmanager
def _plain(repo: str, revision: str | None) -> Iterator[None]:
    """Turn what the library raises while it reads into words of ours."""
    try:
        yield
    except TuneError:
        raise
    except Exception as error:  # whatever the library or the network raises
        found = hub.explain(repo, revision, error)
        raise NotInstalledError(found.reason, mend=found.mend) from error


@contextmanager
def _sending(repo: str) -> Iterator[None]:
    """The same while it writes: there the reason is often that nobody is logged in."""
    try:
        yield
    except Exception as error:  # whatever the library or the network raises
        code = _status(error)
        if code in {401, 403}:
            raise StoreError(
                f"the hub does not let you write to {repo}",
                mend="hf auth login, with a token that may write",
            ) from error
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise StoreError(
            f"{repo} was not pushed: {first}"[:300], mend="nothing was changed there; try again"
        ) from error


def _status(error: BaseException | None) -> int | None:
    """Return the HTTP status behind an error, or behind what caused it."""
    while error is not None:
        response: Any = getattr(error, "response", None)
        if response is not None:
            return int(response.status_code)
        error = error.__cause__
    return None
