from __future__ import annotations

import gzip
import io
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import docx
import pytest
from pypdf import PdfWriter
from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

from ragd_tune.data.documents import Library, Source, gather, model
from ragd_tune.data.documents.gather import text_of
from ragd_tune.errors import DataError

Put = Callable[[str, str | bytes], Path]


def only(library: Library) -> Source:
    assert len(library.sources) == 1, library
    return library.sources[0]


def shown(source: Source) -> list[tuple[tuple[str, ...], str]]:
    return [(block.headings, block.text) for block in source.blocks]


MARKDOWN = """---
title: left out
---
# Guide

Read *this*.

## Install `it` {#install}

    pip install it

```sh
# no heading
pip install it
```

Setext
------

Under. See [the other page](other.md#part).
<!-- a comment -->
"""


def test_markdown_is_read_by_headings_and_its_offsets_lead_to_the_text(write: Put) -> None:
    source = only(gather([write("a.md", MARKDOWN)]))
    assert source.title == "Guide"
    assert [headings for headings, _ in shown(source)] == [
        ("Guide",),
        ("Guide", "Install it"),
        ("Guide", "Install it"),
        ("Guide", "Setext"),
    ]
    assert "left out" not in " ".join(text for _, text in shown(source))
    assert source.blocks[2].kind == "code"
    assert [(link.text, link.target) for link in source.links] == [
        ("the other page", "other.md#part")
    ]
    for block in source.blocks:
        assert source.text[block.start : block.end] == block.text


def test_underlined_headings_of_restructuredtext_nest_in_the_order_of_their_marks(
    write: Put,
) -> None:
    text = "Title\n=====\n\nOne.\n\nPart\n~~~~\n\nTwo.\n\nOther\n=====\n\nThree.\n"
    found = shown(only(gather([write("a.rst", text)])))
    assert found == [(("Title",), "One."), (("Title", "Part"), "Two."), (("Other",), "Three.")]


def test_a_question_on_a_line_of_its_own_heads_the_answer_below(write: Put) -> None:
    text = (
        "# FAQ\n\n**Q: How do I undo it?**\n\nPress undo.\n\nIs it free?\nYes, it is.\n\n"
        "# Other\n\nEnd.\n"
    )
    assert shown(only(gather([write("a.md", text)]))) == [
        (("FAQ", "How do I undo it?"), "Press undo."),
        (("FAQ", "Is it free?"), "Yes, it is."),
        (("Other",), "End."),
    ]


def test_html_is_read_without_scripts_navigation_and_hidden_parts(write: Put) -> None:
    page = (
        "<html><head><title>Page</title><script>bad()</script></head><body><nav>menu</nav>"
        "<main><h1>Top</h1><p>First <b>bold</b> text.</p><h2>Below</h2><ul><li>One</li></ul>"
        "<pre>x = 1\ny = 2</pre><div>Loose words</div><p hidden>secret</p>"
        "<a href='b.html'>the other page</a></main><footer>foot</footer></body></html>"
    )
    source = only(gather([write("a.html", page)]))
    assert source.title == "Page"
    assert shown(source)[:4] == [
        (("Top",), "First bold text."),
        (("Top", "Below"), "One"),
        (("Top", "Below"), "x = 1\ny = 2"),
        (("Top", "Below"), "Loose words"),
    ]
    assert not {"bad()", "menu", "secret", "foot"} & set(source.text.split())
    assert source.links[0].text == "the other page"
    for block in source.blocks:
        assert source.text[block.start : block.end] == block.text


def pdf(*pages: str, outline: bool = False, password: str = "") -> bytes:
    writer = PdfWriter()
    font = DictionaryObject(
        {
            NameObject("/Type"): NameObject("/Font"),
            NameObject("/Subtype"): NameObject("/Type1"),
            NameObject("/BaseFont"): NameObject("/Helvetica"),
        }
    )
    for number, text in enumerate(pages):
        page = writer.add_blank_page(300, 300)
        page[NameObject("/Resources")] = DictionaryObject(
            {NameObject("/Font"): DictionaryObject({NameObject("/F1"): font})}
        )
        stream = DecodedStreamObject()
        lines = " T* ".join(f"({line}) Tj" for line in text.split("\n"))
        stream.set_data(f"BT /F1 12 Tf 14 TL 20 250 Td {lines} ET".encode())
        page[NameObject("/Contents")] = writer._add_object(stream)
        if outline:
            writer.add_outline_item(title=text.partition("\n")[0], page_number=number)
    if password:
        writer.encrypt(password, algorithm="RC4-128")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def test_a_pdf_is_read_page_by_page_under_the_headings_of_its_outline(write: Put) -> None:
    content = pdf("Valves\nOpen them slowly.", "Pumps\nStart them once.", outline=True)
    source = only(gather([write("a.pdf", content)]))
    assert [(headings, " ".join(text.split())) for headings, text in shown(source)] == [
        (("Valves",), "Open them slowly."),
        (("Pumps",), "Start them once."),
    ]


