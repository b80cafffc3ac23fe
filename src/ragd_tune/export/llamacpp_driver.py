"""Answers by llama.cpp; run by the interpreter that has ``xllamacpp``, not imported by ragd-tune.

Reads one JSON job from standard input: ``model`` (path of a GGUF file), ``context`` (tokens),
``tokens`` (of an answer at most), ``stop``, ``prompts``, and ``top`` (how many likely tokens to
tell of the first one of each answer). Writes one JSON list to what was its standard output. What
the library prints goes to standard error, else it would be taken for the answer.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from typing import Any


def answers(job: dict[str, Any]) -> list[dict[str, Any]]:
    """Return ``text`` of each answer, and ``top``: tokens and their log-probabilities."""
    library = importlib.import_module("xllamacpp")
    wanted = library.CommonParams()
    wanted.model.path = job["model"]
    wanted.n_ctx = job["context"]
    wanted.n_parallel = 1
    wanted.warmup = False
    threads = int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1)
    wanted.cpuparams.n_threads = wanted.cpuparams_batch.n_threads = threads
    server = library.Server(wanted)
    made = []
    for prompt in job["prompts"]:
        asked = {"prompt": prompt, "max_tokens": job["tokens"], "temperature": 0.0}
        asked |= {"stop": job["stop"], "cache_prompt": False}
        told = server.handle_completions({**asked, "logprobs": max(1, job["top"])})
        if "choices" not in told:
            raise RuntimeError(f"llama.cpp answers: {json.dumps(told)[:300]}")
        made.append(_answer(told["choices"][0]))
    return made


def _answer(choice: dict[str, Any]) -> dict[str, Any]:
    steps = (choice.get("logprobs") or {}).get("content") or [{}]
    top = {one["id"]: one["logprob"] for one in steps[0].get("top_logprobs", ())}
    return {"text": choice["text"], "top": top}


def main() -> None:
    """Do the one job."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as out:
        os.dup2(2, 1)
        json.dump(answers(json.load(sys.stdin)), out)


if __name__ == "__main__":
    main()
