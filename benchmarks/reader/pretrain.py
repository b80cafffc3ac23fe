"""A language model from scratch, on text that repeats itself, until it can look things up.

A short convolution before the attention lets each word know the ones before it. Looking up ("what
stood after this name?") is then one step of attention, and is learnt in some hundred steps; plain
attention needs two layers that learn to work together, and some thousand steps (Olsson et al. 2022,
arXiv 2209.11895, with "smeared keys"). Another convolution after it lets the next words know what
was looked up. LFM2 is an architecture of that form.
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

LAYERS = ("conv", "full_attention", "conv")
WARM = 50
"""Steps in which the rate rises."""

EVERY = 50
"""Steps between two looks at what is looked up right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How the model is made.

    A story tells 1 to ``told`` facts again and again and has ``length`` tokens. A share ``asked``
    of the texts are a question with the one passage that answers it, and its answer: they make the
    model able to copy an answer, and show it no passage that it must pass over.

    Seeds differ in when looking up is learnt. So the rate is held until a share ``enough`` of the
    values in new stories is looked up right, and falls to 0 in the ``fall`` steps after that;
    ``steps`` is when it ends at the latest.
    """

    hidden: int = 64
    heads: int = 4
    steps: int = 3000
    enough: float = 0.9
    fall: int = 300
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
    """Return the untrained model: some 195,000 weights."""
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
) -> dict[str, float]:
    """Train the model on the CPU and write it into ``folder`` with its tokenizer.

    :returns: the last step, and the share of values that the model looked up right after it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made = tokenizer(folder)
    model = model_of(recipe, made).train()
    adamw = torch.optim.AdamW(model.parameters(), lr=recipe.rate, weight_decay=0.0)
    end, started, said = recipe.steps, time.process_time(), {"step": 0.0}
    for step, batch in enumerate(texts(recipe), 1):
        adamw.param_groups[0]["lr"] = recipe.rate * min(
            step / WARM, 1.0, (end - step) / recipe.fall
        )
        loss = _loss(model, made, batch, recipe.length)
        adamw.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adamw.step()
        if step % EVERY == 0 or step == end:
            spent = round(time.process_time() - started, 1)
            right = looked_up(model, made, recipe)
            said = {"step": step, "loss": float(loss.detach()), "looked_up": right, "cpu_s": spent}
            tell(said)
            if right >= recipe.enough and end == recipe.steps:
                end = min(end, step + recipe.fall)
        if step == end:
            break
    model.eval().save_pretrained(str(folder))
    return said


def looked_up(model: Any, made: Any, recipe: Recipe, *, stories: int = 64) -> float:
    """Return the share of the values in new stories that are the likeliest word at their place.

    Each story tells its facts twice, and what counts is the second time: before, nothing tells a
    value. Who copies any value of the story is right once in ``told`` times.
    """
    draw = random.Random(f"looked up/{recipe.seed}")
    new = [story(draw, recipe.told, 2) for _ in range(stories)]
    ids = made(new, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        likeliest = model.eval()(input_ids=ids).logits.argmax(-1)
    model.train()
    # A fact has four words, the value third; the model says a word at the place before it.
    again = torch.arange(recipe.told, 2 * recipe.told) * 4 + 2
    return float((likeliest[:, again - 1] == ids[:, again]).float().mean())


def _loss(model: Any, made: Any, batch: list[str], length: int) -> torch.Tensor:
    """Return the next-token loss on all tokens of some texts."""
    encoded = made(batch, padding=True, truncation=True, max_length=length, return_tensors="pt")
    labels = encoded["input_ids"].masked_fill(encoded["attention_mask"] == 0, -100)
    found: torch.Tensor = model(**encoded, labels=labels).loss
    return found
