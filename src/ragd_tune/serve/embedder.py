"""An embedding model with ragd's protocol, pinned to one content id for life."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ragd_tune.backends import MultiVector
from ragd_tune.errors import UsageError
from ragd_tune.plan import ModelFacts, Role
from ragd_tune.serve.pinned import Pinned
from ragd_tune.serve.served import ServedModel

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Embedder(Pinned):
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

    slot = "embedder"

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
        super().__init__(opener, id=id, name=name, facts=facts)
        self._space = space
        self._one_encoder = one_encoder

    # -- what it is ---------------------------------------------------------------------------

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
