"""ragd's Chroma store, read from a snapshot: what ragd wrote is never opened for writing here.

Opening a Chroma store changes its files, and a newer chromadb migrates them so that an older one
cannot read them any more. So SQLite copies the database (whole, even while ragd writes), and
chromadb opens the copy.
"""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ragd_tune.errors import DataError, NotInstalledError

DOCUMENTS = "ragd_documents"
"""ragd's collection of chunks: texts, metadata and the vectors that are searched."""
RECORDS = "ragd_metadata"
"""ragd's collection of documents: path, hash of the content, number of chunks."""
DATABASE = "chroma.sqlite3"
_BATCH = 500
_TRIES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """One chunk as ragd keeps it.

    ``metadata`` holds ``document_id``, ``source`` (the file's path), ``chunk_index`` and more.
    """

    id: str
    text: str
    metadata: Mapping[str, str | int | float | bool]


def chunks(chroma_dir: Path, *, scratch: Path | None = None) -> Iterator[Chunk]:
    """Yield every chunk that ragd has indexed in ``chroma_dir``, in the order of their ids.

    :param scratch: where the snapshot is kept while this runs; a private folder of the system's
        for temporary files if None. It holds the documents' texts, and is removed at the end.
    :raises DataError: ragd has no index there, or it cannot be read.
    :raises NotInstalledError: chromadb is not here.
    """
    with reading(chroma_dir, scratch=scratch) as client:
        collection = client.get_collection(DOCUMENTS)
        for ids in batches(all_ids(collection), _BATCH):
            yield from get_chunks(collection, ids)


@contextlib.contextmanager
def reading(
    chroma_dir: Path, *, scratch: Path | None = None, vectors: Sequence[str] = ()
) -> Iterator[Any]:
    """Open a snapshot of ragd's store and yield chromadb's client for it.

    ``vectors`` names the collections whose vectors will be read, too; texts and metadata always
    can be.

    :raises DataError: there is no store with a collection of chunks.
    :raises NotInstalledError: chromadb is not here.
    """
    with tempfile.TemporaryDirectory(prefix="ragd-tune-index-", dir=scratch) as folder:
        snapshot(chroma_dir, Path(folder), vectors=vectors)
        client = open_client(Path(folder))
        try:
            if DOCUMENTS not in names(client):
                raise DataError(f"{chroma_dir}: ragd has indexed nothing there", mend=_INDEX)
            yield client
        finally:
            close_client(client)


_INDEX = "index your documents: ragd index FOLDER"


def database_of(chroma_dir: Path) -> Path:
    """Return the database of ragd's store; a :class:`DataError` says that there is none."""
    if not (found := chroma_dir / DATABASE).is_file():
        raise DataError(f"{chroma_dir}: ragd has indexed nothing there", mend=_INDEX)
    return found


def snapshot(chroma_dir: Path, out: Path, *, vectors: Sequence[str] = ()) -> None:
    """Copy ragd's store to the empty folder ``out`` without opening it for writing.

    :raises DataError: there is no store, or SQLite cannot read it.
    """
    database = database_of(chroma_dir)
    for left in range(_TRIES - 1, -1, -1):
        _back_up(database, out / DATABASE)
        folders = _vector_folders(out / DATABASE, vectors)
        before = _stamps(chroma_dir, folders)
        for name in folders:
            if (chroma_dir / name).is_dir():
                shutil.copytree(chroma_dir / name, out / name, dirs_exist_ok=True)
        if _stamps(chroma_dir, folders) == before:
            return
        if not left:
            mend = "wait until `ragd index` has ended, then try again"
            raise DataError(f"{chroma_dir}: ragd keeps writing there", mend=mend)


def _back_up(database: Path, target: Path) -> None:
    try:
        with (
            contextlib.closing(_read_only(database)) as source,
            contextlib.closing(sqlite3.connect(target)) as copy,
        ):
            source.backup(copy)
    except sqlite3.Error as error:
        raise DataError(
            f"{database}: cannot be read: {error}",
            mend="run `ragd info` once, so that ragd puts its index right, then try again",
        ) from error


