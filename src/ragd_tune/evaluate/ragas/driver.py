"""Runs in RAGAS's own environment, by its interpreter; not imported by ragd-tune.

Reads one JSON job from standard input and writes one JSON object a score to what was its standard
output. What the libraries print goes to standard error, else it would be taken for one.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import math
import os
import sys
from typing import Any

_ANSWERS: Any = None

RETRIES = 2
"""Of a request that failed; a model's answer that is not the JSON asked for is asked for again."""

FIELDS = {
    "context_precision": ("user_input", "reference", "retrieved_contexts"),
    "context_recall": ("user_input", "reference", "retrieved_contexts"),
    "faithfulness": ("user_input", "response", "retrieved_contexts"),
    "answer_relevancy": ("user_input", "response"),
}
CLASSES = {
    "context_precision": "ContextPrecisionWithReference",
    "context_recall": "ContextRecall",
    "faithfulness": "Faithfulness",
    "answer_relevancy": "AnswerRelevancy",
}


def _answer(value: dict[str, Any]) -> None:
    _ANSWERS.write(json.dumps(value) + "\n")
    _ANSWERS.flush()


def _guard(url: str) -> None:
    """Refuse every connection of this process but those to the judge: documents are in here."""
    parts = importlib.import_module("urllib.parse").urlsplit(url)
    allowed = (parts.hostname, parts.port)

    def look(event: str, given: tuple[Any, ...]) -> None:
        if event == "socket.connect" and isinstance(given[1], tuple) and given[1][:2] != allowed:
            raise PermissionError(f"RAGAS wanted to connect to {given[1][0]}: refused")

    sys.addaudithook(look)


def _client(job: dict[str, Any]) -> Any:
    """Return an OpenAI client that reads no proxies and follows no redirects."""
    httpx = importlib.import_module("httpx")
    return importlib.import_module("openai").AsyncOpenAI(
        base_url=job["url"],
        api_key=os.environ.get("RAGD_TUNE_API_KEY") or "none",
        timeout=job["timeout"],
        max_retries=RETRIES,
        http_client=httpx.AsyncClient(
            trust_env=False, follow_redirects=False, timeout=job["timeout"]
        ),
    )


def _metrics(job: dict[str, Any], client: Any) -> dict[str, Any]:
    """Return RAGAS's metrics by name, each with its judge."""
    llms = importlib.import_module("ragas.llms")
    known = importlib.import_module("ragas.metrics.collections")
    llm = llms.llm_factory(job["model"], provider="openai", client=client)
    made = {}
    for name in {one["metric"] for one in job["tasks"]}:
        given = {"llm": llm}
        if name == "answer_relevancy":
            embeddings = importlib.import_module("ragas.embeddings").OpenAIEmbeddings
            given["embeddings"] = embeddings(client=client, model=job["embedding_model"])
        made[name] = getattr(known, CLASSES[name])(**given)
    return made


async def _score(task: dict[str, Any], metric: Any, turn: asyncio.Semaphore) -> None:
    fields = FIELDS[task["metric"]]
    async with turn:
        try:
            found = await metric.ascore(**{name: task[name] for name in fields})
            value = float(found.value)
            told = "the judge found nothing to judge" if math.isnan(value) else ""
        except Exception as error:  # noqa: BLE001 - a score that fails is told, the others go on
            told = f"{type(error).__name__}: {error}"[:500]
        if told:
            _answer({"key": task["key"], "error": told})
        else:
            _answer({"key": task["key"], "score": value})


async def _judge(job: dict[str, Any]) -> None:
    client = _client(job)
    metrics = _metrics(job, client)
    metadata = importlib.import_module("importlib.metadata")
    names = ("ragas", "openai", "instructor")
    _answer({"versions": {name: metadata.version(name) for name in names}})
    turn = asyncio.Semaphore(job["workers"])
    await asyncio.gather(*(_score(one, metrics[one["metric"]], turn) for one in job["tasks"]))
    await client.close()


def main() -> None:
    """Judge one job."""
    global _ANSWERS
    _ANSWERS = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    job = json.load(sys.stdin)
    if job["local"]:
        _guard(job["url"])
    try:
        for name in ("ragas.metrics.collections", "ragas.llms", "ragas.embeddings", "openai"):
            importlib.import_module(name)
    except Exception as error:  # noqa: BLE001 - old pins break imports in many ways
        _answer({"missing": f"{type(error).__name__}: {error}"})
        return
    try:
        asyncio.run(_judge(job))
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is told
        _answer({"stop": f"{type(error).__name__}: {error}"})
        return
    _answer({"end": True})


if __name__ == "__main__":
    main()
