from __future__ import annotations

from ragd_tune.data.chunk import Chunk
from ragd_tune.data.generate import FilterReport, Question, assemble, generate
from ragd_tune.data.generate.model import Question as Made
from ragd_tune.data.generate.subjects import FEWER, RIVALS

GOUT = {
    "what": "Gout is a disease of the joints. It causes pain, and rest is a treatment.",
    "signs": "Symptoms of gout are heat and swelling. Signs of it come at night.",
    "cure": "The treatment for gout is rest. Treatments take weeks, and a therapy may help.",
    "check": "Gout is diagnosed by a doctor. Tests for gout take a day, and diagnosis is sure.",
}


def passages(texts: dict[str, str]) -> list[Chunk]:
    return [
        Chunk(id=name, document=name, text=text, start=0, end=len(text))
        for name, text in texts.items()
    ]


def made(texts: dict[str, str], *recipes: str) -> list[Question]:
    return generate(passages(texts), [], per_chunk=9, recipes=recipes or ("definition", "aspect"))


def test_each_passage_is_asked_what_the_others_about_its_subject_leave_to_it() -> None:
    asked = {one.chunk: one.text for one in made(GOUT)}
    assert asked["what"] == "What is gout?"
    assert asked["signs"] in ("What are the symptoms of gout?", "What are the signs of gout?")
    assert asked["cure"] in ("What are the treatments for gout?", "How is gout treated?")
    assert asked["check"] in ("How is gout diagnosed?", "How to diagnose gout?")


def test_a_passage_that_defines_its_subject_is_asked_nothing_else() -> None:
    assert [one.style for one in made(GOUT) if one.chunk == "what"] == ["definition"]


def test_rivals_speak_of_the_same_subject_and_not_of_what_is_asked() -> None:
    others = {"scurvy": "Symptoms of scurvy are sore gums.", "scurvy2": "Scurvy can last."}
    by_chunk = {one.chunk: set(one.against) for one in made({**GOUT, **others})}
    assert by_chunk["signs"] == {"what", "cure", "check"}
    assert by_chunk["what"] <= {"signs", "cure", "check"}
    assert all(not rivals & set(others) for name, rivals in by_chunk.items() if name in GOUT)


def test_a_passage_that_tells_nearly_as_much_of_it_is_no_rival() -> None:
    twins = {**GOUT, "cure2": "The treatment for gout is warmth. Treatments are many."}
    cure = [one for one in made(twins) if "treat" in one.text]
    assert len(cure) == 1
    assert not {"cure", "cure2"} & set(cure[0].against)
    assert 0 < FEWER < 1


def test_a_question_has_no_more_rivals_than_are_read() -> None:
    many = {f"more{n}": f"Gout can last. Word{n} and word{n + 1} are here." for n in range(20)}
    other = {f"other{n}": f"Boats leave in month {n}." for n in range(40)}  # else gout is all
    cure = [one for one in made({**GOUT, **many, **other}) if one.chunk == "cure"]
    assert [len(one.against) for one in cure] == [RIVALS]


def test_what_a_subject_asks_does_not_depend_on_the_order_of_passages() -> None:
    back = dict(reversed(GOUT.items()))
    assert sorted(map(str, made(GOUT))) == sorted(map(str, made(back)))


def test_the_rest_is_asked_only_where_nothing_better_is() -> None:
    lone = {"lone": "Boats with red sails and blue ropes leave the harbour on windy mornings."}
    styles = {one.chunk: one.style for one in generate(passages({**GOUT, **lone}), [], per_chunk=9)}
    assert styles["lone"] in ("crop", "keywords", "purpose")
    assert {styles[name] for name in GOUT} <= {"definition", "aspect"}


def test_a_heading_alone_is_not_all_that_is_asked() -> None:
    text = "Boats with red sails and blue ropes leave the harbour on windy mornings."
    one = Chunk(
        id="a", document="a", text=text, start=0, end=len(text), headings=("Boats that go",)
    )
    styles = [made.style for made in generate([one], [], per_chunk=9)]
    assert styles[0] == "heading"
    assert styles[1:] in (["crop"], ["keywords"], ["purpose"])


def test_training_keeps_rivals_as_negatives_but_for_documents_that_are_judged_on() -> None:
    chunks = passages(GOUT)
    train = [Made(chunk="cure", text="one?", style="aspect", against=("signs", "check", "what"))]
    train += [Made(chunk="check", text="one?", style="aspect", against=("cure", "signs"))]
    test = [Made(chunk="what", text="two?", style="definition", against=("cure",))]
    sides = {"train": train, "test": test}
    data = assemble(chunks, sides, FilterReport(), source="x", about={}).data
    found = {data.queries[qid].text: dids for qid, dids in data.negatives.items()}
    assert found == {"one?": ("signs",)}


def test_rivals_are_told_by_the_negatives_and_not_by_the_origins() -> None:
    one = Made(chunk="a", text="b?", style="aspect", against=("c",))
    assert "against" not in one.to_json()