def test_an_encrypted_and_a_scanned_pdf_are_listed_with_the_reason(write: Put) -> None:
    write("locked.pdf", pdf("secret", password="word"))
    write("scanned.pdf", pdf(""))
    write("broken.pdf", b"%PDF-1.7 and then nothing")
    root = write("good.txt", "A text.")
    reasons = {one.path: one.reason for one in gather([root]).skipped}
    assert "encrypted" in reasons["locked.pdf"]
    assert "OCR" in reasons["scanned.pdf"]
    assert "damaged" in reasons["broken.pdf"]


def test_docx_is_read_by_its_styles_with_tables(write: Put, tmp_path: Path) -> None:
    document = docx.Document()
    document.add_heading("Manual", 0)
    document.add_heading("Cleaning", 1)
    document.add_paragraph("Use water.")
    table = document.add_table(1, 2)
    table.cell(0, 0).text, table.cell(0, 1).text = "soap", "yes"
    document.save(str(tmp_path / "made.docx"))
    source = only(gather([write("a.docx", (tmp_path / "made.docx").read_bytes())]))
    assert shown(source) == [
        (("Manual", "Cleaning"), "Use water."),
        (("Manual", "Cleaning"), "soap | yes"),
    ]


def test_a_docx_that_is_none_is_listed(write: Put) -> None:
    write("a.docx", b"PK\x03\x04 no zip")
    root = write("b.txt", "A text.")
    assert "damaged" in gather([root]).skipped[0].reason


