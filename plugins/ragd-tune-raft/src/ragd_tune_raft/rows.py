"""From questions with answers to rows of the objective ``causal_lm``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from ragd_tune.data import DataSet
from ragd_tune.data.raft import ABSTAIN, ANSWER, Contexts, Example, Mix, Template, answered
from ragd_tune.data.raft.answers import REASON
from ragd_tune.data.raft.build import lexical_search
from ragd_tune.errors import DataError
from ragd_tune.objectives import Row, Rows
from ragd_tune.options import Value


def rows(data: DataSet, options: Mapping[str, Value]) -> Rows:
    """Return one row for each question of ``train`` and of ``dev`` that has an answer.

    Only a split's own file of answers is read; those of ``test`` never are.

    :raises DataError: there are no answers to learn from.
    """
    drop = options["misquoted"] == "drop"
    train = answered(data, "train", drop=drop)
    if not train:
        raise DataError(
            f"{data.source}: no training question has an answer to learn from",
            mend="RAFT learns from raft_train.jsonl beside the data set: question, oracle, answer",
        )
    mix = Mix(
        distractors=int(str(options["distractors"])),
        oracle_share=float(str(options["oracle_share"])),
        seed=int(str(options["seed"])),
    )
    contexts = Contexts(data=data, search=lexical_search(data), mix=mix)
    dev = answered(data, "dev", drop=drop)
    return Rows(
        objective="causal_lm",
        train=list(_made(contexts, train, options)),
        dev=list(_made(contexts, dev, options)),
    )


def template_of(value: Value) -> Template:
    """Return the template that an option names, or the default one."""
    return Template.read(Path(str(value)).expanduser()) if value else Template()


def _made(
    contexts: Contexts, examples: Mapping[str, Example], options: Mapping[str, Value]
) -> Iterator[Row]:
    template, system = template_of(options["prompt_template"]), options["system_prompt"]
    abstains = options["without_oracle"] == "abstain"
    for qid, context in (contexts.train(examples) if examples else {}).items():
        one = examples[qid]
        absent = abstains and not context.has_oracle
        row: dict[str, object] = {
            "prompt": template.fill(one.question, context.documents),
            "completion": f"{REASON} {ANSWER} {ABSTAIN}" if absent else one.completion,
            "keep": [one.question, *(one.oracle if context.has_oracle else ())],
        }
        yield {**row, "system": str(system)} if system else row
