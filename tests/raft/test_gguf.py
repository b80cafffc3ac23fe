"""Export for llama.cpp and Ollama: merged, converted, and asked by a real llama.cpp."""

from __future__ import annotations

import json
import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from tests.raft.conftest import Command, House

from ragd_tune.errors import NotInstalledError, TuneError, UsageError
from ragd_tune.export import WEIGHTS, filled
from ragd_tune.export.difference import (
    Difference,
    made_up_prompts,
    read_prompts,
)
from ragd_tune.export.llamacpp import ask_gguf
from ragd_tune.export.ollama import read_modelfile
from ragd_tune.pipeline.gguf import Exported, compare_gguf, export_gguf

HERE = Path(__file__).parent
REAL = os.environ.get("RAGD_TUNE_CONVERTER")
CONVERTERS = [
    pytest.param(HERE / "small_converter.py", id="gguf"),
    pytest.param(
        HERE / "known_pretokenizer.py",
        id="llama.cpp",
        marks=pytest.mark.skipif(
            not REAL,
            reason="RAGD_TUNE_CONVERTER does not name llama.cpp's convert_hf_to_gguf.py",
        ),
    ),
]
needs_llama = pytest.mark.skipif(
    find_spec("xllamacpp") is None or find_spec("gguf") is None,
    reason="xllamacpp and gguf are not installed (they are in the group `test`)",
)


@pytest.fixture(scope="module", params=CONVERTERS)
def exported(
    request: pytest.FixtureRequest, house: House, tmp_path_factory: pytest.TempPathFactory
) -> Exported:
    out = tmp_path_factory.mktemp("gguf") / "out"
    return export_gguf(house.shop, "mine", out, converter=request.param, form="f32")