def _read_only(database: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro", uri=True, timeout=30)


def _vector_folders(database: Path, collections: Sequence[str]) -> list[str]:
    """Return the folders that hold the vectors of ``collections``."""
    query = (
        "SELECT collections.name, segments.id FROM segments JOIN collections"
        " ON segments.collection = collections.id WHERE segments.scope = 'VECTOR'"
    )
    with contextlib.closing(sqlite3.connect(database)) as copy:
        try:
            return [str(folder) for name, folder in copy.execute(query) if name in collections]
        except sqlite3.Error as error:
            raise DataError(
                f"{database.parent}: is no Chroma store that is known here: {error}",
                mend='pip install --upgrade "ragd-tune[ragd]"',
            ) from error


def _stamps(chroma_dir: Path, folders: Sequence[str]) -> list[tuple[str, int, int]]:
    paths = [path for name in folders for path in sorted((chroma_dir / name).glob("*"))]
    return [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in paths]


def migrations(chroma_dir: Path) -> frozenset[tuple[str, int]]:
    """Return which migrations a store has been through: what tells chromadb's versions apart."""
    with contextlib.closing(_read_only(chroma_dir / DATABASE)) as source:
        rows = source.execute("SELECT dir, version FROM migrations").fetchall()
    return frozenset((str(name), int(version)) for name, version in rows)


def names_in(chroma_dir: Path) -> set[str]:
    """Return the names of a store's collections, without opening it by chromadb.

    :raises DataError: there is no store, or SQLite cannot read it.
    """
    if not (chroma_dir / DATABASE).is_file():
        raise DataError(f"{chroma_dir}: ragd has indexed nothing there", mend=_INDEX)
    try:
        with contextlib.closing(_read_only(chroma_dir / DATABASE)) as source:
            return {str(row[0]) for row in source.execute("SELECT name FROM collections")}
    except sqlite3.Error as error:
        raise DataError(f"{chroma_dir / DATABASE}: cannot be read: {error}") from error


def documents_in(chroma_dir: Path) -> dict[str, str]:
    """Return the path of each document in a store by its id, without opening it by chromadb.

    A store that cannot be read tells none.
    """
    query = (
        "SELECT embeddings.embedding_id, told.string_value FROM embeddings"
        " JOIN segments ON embeddings.segment_id = segments.id"
        " JOIN collections ON segments.collection = collections.id"
        " LEFT JOIN embedding_metadata AS told"
        " ON told.id = embeddings.id AND told.key = 'chroma:document'"
        " WHERE collections.name = ?"
    )
    try:
        with contextlib.closing(_read_only(chroma_dir / DATABASE)) as source:
            rows = source.execute(query, (RECORDS,))
            return {str(key): str(path or key) for key, path in rows}
    except sqlite3.Error:
        return {}


def open_client(folder: Path) -> Any:
    """Return chromadb's client for ``folder``, with the settings that ragd opens its own with.

    :raises DataError: the store was written by a newer chromadb, or is damaged.
    :raises NotInstalledError: chromadb is not here.
    """
    if find_spec("chromadb") is None:
        raise NotInstalledError(
            "chromadb is not installed, and ragd's index is one of Chroma's",
            mend='pip install "ragd-tune[ragd]"',
        )
    chromadb = import_module("chromadb")
    settings = import_module("chromadb.config").Settings(
        anonymized_telemetry=False, allow_reset=True
    )
    try:
        return chromadb.PersistentClient(path=str(folder), settings=settings)
    except Exception as error:
        # chromadb has no common base of errors.
        raise DataError(
            f"{folder}: chromadb {chromadb.__version__} cannot open this index: {error}",
            mend="install the version of chromadb that ragd uses",
        ) from error


def close_client(client: Any) -> None:
    """Give files and memory back; older versions of chromadb cannot, and wait for the end."""
    close = getattr(client, "close", None)
    if close is not None:
        close()


def names(client: Any) -> set[str]:
    """Return the names of a store's collections."""
    # Versions differ in whether they list collections or their names.
    return {str(getattr(one, "name", one)) for one in client.list_collections()}


def all_ids(collection: Any) -> list[str]:
    """Return the ids of a collection, sorted."""
    return sorted(collection.get(include=[])["ids"])


def get_chunks(collection: Any, ids: Sequence[str]) -> list[Chunk]:
    """Return the chunks with ``ids``, in their order; those that are gone are left out."""
    found = collection.get(ids=list(ids), include=["documents", "metadatas"])
    rows = zip(found["ids"], found["documents"], found["metadatas"], strict=True)
    known = {
        key: Chunk(id=key, text=text or "", metadata=dict(metadata or {}))
        for key, text, metadata in rows
    }
    return [known[key] for key in ids if key in known]


def batches(items: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    """Cut ``items`` into pieces of at most ``size``."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
