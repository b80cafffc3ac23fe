"""Options of RAFT: how its contexts are made, how its prompts are written, how it is judged."""

from __future__ import annotations

from ragd_tune.options import Option

ROWS = (
    Option(
        name="distractors",
        type="int",
        default=4,
        low=0,
        high=64,
        unit="documents",
        help="documents beside the one with the answer, the hardest that BM25 finds",
        reason="the paper's default in training: one oracle among five documents",
    ),
    Option(
        name="oracle_share",
        type="float",
        default=0.8,
        low=0.0,
        high=1.0,
        help="share of the examples whose documents hold the answer at all (the paper's P)",
        reason="the paper's default",
    ),
    Option(
        name="without_oracle",
        type="str",
        default="answer",
        choices=("answer", "abstain"),
        help="what is learned where the documents do not hold the answer",
        reason="answer is the paper's: the domain is learned by heart; abstain suits a RAG system",
    ),
    Option(
        name="misquoted",
        type="str",
        default="error",
        choices=("error", "drop"),
        help="what to do with examples whose quotes are not in the oracle word for word",
    ),
    Option(
        name="prompt_template",
        type="str",
        default=None,
        optional=True,
        help="file with the prompt's template: {documents}, {question}, and {document} after ---",
    ),
    Option(
        name="system_prompt",
        type="str",
        default=None,
        optional=True,
        help="text of the system turn, in training and in the proof",
    ),
)
"""How rows are made."""

PROOF = (
    Option(
        name="judged_distractors",
        type="int",
        default=4,
        low=1,
        high=64,
        group="proof",
        unit="documents",
        help="distractors beside the oracle when answers are compared",
    ),
    Option(
        name="answer_tokens",
        type="int",
        default=256,
        low=4,
        high=8192,
        group="proof",
        unit="tokens",
        help="tokens of an answer at most",
    ),
    Option(
        name="judged_template",
        type="str",
        default=None,
        optional=True,
        group="proof",
        help="as prompt_template, for the prompts of the proof; the trained one when not set",
        follows="prompt_template",
    ),
    Option(
        name="judged_system",
        type="str",
        default=None,
        optional=True,
        group="proof",
        help="text of the system turn of both models; the trained one when not set",
        follows="system_prompt",
    ),
)
"""How answers are compared."""