def logprobs(folder: Path, text: str) -> dict[int, float]:
    """Return the log-probabilities of the token after ``text`` by transformers, in float32."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    ids = AutoTokenizer.from_pretrained(folder)(text, add_special_tokens=False)["input_ids"]
    with torch.inference_mode():
        last = model(input_ids=torch.tensor([ids])).logits[0, -1].log_softmax(-1)
    return dict(enumerate(last.tolist()))


@needs_llama
def test_llama_cpp_finds_the_same_tokens_as_likely_as_transformers_does(
    exported: Exported,
) -> None:
    told = read_modelfile(exported.out / "Modelfile")
    texts = [filled(str(told["template"]), one, "Be brief.") for one in made_up_prompts()]
    texts.append("anchor apple")
    for text, answer in zip(texts, ask_gguf(exported.weights, texts, tokens=1), strict=True):
        wanted = logprobs(exported.out, text)
        best = sorted(wanted, key=lambda token: -wanted[token])[:3]
        assert set(answer.top) == set(best)
        assert all(abs(answer.top[token] - wanted[token]) < 0.05 for token in best)


@needs_llama
def test_adapter_and_gguf_answer_the_same_prompts_alike(house: House, exported: Exported) -> None:
    found = compare_gguf(house.shop, "mine", exported, made_up_prompts(), tokens=12)
    assert [one.told() for one in found if not one.same] == []
    assert all(one.ours for one in found)


def test_the_folder_holds_the_merged_model_its_weights_and_a_modelfile(
    house: House, tmp_path: Path
) -> None:
    made = export_gguf(house.shop, "mine", tmp_path / "out", converter=fake(tmp_path))
    names = {path.name for path in made.files}
    assert {"model.safetensors", "tokenizer.json", "config.json", WEIGHTS, "Modelfile"} <= names
    assert not any("adapter" in name for name in names)
    told = read_modelfile(made.out / "Modelfile")
    assert told["from"] == WEIGHTS
    assert told["system"] == "Be brief."
    assert told["parameters"] == {"num_ctx": 1024, "temperature": 0, "stop": ["<|im_end|>"]}
    assert "ADAPTER" not in (made.out / "Modelfile").read_text()
    assert not (tmp_path / "out.part").exists()
    with pytest.raises(UsageError, match="is there already"):
        export_gguf(house.shop, "mine", tmp_path / "out", converter=fake(tmp_path))


def fake(folder: Path, code: int = 0) -> Path:
    """Return a converter that writes the first bytes of a GGUF file and nothing else."""
    path = folder / "convert_hf_to_gguf.py"
    out = 'sys.argv[sys.argv.index("--outfile") + 1]'
    path.write_text(
        f"import sys\nfrom pathlib import Path\nPath({out}).write_bytes(b'GGUF')\nsys.exit({code})"
    )
    return path


def test_a_converter_that_fails_leaves_nothing_behind(house: House, tmp_path: Path) -> None:
    with pytest.raises(TuneError, match="made no GGUF"):
        export_gguf(house.shop, "mine", tmp_path / "out", converter=fake(tmp_path, code=3))
    assert [path.name for path in tmp_path.iterdir()] == ["convert_hf_to_gguf.py"]


EXPORT = ("adapters", "export", "mine")


@needs_llama
def test_the_command_exports_and_prints_where_the_answers_part(
    house: House, command: Command, tmp_path: Path
) -> None:
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("anchor apple\nbell?\n---\ngarden\n")
    code, said = command(
        house.store, *EXPORT, tmp_path / "out", "--format", "gguf",
        "--converter", HERE / "small_converter.py", "--gguf-type", "f32", "--prompts", prompts,
    )  # fmt: skip
    assert code == 0, said
    assert "prompt 1: the same: " in said
    assert "2 of 2 answers are the same as the adapter's" in said


def test_without_llama_cpp_the_command_says_that_nothing_was_compared(
    house: House, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ragd_tune.export.llamacpp.has_llama", lambda python: False)
    out, converter = tmp_path / "out", fake(tmp_path)
    code, said = command(house.store, *EXPORT, out, "--format", "gguf", "--converter", converter)
    assert code == 0, said
    assert "not compared with the adapter: that needs xllamacpp" in said
    with pytest.raises(NotInstalledError, match="has no xllamacpp"):
        ask_gguf(out / WEIGHTS, ["a"], tokens=1)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--format", "gguf"], "--converter PATH"),
        (["--format", "folder", "--gguf-type", "f16"], "--gguf-type is for --format gguf"),
        (["--prompts", "p.txt"], "--prompts is for --format gguf"),
    ],
)
def test_options_that_do_not_belong_together_are_refused(
    house: House, command: Command, tmp_path: Path, arguments: list[str], why: str
) -> None:
    code, said = command(house.store, *EXPORT, tmp_path / "out", *arguments)
    assert code == 2
    assert why in said
    assert not (tmp_path / "out").exists()


@needs_llama
def test_a_file_that_llama_cpp_cannot_load_is_an_error_with_its_words(tmp_path: Path) -> None:
    path = tmp_path / WEIGHTS
    path.write_bytes(b"GGUF")
    with pytest.raises(TuneError, match=r"llama\.cpp cannot answer"):
        ask_gguf(path, ["a"], tokens=1)


def test_a_difference_says_where_two_answers_part() -> None:
    one = Difference(prompt="p", ours=" the fox rang", theirs="the fox sang ")
    assert (one.same, one.at) == (False, 8)
    assert one.told() == "parts after 8 characters: 'rang' against 'sang'"
    assert Difference(prompt="p", ours=" fox", theirs="fox\n").same
    assert json.loads(json.dumps(one.to_json()))["at"] == 8


def test_prompts_are_read_from_a_file_with_lines_between_them(tmp_path: Path) -> None:
    path = tmp_path / "prompts.txt"
    path.write_text("a\nb\n---\n\n---\nc --- d\n---")
    assert read_prompts(path) == ["a\nb", "c --- d"]
    path.write_text("---\n")
    with pytest.raises(UsageError, match="holds no prompt"):
        read_prompts(path)
    with pytest.raises(UsageError, match="cannot be read"):
        read_prompts(tmp_path)


def test_what_is_no_language_model_is_refused(house: House, tmp_path: Path) -> None:
    class Other:
        kind, shown = "bi-encoder", "other"

        class manifest:
            objective = "contrastive"

    class Shelf:
        def get(self, ref: str) -> Any:
            return Other

    class Shop:
        store = Shelf()

    with pytest.raises(UsageError, match="other is no language model"):
        export_gguf(Shop(), "other", tmp_path / "out", converter=tmp_path)  # type: ignore[arg-type]
