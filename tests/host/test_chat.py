"""A trained query adapter, and a `ragd chat` that runs on while it comes and goes."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from tests.export.ollama_server import Server, serving

QUESTION = "boats moored beside quiet water"
"""No document has these words, so the vectors alone decide the order."""
PATIENCE = 240.0
LISTING = "import sysconfig, os; print(sorted(os.listdir(sysconfig.get_paths()['purelib'])))"
ORDER = """
import json, sys
from ragd.config import load_config
from ragd_tune.ragd import chroma
from ragd_tune.serve.load import load, load_base
name, question = sys.argv[1:]
config = load_config()
model = load(name) if name != "base" else load_base(config.embedding.model)
with chroma.reading(config.chroma_path, vectors=[chroma.DOCUMENTS]) as client:
    found = client.get_collection(chroma.DOCUMENTS).get(include=["embeddings", "documents"])
near = found["embeddings"] @ model.embed_queries([question])[0]
texts = [found["documents"][place] for place in sorted(range(len(near)), key=lambda n: -near[n])]
print(json.dumps(texts))
"""


class Chat:
    """`ragd chat`, as a user runs it, with an LLM that only listens."""

    def __init__(self, host: Any, ollama: Server) -> None:
        command = [str(host.bin / "ragd"), "chat", "--limit", "8", "--min-relevance", "0"]
        self._ollama = ollama
        self._process = subprocess.Popen(
            command, cwd=host.home, env=host.env, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def ask(self, texts: list[str]) -> list[str]:
        """Ask the question anew; return ``texts`` in the order in which ragd handed them on."""
        self._say("/clear")
        self._say(QUESTION)
        prompt = self._ollama.prompts.get(timeout=PATIENCE)
        assert all(text in prompt for text in texts)
        return sorted(texts, key=prompt.index)

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    @property
    def runs(self) -> bool:
        """Say whether it is the same process still."""
        return self._process.poll() is None

    def end(self) -> tuple[int, str]:
        """Say goodbye; return how it ended, and all that it printed."""
        output, _ = self._process.communicate("/exit\n", timeout=PATIENCE)
        return self._process.returncode, output


@pytest.fixture
def ollama(host: Any) -> Iterator[Server]:
    """Return an LLM's place that ragd's configuration names; it is as before in the end."""
    written = host.config.read_bytes()
    with serving() as server:
        server.models["llama3.2:3b"] = {}  # what ragd asks for by itself
        host.config.write_bytes(written + f"llm:\n  base_url: {server.address}\n".encode())
        yield server
    host.config.write_bytes(written)


@pytest.mark.parametrize("tuning", ["lora", "map"])
def test_a_trained_query_adapter_takes_effect_in_a_running_chat_without_reindexing(
    host: Any, ollama: Server, tuning: str
) -> None:
    name = f"asks-{tuning}"
    line = f"train bi-encoder --data data --name {name} --side query --tuning {tuning}"
    host.tune(f"{line} --max-steps 12 --batch-size 8 --learning-rate 0.02 --mine no --no-proof")
    plain = json.loads(host.python(ORDER, "base", QUESTION))
    tuned = json.loads(host.python(ORDER, name, QUESTION))
    assert tuned != plain
    files = host.python(LISTING)
    folders = sorted(path.name for path in host.config.parent.glob("chroma*"))
    written = host.config.read_bytes()
    for _ in range(2):
        host.tune("host enable")
    chat = Chat(host, ollama)
    try:
        assert chat.ask(plain) == plain
        said = host.tune(f"adapters activate {name} --yes --force")
        assert "nothing needs embedding again" in said
        assert chat.ask(plain) == tuned
        assert "nothing needs embedding again" in host.tune("host reindex")
        host.tune("adapters rollback")
        assert chat.ask(plain) == plain
        assert chat.runs
    finally:
        code, output = chat.end()
        host.tune("host disable")
    assert code == 0, output
    assert host.python(LISTING) == files
    assert sorted(path.name for path in host.config.parent.glob("chroma*")) == folders
    assert host.config.read_bytes() == written
