from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

import pytest

from ragd_tune.data.chunk import Chunk
from ragd_tune.data.documents import Library
from ragd_tune.data.documents.model import Block, Link, Source
from ragd_tune.data.generate import RECIPES, generate, structure
from ragd_tune.data.generate.language import differ, language, script
from ragd_tune.data.generate.salient import statistics
from ragd_tune.data.generate.topics import topics
from ragd_tune.data.generate.words import STOP, phrases, sentences, words

TOPICS = ("glaucoma", "asthma", "gout", "scurvy", "rickets", "malaria", "tetanus", "cholera")


def passage(text: str, **more: object) -> Chunk:
    return Chunk(id="c", document="d", text=text, start=0, end=len(text), **more)  # type: ignore[arg-type]


def asked(chunks: list[Chunk], library: Library, *recipes: str) -> set[str]:
    made = generate(chunks, library.sources, per_chunk=20, recipes=recipes or RECIPES)
    return {one.text for one in made}


def test_a_heading_that_says_little_is_asked_with_what_it_stands_under() -> None:
    one = passage("Text.", headings=("Pumps", "Usage"))
    assert list(structure.heading(one, {})) == [("heading", "Pumps Usage")]
    two = passage("Text.", headings=("Pumps", "2.1 How to start a `pump`"))
    assert list(structure.heading(two, {})) == [("heading", "How to start a pump")]
    three = passage("Text.", headings=("FAQ", "Why does it leak?"))
    assert list(structure.heading(three, {})) == [("faq", "Why does it leak?")]


def test_the_first_sentence_of_a_docstring_is_asked_unless_it_is_a_call() -> None:
    one = passage("def f(): ...", about="Close the :class:`File` at once.\n\nMore of it.")
    assert list(structure.docstring(one)) == [("docstring", "Close the File at once")]
    assert list(structure.docstring(passage("def f(): ...", about="f(a, b) -> c"))) == []


def test_a_link_asks_for_the_passage_that_it_leads_to() -> None:
    block = Block(text="x", start=0, end=1)
    links = (
        Link(text="washing hands", target="../b.md#first-rules"),
        Link(text="here", target="../b.md"),
        Link(text="elsewhere", target="https://example.org/b.md"),
    )
    source = Source(id="sub/a.md", title="", text="x", blocks=(block,), links=links)
    targets = [
        Chunk(id="b.md#0", document="b.md", text="x", start=0, end=1, headings=("Rules",)),
        Chunk(
            id="b.md#1",
            document="b.md",
            text="y",
            start=2,
            end=3,
            headings=("Rules", "First rules"),
        ),
    ]
    assert list(structure.links([source], targets)) == [("b.md#1", "link", "washing hands")]


def test_the_recipes_find_the_questions_that_the_pages_answer(
    chunks: list[Chunk], library: Library
) -> None:
    assert {"Symptoms of gout", "What causes gout?"} <= asked(chunks, library, "heading", "faq")
    assert "rules of treatment" in asked(chunks, library, "link")
    assert "What is gout?" in asked(chunks, library, "definition")
    assert "How to calm the acid within a week?" in asked(chunks, library, "purpose")
    aspects = asked(chunks, library, "aspect")
    assert any(re.fullmatch(r"What are the (symptoms|signs) of (\w+)\?", text) for text in aspects)
    assert {text.rpartition(" of ")[2].rstrip("?").lower() for text in aspects} & set(TOPICS)
    assert any(text.startswith("gout ") for text in asked(chunks, library, "keywords"))


def test_a_crop_is_made_of_a_sentences_words_and_quotes_none_of_it() -> None:
    text = "The operators of the old mill have to clean the wheel before the winter comes."
    others = [passage(f"Other words {n} of the mill stand here.", name=str(n)) for n in range(30)]
    made = generate([passage(text), *others], [], per_chunk=1, recipes=["crop"])
    first = next(one.text for one in made if "winter" in one.text or "wheel" in one.text)
    assert set(first.split()) <= set(words(text))
    assert not set(first.split()) & STOP


def test_each_passage_gets_no_more_than_it_was_promised(
    chunks: list[Chunk], library: Library
) -> None:
    counts = Counter(one.chunk for one in generate(chunks, library.sources, per_chunk=2))
    assert set(counts.values()) <= {1, 2}
    assert len(counts) > len(chunks) / 2


def test_questions_do_not_depend_on_the_order_of_passages(
    chunks: list[Chunk], library: Library
) -> None:
    one = generate(chunks, library.sources, per_chunk=3)
    two = generate(chunks[::-1], library.sources, per_chunk=3)
    assert sorted(map(str, one)) == sorted(map(str, two))


def test_english_patterns_are_kept_off_other_languages_and_off_code() -> None:
    english = "Gout is a disease of the joints. A remedy is used to calm the pain for a day."
    german = (
        "Gicht is a Krankheit der Gelenke, die in Schüben kommt und sehr weh tut, und sie ist "
        "nicht zu heilen. Das Mittel is used to calm the Schmerz der Gelenke."
    )
    for recipe in ("definition", "purpose"):
        for one, asks in (
            (passage(english), True),
            (passage(german), False),
            (passage(english, code=True), False),
        ):
            assert bool(generate([one], [], per_chunk=9, recipes=[recipe])) == asks, recipe


