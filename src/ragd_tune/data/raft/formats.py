"""The formats of RAFT's reference implementation (Gorilla's ``raft`` folder): read and written.

``hf``          one object a line with ``id``, ``type``, ``question``, ``context`` (``title`` and
                ``sentences``, nested once), ``oracle_context``, ``cot_answer``, ``instruction``
``completion``  ``prompt`` and ``completion``
``chat``        ``messages``: an optional system turn, the user's, the assistant's
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ragd_tune.data.raft.answers import answer_of, quotes_of
from ragd_tune.data.raft.build import Context
from ragd_tune.data.raft.example import Example
from ragd_tune.data.raft.files import lines
from ragd_tune.data.raft.prompts import REFERENCE, Template
from ragd_tune.errors import DataError, UsageError

FORMATS = ("hf", "completion", "chat")
TITLE = "placeholder_title"
"""What the reference implementation calls every document."""

_DOCUMENT = re.compile(r"<DOCUMENT>(.*?)</DOCUMENT>\n?", re.DOTALL)


def write_format(
    path: Path,
    rows: Iterable[tuple[Example, Context]],
    form: str,
    *,
    system: str = "",
) -> int:
    """Write examples with their contexts in one of the :data:`FORMATS`; return how many.

    :raises UsageError: there is no such format.
    """
    if form not in FORMATS:
        raise UsageError(f"RAFT has no format {form!r}", mend=f"take one of {', '.join(FORMATS)}")
    template, count = Template(whole=REFERENCE), 0
    part = path.with_name(f"{path.name}.part")
    with part.open("w", encoding="utf-8", newline="\n") as file:
        for number, (one, context) in enumerate(rows):
            prompt = template.fill(one.question, context.documents)
            made = _MADE[form](number, one, context, prompt, system)
            file.write(json.dumps(made, ensure_ascii=False) + "\n")
            count += 1
    part.replace(path)
    return count


def _hf(number: int, one: Example, context: Context, prompt: str, system: str) -> dict[str, Any]:
    documents = list(context.documents)
    return {
        "id": f"seed_task_{number}",
        "type": "general",
        "question": one.question,
        "context": {"title": [[TITLE] * len(documents)], "sentences": [documents]},
        "oracle_context": "\n".join(one.oracle),
        "cot_answer": one.completion,
        "instruction": prompt,
    }


def _completion(
    number: int, one: Example, context: Context, prompt: str, system: str
) -> dict[str, Any]:
    return {"prompt": prompt, "completion": one.completion}


def _chat(number: int, one: Example, context: Context, prompt: str, system: str) -> dict[str, Any]:
    turns = [("system", system)] if system else []
    turns += [("user", prompt), ("assistant", one.completion)]
    return {"messages": [{"role": role, "content": content} for role, content in turns]}


_MADE: Mapping[str, Any] = {"hf": _hf, "completion": _completion, "chat": _chat}


def read_format(path: Path) -> Iterator[tuple[Example, Context]]:
    """Yield examples with the contexts that they came with; the format is told by the fields.

    Only ``hf`` says which document is the oracle. Of the others it is what the answer quotes; a
    document that it does not quote is a distractor.

    :raises DataError: a line is of none of the formats; names file and line.
    """
    for number, raw in lines(path):
        try:
            yield _read(raw)
        except (KeyError, IndexError, TypeError, AttributeError) as error:
            raise DataError(
                f"{path}:{number}: is in none of RAFT's formats ({error!r})",
                mend=f"they are {', '.join(FORMATS)}; see the documentation of RAFT's data",
            ) from error


def _read(raw: Mapping[str, Any]) -> tuple[Example, Context]:
    if "cot_answer" in raw:
        documents = tuple(raw["context"]["sentences"][0])
        oracle = tuple(one for one in documents if one in raw["oracle_context"])
        oracle = oracle or (str(raw["oracle_context"]),)
        return _made(str(raw["question"]), raw["cot_answer"], documents, oracle)
    if "messages" in raw:
        said = {turn["role"]: turn["content"] for turn in raw["messages"]}
        return _from_prompt(said["user"], said["assistant"])
    return _from_prompt(raw["prompt"], raw["completion"])


def _from_prompt(prompt: str, completion: str) -> tuple[Example, Context]:
    documents = tuple(_DOCUMENT.findall(prompt))
    question = _DOCUMENT.sub("", prompt).strip()
    quotes = quotes_of(completion)
    oracle = tuple(one for one in documents if any(quote in one for quote in quotes))
    return _made(question, completion, documents, oracle)


def _made(
    question: str, completion: str, documents: tuple[str, ...], oracle: tuple[str, ...]
) -> tuple[Example, Context]:
    example = Example(
        question=question,
        answer=answer_of(completion),
        oracle=oracle,
        reasoning=completion,
        distractors=tuple(one for one in documents if one not in oracle),
    )
    has_oracle = any(one in oracle for one in documents)
    return example, Context(documents=documents, has_oracle=has_oracle)
