"""Tiny random language models with a tokenizer and a chat template, made from a seed.

They say nothing worth reading and take milliseconds: what they test is that tokens, masks, names
and shapes of an architecture pass through training, saving, loading and generating.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from ragd_tune.testing.samples import WORDS

LM_ARCHITECTURES = ("llama", "qwen2", "qwen3")
"""Names as in ``model_type`` of a transformers configuration."""

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""The template of Qwen's and of many other models."""

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")


def tiny_lm(
    folder: Path,
    architecture: str = "llama",
    *,
    seed: int = 0,
    hidden: int = 64,
    max_length: int = 512,
    chat: bool = True,
    tied: bool = False,
) -> Path:
    """Write a tiny causal language model below ``folder`` and return its folder.

    :param chat: give the tokenizer a chat template (ChatML).
    :param tied: let the output layer share the weights of the embeddings.

    Needs ``torch`` and ``transformers``, as every backend that is tested with it does.
    """
    # Imported by name, as in `ragd_tune.testing.tiny`.
    torch, transformers = import_module("torch"), import_module("transformers")
    home = folder / f"tiny-{architecture}-{seed}"
    tokenizer = _tokenizer(transformers, max_length)
    if chat:
        tokenizer.chat_template = CHATML
    tokenizer.save_pretrained(str(home))
    config = transformers.AutoConfig.for_model(
        architecture,
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        intermediate_size=2 * hidden,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=hidden // 2,
        max_position_embeddings=max_length,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=tied,
        initializer_range=0.1,  # wider than usual: two layers still tell texts apart
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = transformers.AutoModelForCausalLM.from_config(config).float()
    model.save_pretrained(str(home))
    return home


def _tokenizer(transformers: Any, max_length: int) -> Any:
    """Return a byte-level BPE that has the samples' words as tokens, and every text as bytes."""
    tokenizers = import_module("tokenizers")
    pieces = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {piece: number for number, piece in enumerate([*SPECIAL, *pieces])}
    merges: dict[tuple[str, str], None] = {}
    for word in (f"{start}{word}" for word in WORDS for start in ("", "Ġ")):
        for end in range(1, len(word)):  # words grow from the left, one letter at a time
            merges[word[:end], word[end]] = None
            vocabulary.setdefault(word[: end + 1], len(vocabulary))
    made = tokenizers.Tokenizer(tokenizers.models.BPE(vocabulary, list(merges)))
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = tokenizers.decoders.ByteLevel()
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=made,
        **dict(zip(("pad_token", "eos_token"), (SPECIAL[0], SPECIAL[2]), strict=True)),
        additional_special_tokens=[SPECIAL[1]],
        model_max_length=max_length,
        clean_up_tokenization_spaces=False,
    )