def test_topics_are_what_few_passages_and_this_one_speak_of(chunks: list[Chunk]) -> None:
    found = statistics(chunks)
    own = [one for one in chunks if one.document == "gout.md"]
    assert own
    for one in own:
        assert "gout" in topics(one, found)[0].lower()


def test_a_topic_is_named_first_or_after_its_aspect_and_is_no_verb_and_no_aspect() -> None:
    texts = (
        "Symptoms of a hip fracture vary by age. People with pain can call a doctor.",
        "The treatment for Wilson disease takes years. Drugs can remove copper at any age.",
        "You can take steps to prevent kidney stones. Kidney stones can vary.",
        "In most cases nothing happens here, and then a lot of other words stand here.",
    )
    every = [passage(text, title="") for text in texts]
    found = statistics(every)
    first = [next(iter(topics(one, found)), "") for one in every]
    assert first == ["hip fracture", "Wilson disease", "kidney stones", ""]


@pytest.mark.parametrize(
    ("text", "more", "questions"),
    [
        (
            "Symptoms of gout are pain and heat. They come at night.",
            "Gout can last.",
            {"What are the symptoms of gout?", "What are the signs of gout?"},
        ),
        (
            "Ticks carry a germ. The nation has clinics and patients with ticks.",
            "Ticks carry other germs.",
            set(),
        ),
        (
            "Gout is treated well. It is over in a week.",
            "Gout can last.",
            {"What are the treatments for gout?", "How is gout treated?"},
        ),
        (
            "The parameters of os.walk are top and onerror. The first is a path.",
            "os.walk may work.",
            {"What arguments does os.walk take?"},
        ),
    ],
)
def test_an_aspect_is_asked_for_only_where_the_passage_speaks_of_it(
    text: str, more: str, questions: set[str]
) -> None:
    every = [passage(text), replace(passage(more), id="more")]
    made = {one.text for one in generate(every, [], per_chunk=9, recipes=["aspect"])}
    assert {one.lower() for one in made} <= {one.lower() for one in questions}
    assert bool(made) == bool(questions)


def test_only_a_sentence_that_says_what_something_is_defines_it() -> None:
    def defined(text: str) -> list[str]:
        made = generate([passage(text)], [], per_chunk=9, recipes=["definition"])
        return [one.text for one in made]

    assert defined("Summary : A hernia is a part of an organ that bulges.") == ["What is hernia?"]
    assert defined("Warts are caused by a virus.") == ["What are warts?"]
    assert defined("Scientists are looking at the immune system.") == []
    assert defined("Entity Recognition. It is a tool.") == []


def test_what_a_tool_does_is_asked_as_how_to_do_it() -> None:
    others = [passage(f"You can detect it or may convert part {n}.", name=str(n)) for n in range(5)]
    texts = ("Convert speech to plain text.", "The model detects people in a photo.")
    own = [replace(passage(text), id=text) for text in texts]
    made = generate([*own, *others], [], per_chunk=9, recipes=["purpose"])
    asked_for = {one.text for one in made}
    assert "How to convert speech to plain text?" in asked_for
    assert "How to detect people in a photo?" in asked_for


def test_a_crop_leaves_out_what_nobody_types() -> None:
    kinds = ["wheels", "mills", "ropes", "doors", "pumps", "lamps"]
    others = [
        passage(f"Some {kinds[n % 6]} stand near {kinds[n % 5]} of part {n}.", name=str(n))
        for n in range(220)
    ]
    text = "The ropes of the lamps and pumps go with mx_200 and zzyzx behind the doors."
    made = generate([passage(text), *others], [], per_chunk=1, recipes=["crop"])
    assert [one.text for one in made if "ropes lamps" in one.text] == ["ropes lamps pumps doors"]


def test_words_keep_names_and_sentences_keep_items_apart() -> None:
    assert words("Use C++ and os.path, don't stop.") == [
        "use",
        "c++",
        "and",
        "os.path",
        "don't",
        "stop",
    ]
    assert sentences("One here. Two there? - three - four") == [
        "One here.",
        "Two there?",
        "three",
        "four",
    ]
    assert set(phrases("the red mill, and a wheel", STOP)) == {"red", "mill", "red mill", "wheel"}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("What are the causes of this and how is it treated?", "en"),
        ("Was sind die Ursachen und wie wird das behandelt?", "de"),
        ("Quelles sont les causes et comment traiter le mal dans un pays ?", "fr"),
        ("grep sed awk", ""),
    ],
)
def test_common_words_tell_a_language(text: str, code: str) -> None:
    assert language(text) == code


def test_another_script_or_a_known_other_language_is_a_difference() -> None:
    english = "This is how the pump is started and what it is for."
    assert differ("Wie wird die Pumpe gestartet und was ist der Zweck?", english)
    assert differ("Как запустить насос?", english)
    assert not differ("pump start", english)
    assert script("漢字") == "CJK"
