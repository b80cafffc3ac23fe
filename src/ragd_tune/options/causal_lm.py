"""Options of the objective ``causal_lm``: the next token of a completion."""

from __future__ import annotations

from ragd_tune.options.option import Option

CAUSAL_LM = (
    Option(
        name="accumulate",
        type="int",
        default=1,
        low=1,
        high=4096,
        unit="batches",
        help="batches whose gradients are summed before one step of the optimizer",
    ),
    Option(
        name="chat_template",
        type="str",
        default="auto",
        choices=("auto", "yes", "no"),
        help="write prompts as the tokenizer's chat template says; auto does where it has one",
    ),
    Option(
        name="packing",
        type="bool",
        default=False,
        help="put several rows into one sequence",
        reason="rows see each other across a sequence, which RAFT's distractors must not",
    ),
)
"""Options of the objective ``causal_lm``."""
