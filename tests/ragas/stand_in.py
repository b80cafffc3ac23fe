"""A stand-in for RAGAS that judges by what it finds in texts; the driver is the real one."""

from __future__ import annotations

import sys
from pathlib import Path

METRICS = """
import os, socket, sys, time

class Found:
    def __init__(self, value): self.value = value

class Metric:
    def __init__(self, llm, embeddings=None): self.llm, self.embeddings = llm, embeddings

    async def ascore(self, user_input, retrieved_contexts=(), response=None, reference=None):
        print("a library prints where answers go")
        if user_input == "hang":
            time.sleep(600)
        if user_input == "die":
            print("no more memory", file=sys.stderr, flush=True)
            os._exit(9)
        if user_input == "fail":
            raise ValueError("this is no JSON")
        if user_input == "nothing":
            return Found(float("nan"))
        if user_input.startswith("connect "):
            with socket.socket() as one:
                one.settimeout(5)
                one.connect(("127.0.0.1", int(user_input.split()[1])))
        if user_input == "environment":
            tracked = os.environ["RAGAS_DO_NOT_TRACK"] != "true"
            return Found(float(not tracked and "HTTP_PROXY" not in os.environ))
        wanted = (response or reference).lower()
        return Found(float(any(wanted in text.lower() for text in retrieved_contexts)))

ContextPrecisionWithReference = ContextRecall = Faithfulness = AnswerRelevancy = Metric
"""

FILES = {
    "ragas/__init__.py": "",
    "ragas/metrics/__init__.py": "",
    "ragas/metrics/collections.py": METRICS,
    "ragas/llms.py": "def llm_factory(model, provider, client): return (model, provider, client)\n",
    "ragas/embeddings.py": "def OpenAIEmbeddings(client, model): return (client, model)\n",
    "openai.py": "class AsyncOpenAI:\n    def __init__(self, **given): self.given = given\n"
    "    async def close(self): pass\n",
    "httpx.py": "class AsyncClient:\n    def __init__(self, **given): self.given = given\n",
    **{
        f"{name}-9.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 9\n"
        for name in ("ragas", "openai", "instructor")
    },
}


def interpreter(folder: Path) -> Path:
    """Return a program that runs Python with the stand-in installed."""
    place = folder / "stand-in"
    for name, text in FILES.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text, encoding="utf-8")
    script = folder / "python"
    run = f"import runpy, sys; sys.path.insert(0, {str(place)!r}); sys.argv = sys.argv[-1:]; "
    run += "runpy.run_path(sys.argv[0], run_name='__main__')"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -u -c "{run}" "$@"\n', encoding="utf-8")
    script.chmod(0o755)
    return script