def test_a_zip_bomb_is_not_unpacked(write: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    from ragd_tune.data.documents import docx as reader

    monkeypatch.setattr(reader, "_LARGEST", 1000)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", "0" * 100_000)
    write("a.docx", packed.getvalue())
    root = write("b.txt", "A text.")
    assert "unpacks to more" in gather([root]).skipped[0].reason


PYTHON = '''"""Tools for files."""


class Reader:
    """Read files line by line."""

    size = 1

    def close(self):
        """Close the file; later calls do nothing."""
        self.file.close()


def count(path):
    return sum(1 for _ in open(path))
'''


def test_python_gives_a_block_for_each_definition_with_its_docstring_apart(write: Put) -> None:
    source = only(gather([write("a.py", PYTHON)]))
    named = {block.name: block for block in source.blocks}
    assert set(named) == {"a.py", "Reader", "Reader.close", "count"}
    assert named["Reader.close"].about == "Close the file; later calls do nothing."
    assert "later calls" not in named["Reader.close"].text
    assert "self.file.close()" in named["Reader.close"].text
    assert "def close" not in named["Reader"].text
    assert source.title == "Tools for files."


def test_other_code_is_cut_at_definitions_with_the_comment_above_apart(write: Put) -> None:
    text = (
        "use std;\n\n/// Adds two numbers.\nfn add(a: i32) -> i32 {\n    a\n}\n\n"
        "// Drops it.\nfn drop() {\n}\n"
    )
    blocks = only(gather([write("a.rs", text)])).blocks
    assert [(block.name, block.about) for block in blocks[-2:]] == [
        ("add", "Adds two numbers."),
        ("drop", "Drops it."),
    ]
    assert "Drops it" not in blocks[-2].text


def test_python_that_cannot_be_parsed_is_read_like_other_code(write: Put) -> None:
    source = only(gather([write("old.py", "print 'x'\n\ndef f(x):\n    return x\n")]))
    assert "f" in {block.name for block in source.blocks}


def test_rows_of_a_corpus_are_passages_with_their_own_ids(write: Put) -> None:
    rows = [
        {"_id": "d1", "title": "T", "text": "One."},
        {"id": 2, "content": "Two.", "document": "book"},
        {"note": "nothing to read"},
    ]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    library = gather([write("c.jsonl.gz", gzip.compress(text.encode()))])
    assert [(one.id, one.title, one.text, one.whole, one.origin) for one in library.sources] == [
        ("d1", "T", "One.", True, ""),
        ("2", "", "Two.", True, "book"),
    ]


def test_broken_empty_and_binary_files_are_skipped_and_listed(write: Put) -> None:
    write("broken.jsonl", '{"text": "fine"}\n{"text": \n')
    write("empty.md", "")
    write("blank.md", " \n\n ")
    write("binary.txt", bytes(range(256)) * 20)
    write("picture.png", b"\x89PNG")
    write(".hidden/secret.md", "never read")
    write("node_modules/x.md", "never read")
    root = write("good.md", "Read me.")
    library = gather([root])
    assert {one.id for one in library.sources} >= {"good.md"}
    reasons = {one.path: one.reason for one in library.skipped}
    assert set(reasons) == {"broken.jsonl", "empty.md", "blank.md", "binary.txt", "picture.png"}
    assert "line 2" in reasons["broken.jsonl"]
    assert reasons["binary.txt"] == "is binary"


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_a_link_that_leads_out_of_the_folder_is_not_followed(write: Put, tmp_path: Path) -> None:
    root = write("good.md", "Read me.")
    (tmp_path / "private.md").write_text("private", encoding="utf-8")
    (root / "link.md").symlink_to(tmp_path / "private.md")
    assert [one.id for one in gather([root]).sources] == ["good.md"]


def test_nothing_to_read_is_an_error_that_lists_why(write: Put) -> None:
    root = write("empty.md", "")
    with pytest.raises(DataError, match=r"empty\.md: is empty"):
        gather([root])
    with pytest.raises(DataError, match="no such file"):
        gather([root / "nowhere"])


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("Grüße".encode("utf-16"), "Grüße"),
        ("Grüße".encode("cp1252"), "Grüße"),
        (b"\xef\xbb\xbfhi", "hi"),
    ],
)
def test_texts_in_other_encodings_are_read(tmp_path: Path, raw: bytes, text: str) -> None:
    (tmp_path / "a.txt").write_bytes(raw)
    assert text_of(tmp_path / "a.txt") == text


def test_the_order_of_the_paths_does_not_matter(write: Put) -> None:
    write("a.md", "One.")
    root = write("b.md", "Two.")
    assert gather([root / "a.md", root / "b.md"]) == gather([root / "b.md", root / "a.md"])


def test_files_of_one_name_from_several_folders_are_all_read_and_told_apart(write: Put) -> None:
    for name in ("http/main.md", "json/main.md", "json/more.md"):
        root = write(name, f"The text of {name}.")
    library = gather([root / "json", root / "http"])
    assert library == gather([root / "http", root / "json"])
    assert [one.id for one in library.sources] == ["http/main.md", "json/main.md", "json/more.md"]
    assert all(f"The text of {one.id}." in one.text for one in library.sources)
    same = gather([root / "http" / "main.md", root / "json" / "main.md"])
    assert [one.id for one in same.sources] == ["http/main.md", "json/main.md"]


def test_folders_of_one_name_are_told_apart_by_those_above_them(write: Put) -> None:
    for name in ("old/docs/a.md", "new/docs/a.md"):
        root = write(name, f"The text of {name}.")
    library = gather([root / "new" / "docs", root / "old" / "docs"])
    assert [one.id for one in library.sources] == ["new/docs/a.md", "old/docs/a.md"]


def test_a_file_that_is_given_twice_is_read_once(write: Put) -> None:
    root = write("in/a.md", "The text.")
    library = gather([root / "in" / "a.md", root / "in", root, root])
    assert [one.id for one in library.sources] == ["in/a.md"]


def test_a_reader_without_its_package_says_how_to_get_it(
    write: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib

    module = importlib.import_module("ragd_tune.data.documents.gather")
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    write("a.pdf", pdf("text"))
    root = write("b.md", "Read me.")
    assert "ragd-tune[documents]" in gather([root]).skipped[0].reason


def test_line_ends_and_unicode_forms_do_not_change_a_text() -> None:
    assert model.tidy("a\r\nb\rc e\u0301\x00") == "a\nb\nc \u00e9"
