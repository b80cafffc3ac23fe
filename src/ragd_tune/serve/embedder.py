"""An embedding model with ragd's protocol, pinned to one content id for life."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

from ragd_tune.backends import MultiVector
from ragd_tune.errors import UsageError
from ragd_tune.plan import ModelFacts, Role
from ragd_tune.serve.served import ServedModel

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Embedder:
    """Texts to vectors, by one model that never changes under this object.

    ragd's protocol is ``embed``, ``embed_single``, ``dimension``, ``model_name`` and
    ``is_loaded``; :meth:`embed_queries` and :meth:`embed_documents` give arrays and know the
    role. Calls may come from several threads; they run one after the other.

    :param opener: loads the model; called once, at first use.
    :param id: content id of the adapter, or a bare base's fingerprint.
    :param name: what users call it.
    :param facts: the model's facts where they are known before it is loaded.
    :param space: id of the documents' vector space, from the facts.
    :param one_encoder: queries and documents go through the same weights (not a query adapter).
    """

    def __init__(
        self,
        opener: Callable[[], ServedModel],
        *,
        id: str,  # noqa: A002 - the store's word
        name: str,
        facts: ModelFacts | None,
        space: Callable[[ModelFacts], str],
        one_encoder: bool = True,
    ) -> None:
        self._opener = opener
        self._id = id
        self._name = name
        self._known = facts
        self._space = space
        self._one_encoder = one_encoder
        self._served: ServedModel | None = None
        self._closed = False
        self._lock = threading.RLock()

    # -- what it is ---------------------------------------------------------------------------

    @property
    def id(self) -> str:
        """Content id of the adapter, or the fingerprint of a bare base; never changes."""
        return self._id

    @property
    def model_name(self) -> str:
        """What users call the model."""
        return self._name

    @property
    def facts(self) -> ModelFacts:
        """What the model is; loads it if that is not known yet."""
        return self._known if self._known is not None else self.load().facts

    @property
    def dimension(self) -> int:
        """Floats of one vector."""
        return self.facts.dimension

    @property
    def space(self) -> str:
        """Id of the space that document vectors lie in: an index of another one does not fit."""
        return self._space(self.facts)

    @property
    def symmetric(self) -> bool:
        """Whether a text has one vector, whatever its role."""
        prompts = self.facts.prompts
        return self._one_encoder and prompts.get("query", "") == prompts.get("document", "")

    @property
    def is_loaded(self) -> bool:
        """Whether the weights are in memory."""
        return self._served is not None

    # -- vectors ------------------------------------------------------------------------------

    def embed_queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return float32 (n, dimension) of queries."""
        return self._embed(texts, "query")

    def embed_documents(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return float32 (n, dimension) of documents."""
        return self._embed(texts, "document")

    def embed(self, texts: Sequence[str], role: Role | None = None) -> list[list[float]]:
        """Return vectors as lists, as ragd takes them.

        :raises UsageError: no ``role`` is given and this model needs one.
        """
        rows: list[list[float]] = self._embed(texts, self._role(role)).tolist()
        return rows

    def embed_single(self, text: str, role: Role | None = None) -> list[float]:
        """Return the vector of one text; raises as :meth:`embed`."""
        return self.embed([text], role)[0]

    def _role(self, role: Role | None) -> Role:
        if role is not None:
            if role not in ("query", "document"):
                raise UsageError(f"there is no role {role!r}", mend="use 'query' or 'document'")
            return role
        if not self.symmetric:
            raise UsageError(
                f"{self._name} embeds queries and documents differently, and embed() was not "
                "told which these are",
                mend="call embed_queries() or embed_documents(), or pass role=",
            )
        return "document"

    def _embed(self, texts: Sequence[str], role: Role) -> NDArray[np.float32]:
        with self._lock:
            answer = self.load().embed(texts, role)
        if isinstance(answer, MultiVector):
            raise UsageError(
                f"{self._name} makes many vectors a text: it reranks, and is no embedder"
            )
        return answer

    # -- life ---------------------------------------------------------------------------------

    def load(self) -> ServedModel:
        """Load the model unless it is; return it.

        :raises UsageError: the embedder was closed.
        """
        with self._lock:
            if self._closed:
                raise UsageError(f"the embedder {self._name} is closed", mend="load it again")
            if self._served is None:
                self._served = self._opener()
                self._known = self._served.facts
            return self._served

    def close(self) -> None:
        """Give the memory back, after the call that is running; it cannot be used again."""
        with self._lock:
            served, self._served, self._closed = self._served, None, True
        if served is not None:
            served.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
