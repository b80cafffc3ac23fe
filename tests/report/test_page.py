from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragd_tune.errors import NotInstalledError, UsageError
from ragd_tune.evaluate import Elsewhere, Report
from ragd_tune.report import Run, Story, check, page, picture, style, write
from ragd_tune.report.markup import el

Make = Callable[..., Story]
Proof = Callable[..., Report]
HOSTILE = "</td></svg><script>alert(1)</script><img src=x onerror=alert(1)> & \"quoted\" 'x'"
SVG = "{http://www.w3.org/2000/svg}"


def parsed(text: str) -> ET.Element:
    """Read a page as XML, which forgives nothing."""
    return ET.fromstring(text.removeprefix("<!doctype html>\n"))


def words(story: Story) -> str:
    return " ".join("".join(parsed(page(story)).itertext()).split())


# -- texts of data stay texts --------------------------------------------------------------------


def test_a_query_that_holds_markup_is_shown_as_text_and_never_run(make: Make, proof: Proof) -> None:
    story = make(proof(text=HOSTILE), adapter=HOSTILE, data=HOSTILE, base=HOSTILE)
    tree = parsed(page(story))
    assert {"script", "img", "iframe", "object"}.isdisjoint(one.tag for one in tree.iter())
    assert HOSTILE in "".join(tree.itertext())


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=60))
def test_no_text_whatever_breaks_the_page_or_adds_an_element(proof: Proof, text: str) -> None:
    plain = [one.tag for one in parsed(page(story_of(proof(queries=4)))).iter()]
    told = [one.tag for one in parsed(page(story_of(proof(queries=4, text=text)))).iter()]
    assert told == plain


def story_of(report: Report) -> Story:
    return Story(
        adapter="mine", id="ab" * 32, kind="bi-encoder", base="tiny", base_fingerprint="cd" * 32,
        report=report, data="letters", data_fingerprint="ef" * 32, split="test",
    )  # fmt: skip


def test_what_a_run_says_of_itself_is_escaped_too(make: Make, run: Run) -> None:
    bad = replace(run, plan={"backend": HOSTILE, "options": {HOSTILE: HOSTILE}})
    assert "script" not in {one.tag for one in parsed(page(make(run=replace(bad)))).iter()}


def test_attributes_cannot_be_broken_out_of() -> None:
    assert el("p", "x", id='" onclick="y') == '<p id="&quot; onclick=&quot;y">x</p>'


def test_a_text_cannot_turn_the_text_around_it() -> None:
    assert el("p", "a\u202eb\u2066c") == "<p>abc</p>"


# -- nothing is needed but the file --------------------------------------------------------------


def test_the_page_asks_for_nothing_and_forbids_everything(make: Make, proof: Proof) -> None:
    text = page(make(proof(dims=(64, 32, 16))))
    tree = parsed(text)
    assert not [one for one in tree.iter() if {"src", "href", "action"} & set(one.attrib)]
    assert "url(" not in text
    assert "@import" not in text
    policy = [one.get("content") for one in tree.iter("meta") if one.get("http-equiv")]
    assert policy == ["default-src 'none'; style-src 'unsafe-inline'"]


# -- readable by everybody -----------------------------------------------------------------------


