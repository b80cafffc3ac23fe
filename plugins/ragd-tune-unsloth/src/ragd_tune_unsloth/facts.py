"""What a sentence-transformers model is, whoever made it."""

from __future__ import annotations

from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling

from ragd_tune.plan import ModelFacts
from ragd_tune.training.facts import by_role, limit


def facts_of(model: SentenceTransformer) -> ModelFacts:
    """Read what a loaded model is."""
    dimension = model.get_embedding_dimension()
    assert dimension is not None
    return ModelFacts(
        dimension=dimension,
        max_length=limit(model.max_seq_length),
        pooling=_pooling(model),
        normalise=any(isinstance(module, Normalize) for module in model)
        or model.similarity_fn_name == "cosine",
        prompts=by_role(model.prompts, model.default_prompt_name),
    )


def _pooling(model: SentenceTransformer) -> str:
    for module in model:
        if isinstance(module, Pooling):
            mode = module.pooling_mode
            return mode if isinstance(mode, str) else "+".join(mode)
    return ""
