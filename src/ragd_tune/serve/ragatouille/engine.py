"""Calls to RAGatouille in its own process, each with a bound of time."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, Self

import numpy as np

from ragd_tune.errors import NotInstalledError, TuneError, UsageError
from ragd_tune.lines import lines_of
from ragd_tune.serve.ragatouille import ending

if TYPE_CHECKING:
    from numpy.typing import NDArray

DRIVER = Path(__file__).with_name("driver.py")
PINS = (
    'pip install "ragatouille==0.0.9.post2" "langchain<1" "transformers<5" psutil '
    "in an environment of its own; see docs/how-to/ragatouille.md"
)
SECONDS = 600.0
"""A call's bound of time: the first one may compile C++, which takes minutes on a slow machine."""

Found = list[tuple[str, float]]


class Ragatouille:
    """RAGatouille behind an interpreter of its own. Use it as a context, or close it.

    :param python: the interpreter of an environment with RAGatouille in it.
    :param folder: where it may write: compiled extensions, and a log of what it printed.
    :param seconds: after so long without an answer the process is killed, children and all.
    """

    def __init__(self, python: Path, folder: Path, *, seconds: float = SECONDS) -> None:
        self.python = python
        self.folder = folder
        self.seconds = seconds
        self._process: subprocess.Popen[str] | None = None
        self._started = 0.0
        self._answers: queue.Queue[str] = queue.Queue()

    # -- what it can do -----------------------------------------------------------------------

    def versions(self) -> dict[str, str]:
        """Return the versions of RAGatouille and its libraries; the first call imports them.

        :raises NotInstalledError: it is not there, or does not import.
        """
        try:
            return dict(self._call("check")["versions"])
        except TuneError as error:
            if isinstance(error, NotInstalledError):
                raise
            what = f"{self.python} does not run RAGatouille: {error.message}"
            raise NotInstalledError(what, mend=PINS) from error

    def scores(
        self, model: Path, queries: Sequence[str], documents: Sequence[str]
    ) -> NDArray[np.float32]:
        """Return MaxSim of every query with every document, float32 (queries, documents).

        ``model`` is a Stanford checkpoint, as ``--format stanford`` writes it.
        """
        if not queries or not documents:
            return np.zeros((len(queries), len(documents)), np.float32)
        asked = {"queries": list(queries), "documents": list(documents)}
        return np.array(self._call("scores", model=_place(model), **asked)["scores"], np.float32)

    def rerank(self, model: Path, query: str, documents: Sequence[str]) -> NDArray[np.float32]:
        """Return one score a document, in their order."""
        found: NDArray[np.float32] = self.scores(model, [query], documents)[0]
        return found

    def index(self, model: Path, documents: Mapping[str, str], out: Path, *, length: int) -> Path:
        """Build an index of ``documents`` (id → text) under ``out`` and return its folder.

        :param length: tokens of a document; longer ones are cut.
        :raises UsageError: there are no documents, or ``out`` holds something.
        """
        if not documents:
            raise UsageError("an index needs documents")
        if out.exists() and any(out.iterdir()):
            raise UsageError(f"{out}: is there already", mend="name a folder that is not")
        made = self._call(
            "index",
            model=_place(model),
            ids=list(documents),
            documents=list(documents.values()),
            root=str(out.resolve()),
            name="index",
            length=length,
        )
        return Path(made["index"])

    def search(self, index: Path, queries: Sequence[str], k: int) -> list[Found]:
        """Return the best ``k`` documents of every query with their scores, the best first."""
        if not queries:
            return []
        made = self._call("search", index=_place(index), queries=list(queries), k=k)
        return [[(str(name), float(score)) for name, score in row] for row in made["found"]]

    def train(self) -> NoReturn:
        """Refuse to train.

        :raises UsageError: always.
        """
        raise UsageError(
            "RAGatouille is a serving engine here and trains nothing: without a GPU its training "
            "process dies and the one that waits for it waits for ever",
            mend="train with `ragd-tune train colbert`; RAGatouille loads what is exported",
        )

    # -- the process ---------------------------------------------------------------------------

    def _call(self, do: str, **job: Any) -> dict[str, Any]:
        """Send one job and wait for its answer.

        :raises TuneError: it failed, ended or took too long; then the process is gone.
        """
        process = self._running()
        stdin = process.stdin
        assert stdin is not None
        try:
            stdin.write(json.dumps({"do": do, **job}) + "\n")
            stdin.flush()
            answer = json.loads(self._answers.get(timeout=self.seconds))
        except queue.Empty as error:
            self.close()
            raise TuneError(
                f"RAGatouille gave no answer to {do!r} within {self.seconds:.0f} seconds "
                f"and was ended; {self._log} has what it printed",
                mend="give it more time, or fewer documents",
            ) from error
        except (OSError, ValueError) as error:
            self.close()
            raise TuneError(
                f"RAGatouille ended without an answer to {do!r}: {self._last_words()}",
                mend=f"{self._log} has everything that it printed",
            ) from error
        if "error" in answer:
            raise TuneError(f"RAGatouille cannot {do}: {answer['error']}", mend=str(self._log))
        made: dict[str, Any] = answer["done"]
        return made

    @property
    def _log(self) -> Path:
        return self.folder / "ragatouille.log"

    def _last_words(self) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1] if lines else "it printed nothing"

    def _running(self) -> subprocess.Popen[str]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        self.folder.mkdir(parents=True, exist_ok=True)
        self._started = time.time()
        ending.unlock(self._extensions, until=self._started - ending.STALE)
        try:
            with self._log.open("w", encoding="utf-8") as log:
                process = subprocess.Popen(
                    [str(self.python), "-u", str(DRIVER)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    text=True,
                    encoding="utf-8",
                    cwd=self.folder,
                    env=self._environment(),
                    start_new_session=True,
                )
        except OSError as error:
            raise NotInstalledError(f"{self.python} cannot be run: {error}", mend=PINS) from error
        assert process.stdout is not None
        self._answers = lines_of(process.stdout)
        self._process = process
        return process

    def _environment(self) -> dict[str, str]:
        """Return this process's environment without its Python, and without the network."""
        own = {name: v for name, v in os.environ.items() if not name.startswith("PYTHON")}
        tools = str(self.python.parent)  # ninja, where pip put it
        return own | {
            "HF_HUB_OFFLINE": "1",
            "PATH": os.pathsep.join([tools, own.get("PATH", "")]),
            "TORCH_EXTENSIONS_DIR": str(self._extensions),
        }

    @property
    def _extensions(self) -> Path:
        """Where compiled extensions are kept."""
        own = os.environ.get("TORCH_EXTENSIONS_DIR")
        return Path(own) if own else self.folder.resolve() / "extensions"

    def close(self) -> None:
        """End the process and everything that it started; a second call does nothing."""
        process, self._process = self._process, None
        if process is None:
            return
        ending.kill(process.pid)
        process.wait()
        ending.unlock(self._extensions, since=self._started)
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _place(path: Path) -> str:
    """Return a path that means the same in another process's folder.

    :raises UsageError: there is nothing.
    """
    if not path.is_dir():
        raise UsageError(f"{path}: there is no such folder")
    return str(path.resolve())
