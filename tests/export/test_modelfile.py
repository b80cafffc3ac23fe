from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragd_tune.errors import NotInstalledError, TuneError, UsageError
from ragd_tune.export import Turns, convert, filled, modelfile, turns_of
from ragd_tune.export.modelfile import Render
from ragd_tune.testing.tiny_lm import CHATML

LLAMA3 = (
    "<|begin_of_text|>{% for m in messages %}<|start_header_id|>{{ m['role'] }}<|end_header_id|>"
    "\n\n{{ m['content'] }}<|eot_id|>{% endfor %}{% if add_generation_prompt %}"
    "<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
NO_SYSTEM = "{% if messages[0]['role'] == 'system' %}{{ 1 / 0 }}{% endif %}" + CHATML
DEFAULT_SYSTEM = (
    "{% if messages[0]['role'] != 'system' %}<|im_start|>system\nHelp.<|im_end|>\n{% endif %}"
    + CHATML
)
THINKING = CHATML.replace("assistant\n{% endif %}", "assistant\n<think>{% endif %}")


def render_of(template: str) -> Render:
    made = jinja2.Environment(autoescape=False).from_string(template)

    def render(turns: Sequence[Mapping[str, str]], open_: bool) -> str:
        return made.render(messages=turns, add_generation_prompt=open_)

    return render


@pytest.mark.parametrize(("template", "first"), [(CHATML, ""), (LLAMA3, "<|begin_of_text|>")])
def test_a_template_that_is_taken_apart_writes_the_same_again(template: str, first: str) -> None:
    render = render_of(template)
    made = turns_of(render, first=first)
    user = {"role": "user", "content": "Why?"}
    system = {"role": "system", "content": "Be brief."}
    assert first + made.render("Why?") == render([user], True)
    assert first + made.render("Why?", "Be brief.") == render([system, user], True)
    assert first not in made.go if first else True
    assert made.go.endswith("{{ .Response }}" + made.end)


def test_a_template_without_a_system_turn_gets_its_text_in_front_of_the_question() -> None:
    made = turns_of(render_of(NO_SYSTEM))
    assert made.render("Why?") == render_of(CHATML)([{"role": "user", "content": "Why?"}], True)
    both = [{"role": "user", "content": "Be brief.\n\nWhy?"}]
    assert made.render("Why?", "Be brief.") == render_of(CHATML)(both, True)


@pytest.mark.parametrize("template", [THINKING, DEFAULT_SYSTEM])
def test_a_template_that_does_more_than_turns_is_refused_with_the_reason(template: str) -> None:
    with pytest.raises(UsageError, match="cannot be written for Ollama: "):
        turns_of(render_of(template))


def test_a_modelfile_has_weights_template_stops_and_context_and_never_an_adapter() -> None:
    text = modelfile(
        "model.gguf",
        turns_of(render_of(CHATML)),
        stop=["<|im_end|>", "<|im_end|>", ""],
        num_ctx=4096,
        system="Be brief.",
    )
    lines = text.splitlines()
    assert lines[0] == "FROM ./model.gguf"
    assert lines.count('PARAMETER stop "<|im_end|>"') == 1
    assert "PARAMETER num_ctx 4096" in lines
    assert 'SYSTEM """Be brief."""' in lines
    assert "ADAPTER" not in text


@given(st.text(), st.text())
def test_without_a_chat_template_prompts_are_written_as_they_are(prompt: str, system: str) -> None:
    plain = modelfile("model.gguf", None, stop=[], num_ctx=512)
    template = plain.partition('TEMPLATE """')[2].partition('"""')[0]
    wanted = f"{system}\n\n{prompt}" if system else prompt
    assert filled(template, prompt, system) == wanted


@pytest.mark.parametrize("stop", ['a"b', "a\nb"])
def test_what_cannot_be_quoted_is_refused(stop: str) -> None:
    with pytest.raises(UsageError, match="cannot be quoted"):
        modelfile("model.gguf", Turns(), stop=[stop], num_ctx=8)
    with pytest.raises(UsageError, match="cannot be quoted"):
        modelfile("model.gguf", None, stop=[], num_ctx=8, system='say """ twice')


CONVERTER = """
import sys
from pathlib import Path
arguments = sys.argv[1:]
assert Path(arguments[0]).is_dir()
out = Path(arguments[arguments.index("--outfile") + 1])
out.write_bytes({magic!r} + arguments[arguments.index("--outtype") + 1].encode())
if {code}:
    sys.exit("this architecture is unknown")
"""


def converter(folder: Path, magic: bytes = b"GGUF", code: int = 0) -> Path:
    path = folder / "convert_hf_to_gguf.py"
    path.write_text(CONVERTER.format(magic=magic, code=code))
    return path


@pytest.mark.parametrize("whole", [False, True])
def test_the_users_converter_is_run_on_the_folder(tmp_path: Path, whole: bool) -> None:
    script = converter(tmp_path)
    out = tmp_path / "model.gguf"
    found = convert(tmp_path, out, converter=tmp_path if whole else script, form="f16")
    assert found == out
    assert out.read_bytes() == b"GGUFf16"
    with pytest.raises(UsageError, match="is there already"):
        convert(tmp_path, out, converter=script)


@pytest.mark.parametrize("broken", [{"code": 1}, {"magic": b"HTML"}])
def test_a_converter_that_makes_no_gguf_leaves_nothing(
    tmp_path: Path, broken: dict[str, Any]
) -> None:
    script = converter(tmp_path, **broken)
    with pytest.raises(TuneError, match="made no GGUF") as failed:
        convert(tmp_path, tmp_path / "model.gguf", converter=script, python=Path(sys.executable))
    if "code" in broken:
        assert "this architecture is unknown" in failed.value.message
    assert not list(tmp_path.glob("model*"))


def test_a_converter_that_lacks_a_module_names_it_and_the_flag_for_another_python(
    tmp_path: Path,
) -> None:
    script = tmp_path / "convert.py"
    script.write_text("import sentence_in_pieces\n")
    with pytest.raises(TuneError, match="made no GGUF") as failed:
        convert(tmp_path, tmp_path / "model.gguf", converter=script)
    assert "module sentence_in_pieces" in failed.value.mend
    assert "--gguf-python" in failed.value.mend


def test_a_converter_that_is_not_there_says_where_one_is(tmp_path: Path) -> None:
    with pytest.raises(NotInstalledError) as refused:
        convert(tmp_path, tmp_path / "model.gguf", converter=tmp_path / "none")
    assert "llama-cpp-python" in refused.value.mend
    with pytest.raises(UsageError, match="q2"):
        convert(tmp_path, tmp_path / "x", converter=converter(tmp_path), form="q2")
