"""Tiny random encoders with a tokenizer, in the architectures that embedding models really have.

They learn nothing worth knowing and take milliseconds: what they test is that names, shapes,
positions and special tokens of an architecture pass through training, saving and loading.
"""

from __future__ import annotations

import json
import string
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from ragd_tune.testing.samples import WORDS

ARCHITECTURES = ("bert", "xlm-roberta", "mpnet", "modernbert", "nomic_bert")
"""Names as in ``model_type`` of a transformers configuration."""

HIDDEN = 32
"""Dimension of the vectors."""

_Special = tuple[str, ...]

_BERT: _Special = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_MARKS: _Special = ("[unused0]", "[unused1]")
_FAIRSEQ: _Special = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
_ROLES: dict[_Special, _Special] = {
    _BERT: ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"),
    _FAIRSEQ: ("<pad>", "<unk>", "<s>", "</s>", "<mask>"),
}
"""Padding, unknown, first, last and mask. Fairseq's padding is 1, and positions start behind it."""


def tiny_encoder(
    folder: Path,
    architecture: str = "bert",
    *,
    seed: int = 0,
    dropout: float = 0.0,
    max_length: int = 64,
    pooling: str = "mean",
    prompts: Mapping[str, str] | None = None,
    plain: bool = False,
    marks: bool = False,
) -> Path:
    """Write a tiny encoder with random weights below ``folder`` and return its folder.

    :param dropout: of hidden states and attention alike.
    :param prompts: the model's own, by name (``query``, ``document``).
    :param plain: leave sentence-transformers' files out: a bare transformers encoder.
    :param marks: put ``[unused0]`` and ``[unused1]`` into the vocabulary, as BERT's has them.

    Needs ``torch`` and ``transformers``, as every backend that is tested with it does.
    """
    # Imported by name: the rule that the core imports no framework holds for the kit as well,
    # and only who calls this function has one.
    torch, transformers = import_module("torch"), import_module("transformers")
    home = folder / f"tiny-{architecture}-{seed}"
    special = _FAIRSEQ if architecture in {"xlm-roberta", "mpnet"} else _BERT
    words = _vocabulary(special, _MARKS if marks else ())
    _tokenizer(transformers, words, special, max_length).save_pretrained(str(home))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        config = transformers.AutoConfig.for_model(
            architecture, **_settings(architecture, special, len(words), dropout, max_length)
        )
        transformers.AutoModel.from_config(config).float().save_pretrained(str(home))
    if not plain:
        _modules(home, pooling, prompts or {}, max_length)
    return home


def _settings(
    architecture: str, special: _Special, size: int, dropout: float, max_length: int
) -> dict[str, Any]:
    padding, _, first, last, _ = (special.index(token) for token in _ROLES[special])
    settings: dict[str, Any] = {
        "vocab_size": size,
        "hidden_size": HIDDEN,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 2 * HIDDEN,
        "max_position_embeddings": max_length + 2,  # fairseq's positions start at 2
        "pad_token_id": padding,
        "bos_token_id": first,
        "eos_token_id": last,
    }
    if architecture == "modernbert":
        names: tuple[str, ...] = ("embedding_dropout", "mlp_dropout", "attention_dropout")
        settings |= {
            "cls_token_id": first,
            "sep_token_id": last,
            "global_attn_every_n_layers": 2,
            "local_attention": 16,
            "reference_compile": False,
        }
    else:
        names = ("hidden_dropout_prob", "attention_probs_dropout_prob")
        settings["initializer_range"] = 0.1  # wider than usual: two layers still tell texts apart
    return settings | dict.fromkeys(names, dropout)


def _vocabulary(special: _Special, marks: _Special) -> dict[str, int]:
    """Return ids: whole words of the samples, else their characters, so that no text is lost."""
    letters = string.ascii_lowercase + string.digits + string.punctuation
    pieces = [*special, *letters, *(f"##{letter}" for letter in letters), *WORDS, *marks]
    return {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}


def _tokenizer(transformers: Any, words: dict[str, int], special: _Special, max_length: int) -> Any:
    tokenizers = import_module("tokenizers")
    padding, unknown, first, last, mask = _ROLES[special]
    made = tokenizers.Tokenizer(
        tokenizers.models.WordPiece(words, unk_token=unknown, max_input_chars_per_word=100)
    )
    made.normalizer = tokenizers.normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    made.post_processor = tokenizers.processors.TemplateProcessing(
        single=f"{first} $A {last}",
        special_tokens=[(first, words[first]), (last, words[last])],
    )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=made,
        pad_token=padding,
        unk_token=unknown,
        cls_token=first,
        bos_token=first,
        sep_token=last,
        eos_token=last,
        mask_token=mask,
        model_max_length=max_length,
        model_input_names=["input_ids", "attention_mask"],
    )


def _modules(home: Path, pooling: str, prompts: Mapping[str, str], max_length: int) -> None:
    """Write the files that make a transformers folder one of sentence-transformers."""
    names = ("Transformer", "Pooling", "Normalize")
    places = ("", "1_Pooling", "2_Normalize")
    modules = [
        {"idx": i, "name": str(i), "path": place, "type": f"sentence_transformers.models.{name}"}
        for i, (name, place) in enumerate(zip(names, places, strict=True))
    ]
    for place in places[1:]:
        (home / place).mkdir()
    modes = {"mean": "mean_tokens", "cls": "cls_token", "max": "max_tokens"}
    pooled = {f"pooling_mode_{mode}": name == pooling for name, mode in modes.items()}
    for name, value in {
        "modules.json": modules,
        "1_Pooling/config.json": {"word_embedding_dimension": HIDDEN, **pooled},
        "sentence_bert_config.json": {"max_seq_length": max_length, "do_lower_case": False},
        "config_sentence_transformers.json": {"prompts": dict(prompts)},
    }.items():
        (home / name).write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
