"""A language model from scratch, on text that repeats itself, until it can look things up.

A short convolution before the attention lets each word know the ones before it. Looking up ("what
stood after this name?") is then one step of attention, and is learnt in some hundred steps; plain
attention needs two layers that learn to work together, and some thousand steps (Olsson et al. 2022,
arXiv 2209.11895, with "smeared keys"). LFM2 is an architecture of that form.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from benchmarks.reader.world import PEOPLE, STOP, TEMPLATE, facts, story, tokenizer

from ragd_tune.data.raft import Template

LAYERS = ("conv", "full_attention")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How the model is made.

    A story tells 1 to ``told`` facts again and again and has ``length`` tokens. A share ``asked``
    of the texts are a question with the one passage that answers it, and its answer: they make the
    model able to copy an answer, and show it no passage that it must pass over.
    """

    hidden: int = 64
    heads: int = 4
    steps: int = 700
    batch: int = 16
    length: int = 64
    rate: float = 3e-3
    told: int = 6
    asked: float = 0.3
    seed: int = 0


def texts(recipe: Recipe) -> Iterator[list[str]]:
    """Yield a batch of texts a step."""
    draw = random.Random(recipe.seed)
    for _ in range(recipe.steps):
        yield [_text(recipe, draw) for _ in range(recipe.batch)]


def _text(recipe: Recipe, draw: random.Random) -> str:
    if draw.random() < recipe.asked:
        example = facts([draw.choice(PEOPLE)], draw)[0].example
        return _template().fill(example.question, example.oracle) + example.completion + STOP
    count = draw.randint(1, recipe.told)
    return story(draw, count, max(2, recipe.length // (4 * count)))


def _template() -> Template:
    whole, _, each = TEMPLATE.partition("\n---\n")
    return Template(whole=whole, each=each)


def model_of(recipe: Recipe, made: Any) -> Any:
    """Return the untrained model: some 150,000 weights."""
    from transformers import Lfm2Config, Lfm2ForCausalLM

    torch.manual_seed(recipe.seed)
    config = Lfm2Config(
        vocab_size=len(made),
        hidden_size=recipe.hidden,
        intermediate_size=2 * recipe.hidden,
        num_hidden_layers=len(LAYERS),
        layer_types=list(LAYERS),
        conv_L_cache=3,
        block_auto_adjust_ff_dim=False,
        num_attention_heads=recipe.heads,
        num_key_value_heads=recipe.heads,
        max_position_embeddings=256,
        bos_token_id=None,
        eos_token_id=made.eos_token_id,
        pad_token_id=made.pad_token_id,
        tie_word_embeddings=True,
    )
    return Lfm2ForCausalLM(config).float()


def pretrain(
    folder: Path, recipe: Recipe, *, tell: Callable[[dict[str, float]], object] = print
) -> None:
    """Train the model on the CPU and write it into ``folder`` with its tokenizer."""
    folder.mkdir(parents=True, exist_ok=True)
    made = tokenizer(folder)
    model = model_of(recipe, made).train()
    adamw = torch.optim.AdamW(model.parameters(), lr=recipe.rate, weight_decay=0.0)
    warm = max(1, recipe.steps // 20)
    course = torch.optim.lr_scheduler.LambdaLR(
        adamw, lambda at: min((at + 1) / warm, 1.0, 3 * (recipe.steps - at) / recipe.steps)
    )
    started = time.process_time()
    for step, batch in enumerate(texts(recipe), 1):
        loss = _loss(model, made, batch, recipe.length)
        adamw.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adamw.step()
        course.step()
        if step % 100 == 0 or step == recipe.steps:
            spent = round(time.process_time() - started, 1)
            tell({"step": step, "loss": float(loss.detach()), "cpu_s": spent})
    model.eval().save_pretrained(str(folder))


def _loss(model: Any, made: Any, batch: list[str], length: int) -> torch.Tensor:
    """Return the next-token loss on all tokens of some texts."""
    encoded = made(batch, padding=True, truncation=True, max_length=length, return_tensors="pt")
    labels = encoded["input_ids"].masked_fill(encoded["attention_mask"] == 0, -100)
    found: torch.Tensor = model(**encoded, labels=labels).loss
    return found