def luminance(colour: str) -> float:
    """Return the relative luminance of WCAG 2.2."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("theme", [style.LIGHT, style.DARK], ids=["light", "dark"])
@pytest.mark.parametrize("ground", ["paper", "panel"])
def test_every_text_stands_out_from_its_ground(theme: dict[str, str], ground: str) -> None:
    for name in style.TEXTS:
        bright, dark = sorted((luminance(theme[name]), luminance(theme[ground])), reverse=True)
        assert (bright + 0.05) / (dark + 0.05) >= 4.5, name


def test_the_style_knows_every_colour_that_it_uses() -> None:
    assert set(re.findall(r"var\(--(\w+)\)", style.sheet())) <= set(style.LIGHT)
    assert style.LIGHT.keys() == style.DARK.keys()


def test_every_drawing_has_a_name_and_a_description_of_its_own(make: Make, proof: Proof) -> None:
    tree = parsed(page(make(proof(dims=(64, 32)))))
    ids = [one.get("id") for one in tree.iter() if one.get("id")]
    assert len(ids) == len(set(ids))
    drawings = list(tree.iter("svg"))
    assert len(drawings) == 5
    for one in drawings:
        title, told = (one.get("aria-labelledby") or "").split()
        assert one.get("role") == "img"
        assert one.find("title").get("id") == title  # type: ignore[union-attr]
        assert one.find("desc").get("id") == told  # type: ignore[union-attr]
        assert "".join(one.find("desc").itertext())  # type: ignore[union-attr]


def test_the_page_has_a_language_a_width_for_phones_and_headings_that_name_sections(
    make: Make,
) -> None:
    tree = parsed(page(make()))
    assert tree.get("lang") == "en-GB"
    assert "width=device-width" in page(make())
    ids = {one.get("id") for one in tree.iter("h2")}
    assert {one.get("aria-labelledby") for one in tree.iter("section")} - {None} == ids


# -- what it tells ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("drawn", "answer", "decision"),
    [
        ({"gain": 0.1}, "yes", "Use it"),
        ({"gain": -0.1}, "no", "Do not use it: it is worse"),
        ({"gain": 0.0}, "no", "Do not use it: no gain is shown"),
        ({"queries": 8}, "open", "Nothing is shown: test it on more documents"),
    ],
)
def test_it_says_whether_to_use_the_adapter(
    make: Make, proof: Proof, drawn: dict[str, float], answer: str, decision: str
) -> None:
    story = make(report := proof(**drawn))
    assert (story.answer, story.decision) == (answer, decision)
    assert decision in words(story)
    assert report.sentence in words(story)


def test_a_proof_from_elsewhere_says_so_whatever_it_claims(make: Make) -> None:
    story = make(imported=True)
    assert story.answer == "open"
    assert "prove it on your own data first" in words(story)


def test_it_shows_the_numbers_of_the_proof(make: Make) -> None:
    story = make()
    told, gate = words(story), story.report.gate
    for value in (gate.before, gate.after):
        assert f"{value:.4f}" in told
    assert f"{gate.difference.low:+.4f}" in told
    assert f"{gate.difference.wins} queries gained, {gate.difference.losses} lost" in told
    assert "30 queries are about documents that training queries used" in told
    assert "2 min 10 s" in told
    assert "2.4 GB" in told


def test_gained_and_lost_queries_stand_side_by_side_with_their_ranks(
    make: Make, proof: Proof
) -> None:
    story = make(proof(gain=0.0, text="where is"))
    tree = parsed(page(story))
    cells = ["".join(one.itertext()) for one in tree.iter("td") if one.get("class") == "said"]
    moved = [*story.report.gained, *story.report.lost]
    assert cells == [one.text for one in moved]
    assert "rank 1" in words(story)
    assert "not found" in words(story)


def test_what_was_lost_on_another_domain_is_shown_and_decides(make: Make, proof: Proof) -> None:
    lost = Elsewhere.of(proof(gain=-0.2), data="code", fingerprint="f" * 64, tolerance=0.02)
    story = make(replace(proof(gain=0.1), elsewhere=lost))
    assert (story.answer, story.report.passed) == ("no", False)
    told = words(story)
    assert "Do not use it: it forgets" in told
    assert f"code: {lost.before:.4f} → {lost.after:.4f}" in told
    assert "Forgotten" not in words(make())


def test_what_there_is_nothing_to_tell_of_is_left_out(make: Make, proof: Proof) -> None:
    told = words(make(run=None))
    for heading in ("Learning curve", "Time and memory", "Cut vectors"):
        assert heading not in told
    assert "Cut vectors" in words(make(proof(dims=(64, 32))))


def test_one_query_and_one_step_are_enough_for_a_page(make: Make, proof: Proof, run: Run) -> None:
    short = replace(run, losses=((1, 2.0),), dev_losses=(), estimated=None)
    told = words(make(proof(queries=1, gain=0.0), run=short))
    assert "1 queries" in told
    assert "not made" in told


@pytest.mark.parametrize("payload", [{}, {"plan": 3, "result": {}}, {"plan": {}, "result": []}])
def test_a_run_that_is_described_in_another_way_is_left_out(payload: dict[str, object]) -> None:
    assert Run.read(payload) is None


# -- files --------------------------------------------------------------------------------------


def test_json_holds_what_the_page_shows(make: Make, tmp_path: Path) -> None:
    story = make()
    raw = json.loads(write(story, tmp_path / "r.json").read_text(encoding="utf-8"))
    assert Report.from_json(raw["proof"]) == story.report
    assert raw["decision"] == "Use it"
    assert len(raw["run"]["losses"]) == 80


def test_the_picture_is_a_whole_svg_whose_texts_are_escaped(make: Make, tmp_path: Path) -> None:
    text = write(make(adapter=HOSTILE), tmp_path / "r.svg").read_text(encoding="utf-8")
    tree = ET.fromstring(text)
    assert {one.tag.removeprefix(SVG) for one in tree.iter()} <= {
        "svg", "title", "desc", "style", "rect", "text", "line", "circle", "g", "polyline",
    }  # fmt: skip
    assert "var(" not in text
    assert "prefers-color-scheme: dark" in text


def test_the_picture_is_drawn_as_png(make: Make, tmp_path: Path) -> None:
    raw = write(make(), tmp_path / "r.png").read_bytes()
    assert raw[:8] == b"\x89PNG\r\n\x1a\n"
    assert int.from_bytes(raw[16:20], "big") == 2 * picture.WIDTH


def test_a_png_without_what_draws_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picture, "find_spec", lambda name: None)
    with pytest.raises(NotInstalledError, match="resvg-py") as missing:
        check(tmp_path / "r.png")
    assert "ragd-tune[png]" in missing.value.mend


@pytest.mark.parametrize(
    ("name", "words"),
    [("r.pdf", "cannot be written as .pdf"), ("report", "without an ending"),
     ("no/such/r.html", "there is no folder")],
)  # fmt: skip
def test_a_file_that_cannot_be_a_report_is_refused(tmp_path: Path, name: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        check(tmp_path / name)


def test_an_older_report_is_replaced_and_nothing_else_is_left(make: Make, tmp_path: Path) -> None:
    (tmp_path / "r.html").write_text("old", encoding="utf-8")
    write(make(), tmp_path / "r.html")
    assert [path.name for path in tmp_path.iterdir()] == ["r.html"]
    assert "Use it" in (tmp_path / "r.html").read_text(encoding="utf-8")
