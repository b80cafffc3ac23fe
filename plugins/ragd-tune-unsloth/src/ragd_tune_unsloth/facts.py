"""What a sentence-transformers model is, whoever made it."""

from __future__ import annotations

from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling

from ragd_tune.plan import ModelFacts, Role

ROLES: dict[Role, tuple[str, ...]] = {
    "query": ("query",),
    "document": ("document", "passage", "corpus"),
}
"""Names under which sentence-transformers looks for a role's prompt, first match first."""

NO_LIMIT = 1 << 20
"""Tokens of a model without a limit: its tokenizer reports a number with 30 digits."""


def facts_of(model: SentenceTransformer) -> ModelFacts:
    """Read what a loaded model is."""
    dimension, limit = model.get_embedding_dimension(), model.max_seq_length
    assert dimension is not None
    return ModelFacts(
        dimension=dimension,
        max_length=min(int(limit), NO_LIMIT) if limit else NO_LIMIT,
        pooling=_pooling(model),
        normalise=any(isinstance(module, Normalize) for module in model)
        or model.similarity_fn_name == "cosine",
        prompts=_prompts(model),
    )


def _pooling(model: SentenceTransformer) -> str:
    for module in model:
        if isinstance(module, Pooling):
            mode = module.pooling_mode
            return mode if isinstance(mode, str) else "+".join(mode)
    return ""


def _prompts(model: SentenceTransformer) -> dict[str, str]:
    default = model.prompts.get(model.default_prompt_name or "", "")
    found: dict[str, str] = {}
    for role, names in ROLES.items():
        # The library adds an empty "document" to every model: it must not hide a "passage".
        own = [model.prompts[name] for name in names if model.prompts.get(name)]
        prompt = own[0] if own else default
        if prompt:
            found[role] = prompt
    return found
