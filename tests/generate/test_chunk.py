from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from ragd_tune.data.chunk import chunk
from ragd_tune.data.documents.markdown import read_markdown
from ragd_tune.data.documents.model import Block, Source

BUDGET = 20


def count(texts: Sequence[str]) -> list[int]:
    return [len(text.split()) for text in texts]


def test_paragraphs_under_one_heading_are_put_together_and_sections_stay_apart() -> None:
    text = "# A\n\nOne two.\n\nThree four.\n\n# B\n\nFive six.\n"
    made = list(chunk([read_markdown("a.md", text)], tokens=BUDGET, count=count))
    assert [(one.id, one.headings, one.text) for one in made] == [
        ("a.md#0", ("A",), "One two.\n\nThree four."),
        ("a.md#1", ("B",), "Five six."),
    ]


def test_small_sections_of_one_parent_share_a_passage_under_the_parent() -> None:
    text = "# A\n\n## One\n\nx y.\n\n## Two\n\nz w.\n"
    made = list(chunk([read_markdown("a.md", text)], tokens=BUDGET, count=count))
    assert [(one.headings, one.text) for one in made] == [(("A",), "x y.\n\nz w.")]


def test_long_paragraphs_are_cut_between_sentences() -> None:
    text = " ".join(f"Sentence {number} has five words." for number in range(12))
    made = list(chunk([read_markdown("a.md", text)], tokens=BUDGET, count=count))
    assert all(one.text.endswith(".") for one in made)
    assert all(count([one.text])[0] <= BUDGET for one in made)
    assert " ".join(one.text for one in made) == text


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(alphabet="ab .\n#!", min_size=1, max_size=200), min_size=1, max_size=5))
def test_no_passage_is_over_the_budget_and_none_loses_a_word(parts: list[str]) -> None:
    source = read_markdown("a.md", "\n\n".join(parts))
    made = list(chunk([source], tokens=BUDGET, count=count))
    assert all(count([one.text])[0] <= BUDGET for one in made)
    told = " ".join(block.text for block in source.blocks)
    assert "".join("".join(one.text for one in made).split()) == "".join(told.split())


def test_offsets_lead_to_the_passage_in_the_document() -> None:
    text = "# A\n\nOne two.\n\nThree four.\n\n" + "Word word word. " * 20
    source = read_markdown("a.md", text)
    for one in chunk([source], tokens=BUDGET, count=count):
        assert source.text[one.start : one.end] == one.text


def test_a_text_without_blanks_is_cut_too() -> None:
    def letters(texts: Sequence[str]) -> list[int]:
        return [len(text) for text in texts]

    made = list(chunk([read_markdown("a.md", "x" * 100)], tokens=16, count=letters))
    assert max(len(one.text) for one in made) <= 16
    assert "".join(one.text for one in made) == "x" * 100


def test_functions_stay_by_themselves_and_keep_their_docstring_once() -> None:
    long = "\n".join(f"    line {number} here" for number in range(20))
    blocks = (
        Block(text="def a(): pass", start=0, end=13, kind="code", name="a", about="Do a."),
        Block(text="def b():\n" + long, start=14, end=400, kind="code", name="b", about="Do b."),
    )
    source = Source(id="x.py", title="", text="", blocks=blocks)
    made = list(chunk([source], tokens=BUDGET, count=count))
    assert made[0].text == "def a(): pass"
    assert [one.about for one in made if one.name == "b"][:2] == ["Do b.", ""]
    assert all(one.code for one in made)


def test_a_passage_that_came_whole_keeps_its_id_and_title() -> None:
    block = Block(text="Short.", start=0, end=6)
    source = Source(id="d7", title="T", text="Short.", blocks=(block,), whole=True, origin="book")
    (made,) = chunk([source], tokens=BUDGET, count=count)
    assert (made.id, made.title, made.document, made.passage) == ("d7", "T", "book", "T Short.")
