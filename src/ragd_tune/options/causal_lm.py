"""Options of the objective ``causal_lm``: the next token of a completion."""

from __future__ import annotations

from ragd_tune.options.option import Option

CAUSAL_LM = (
    Option(
        name="micro_batch",
        type="int",
        default=4,
        low=1,
        high=4096,
        unit="rows",
        help="rows computed at once; the gradients of a batch's parts are summed",
        reason="decides memory and not the result: the loss is the mean over the batch's tokens",
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
        help="put the rows of a part into one sequence without padding, blind to each other",
        reason="it saves padding where lengths differ much, and costs attention where they do not",
    ),
    Option(
        name="early_stop",
        type="bool",
        default=True,
        help="end a run whose held-out loss rises, and keep the weights of its lowest point",
        reason="a language model learns few examples by heart; two looks of eight decide",
    ),
    Option(
        name="too_long",
        type="str",
        default="error",
        choices=("error", "drop"),
        help="what to do with rows whose answer, and what it stands on, exceed max_length",
    ),
)
"""Options of the objective ``causal_lm``."""
