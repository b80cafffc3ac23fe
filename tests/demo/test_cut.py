from __future__ import annotations

import ast
import copy
import io
import sysconfig
import tokenize
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragd_tune.demo.cut import Piece, decode, pieces
from ragd_tune.demo.library import modules

DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def one(source: str, name: str) -> Piece:
    return {piece.name: piece for piece in pieces(source)}[name]


def is_text(node: ast.stmt) -> bool:
    value = node.value if isinstance(node, ast.Expr) else None
    return isinstance(value, ast.Constant) and isinstance(value.value, str)


def stripped(node: ast.AST) -> str:
    """The tree of ``node`` as it should be once every docstring is out."""
    node = copy.deepcopy(node)
    for inner in ast.walk(node):
        if isinstance(inner, DEFINITIONS):
            while inner.body and is_text(inner.body[0]):
                del inner.body[0]
            inner.body = inner.body or [ast.Pass()]
    return ast.dump(node)


def by_name(tree: ast.AST, within: str = "") -> list[tuple[str, ast.AST]]:
    found: list[tuple[str, ast.AST]] = []
    for child in ast.iter_child_nodes(tree):
        here = f"{within}{child.name}." if isinstance(child, DEFINITIONS) else within
        if isinstance(child, DEFINITIONS) and ast.get_docstring(child):
            found.append((here[:-1], child))
        found += by_name(child, here)
    return found


def comments(source: str) -> list[str]:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return [token.string for token in tokens if token.type == tokenize.COMMENT]


def assert_exact(source: str) -> int:
    """Every piece parses to its own tree without docstrings; returns how many there are."""
    found = list(pieces(source))
    wanted = by_name(ast.parse(source))
    assert [piece.name for piece in found] == [name for name, _ in wanted]
    for piece, (_, node) in zip(found, wanted, strict=True):
        (again,) = ast.parse(piece.source).body
        assert ast.dump(again) == stripped(node), piece.source
    return len(found)


CASES = {
    "a plain function": (
        'def f(x):\n    """Say x."""\n    return x\n',
        "def f(x):\n    return x",
    ),
    "comments and blank lines stay": (
        'def f(x):  # head\n    # before\n    """Say x."""  # beside\n\n    # after\n'
        "    return x  # end\n",
        "def f(x):  # head\n    # before\n    # beside\n\n    # after\n    return x  # end",
    ),
    "decorators stay": (
        '@a\n@b(1,\n   2)\ndef f(x):\n    "Say x."\n    return x\n',
        "@a\n@b(1,\n   2)\ndef f(x):\n    return x",
    ),
    "a decorator apart from its sign": (
        '@ \\\n(a)\ndef f(x):\n    "Say x."\n    return x\n',
        "@ \\\n(a)\ndef f(x):\n    return x",
    ),
    "a coroutine": (
        'async def f(x):\n    """Say x."""\n    await x\n',
        "async def f(x):\n    await x",
    ),
    "a body on one line": ('def f(x): "Say x."; return x\n', "def f(x): return x"),
    "nothing but a docstring on one line": ('def f(x): "Say x."\n', "def f(x): pass"),
    "nothing but a docstring": ('def f(x):\n    """Say x."""\n', "def f(x):\n    pass"),
    "a semicolon behind the docstring": (
        'def f(x):\n    "Say x.";\n    return x\n',
        "def f(x):\n    return x",
    ),
    "a statement behind the docstring": (
        'def f(x):\n    "Say x."; y = x\n    return y\n',
        "def f(x):\n    y = x\n    return y",
    ),
    "a continued line behind the docstring": (
        'def f(x):\n    "Say x."; \\\n    y = x\n    return y\n',
        "def f(x):\n    y = x\n    return y",
    ),
    "a docstring on a continued line": (
        'def f(x): \\\n    "Say x."; return x\n',
        "def f(x): \\\n    return x",
    ),
    "parentheses around the docstring": (
        'def f(x):\n    ("Say "\n     "x.")\n    return x\n',
        "def f(x):\n    return x",
    ),
    "joined strings": ('def f(x):\n    "Say " "x."\n    return x\n', "def f(x):\n    return x"),
    "a second string would become the docstring": (
        'def f(x):\n    "Say x."\n    "Loudly."\n    return x\n',
        "def f(x):\n    return x",
    ),
    "two strings and nothing else": ('def f(x):\n    "a b"\n    "c d"\n', "def f(x):\n    pass\n"),
    "raw and escaped docstrings": (
        'def f(x):\n    r"""Say \\d."""\n    return r"\\d"\n',
        'def f(x):\n    return r"\\d"',
    ),
    "letters of several bytes": (
        'def f(ñ="ä€𝄞"): "Sag ñ € 𝄞."; return "é𝄞"  # ü\n',
        'def f(ñ="ä€𝄞"): return "é𝄞"  # ü',
    ),
    "tabs": ('if 1:\n\tdef f(x):\n\t\t"Say x."\n\t\treturn x\n', "def f(x):\n\treturn x"),
    "a form feed": (
        '\x0c\ndef g(): pass\n\x0cdef f(x):\n    """Say\x0c x."""\n    return x\n',
        "def f(x):\n    return x",
    ),
    "no line break at the end": (
        'def f(x):\n    "Say x."\n    return x',
        "def f(x):\n    return x",
    ),
    "a string over several lines keeps its blanks": (
        'if 1:\n    def f(x):\n        "Say x."\n        return """a\n        b\nc"""\n',
        'def f(x):\n    return """a\n        b\nc"""',
    ),
    "a comment further left": (
        'if 1:\n    def f(x):\n        "Say x."\n# here\n        return x\n',
        "def f(x):\n# here\n    return x",
    ),
}


@pytest.mark.parametrize(("source", "wanted"), CASES.values(), ids=CASES)
def test_the_docstring_goes_and_everything_else_stays(source: str, wanted: str) -> None:
    assert one(source, "f").source == wanted
    assert assert_exact(source) == 1


def test_what_is_defined_inside_a_class_loses_its_docstrings_too() -> None:
    source = (
        "class A(B):\n"
        '    """Hold a."""\n\n'
        "    size = 1  # letters\n\n"
        "    @property\n"
        "    def f(self):\n"
        '        """Say f."""\n'
        "        def g():\n"
        '            """Say g."""\n'
        "        return g\n"
        "    class Error(Exception):\n"
        '        """Raise it."""\n'
    )
    found = {piece.name: piece for piece in pieces(source)}
    assert list(found) == ["A", "A.f", "A.f.g", "A.Error"]
    assert found["A"].source == (
        "class A(B):\n\n"
        "    size = 1  # letters\n\n"
        "    @property\n"
        "    def f(self):\n"
        "        def g():\n"
        "            pass\n"
        "        return g\n"
        "    class Error(Exception):\n"
        "        pass"
    )
    assert found["A.f"].source.startswith("@property\ndef f(self):\n    def g():")
    assert found["A.f.g"].docstring == "Say g."
    assert assert_exact(source) == 4


@pytest.mark.parametrize(
    ("body", "does"),
    [
        ("pass", False),
        ("...", False),
        ("raise NotImplementedError", False),
        ("raise NotImplementedError('later')", False),
        ("raise ValueError", True),
        ("x()", True),
        ("return None", True),
    ],
)
def test_a_body_that_only_holds_a_place_is_told_from_one_that_works(body: str, does: bool) -> None:
    assert one(f'def f():\n    "Say f."\n    {body}\n', "f").does_something is does


def test_what_has_no_docstring_is_no_piece() -> None:
    source = (
        'def f():\n    return "x"\n\n@overload\ndef g(): ...\n\ndef h(x):\n    f"Say {x}."\n'
        'class A:\n    b"Say a."\n'
    )
    assert list(pieces(source)) == []


@pytest.mark.parametrize("end", ["\r\n", "\r"])
def test_line_ends_of_other_systems_read_like_ours(end: str) -> None:
    source = 'class A:\n    """Hold a."""\n    def f(self):\n        "Say f."\n        return 1\n'
    raw = source.replace("\n", end).encode()
    assert list(pieces(decode(raw))) == list(pieces(source))


def test_a_file_is_read_in_the_encoding_that_it_declares() -> None:
    source = '# -*- coding: latin-1 -*-\ndef f():\n    "Sag é."\n    return "ü"\n'
    assert one(decode(source.encode("latin-1")), "f").source == 'def f():\n    return "ü"'
    marked = b"\xef\xbb\xbf" + source.partition("\n")[2].encode()
    assert one(decode(marked), "f").docstring == "Sag é."


def test_bad_escapes_in_a_library_are_no_warning_of_ours() -> None:
    assert one('def f():\n    "Say \\d."\n    return "\\d"\n', "f").docstring == "Say \\d."


# -- any source that can be made up ---------------------------------------------------------------

WORDS = st.text("abc é€𝄞\\n#'", min_size=1, max_size=12)


@st.composite
def docstring(draw: st.DrawFn) -> str:
    word = draw(WORDS)
    if draw(st.booleans()):
        lines = draw(st.lists(WORDS, max_size=2))
        quote, text = '"""', "\n".join([f"D {word}", *lines]).replace("\\", "\\\\")
        return f"{quote}{text}.{quote}"
    made = repr(f"D {word}")
    return draw(st.sampled_from([made, f"({made})", f"{made} {made}", f"({made}\n{made})"]))


@st.composite
def definition(draw: st.DrawFn, depth: int = 0) -> list[str]:
    unit = draw(st.sampled_from(["    ", "\t", " "]))
    head = draw(st.sampled_from(["def f{}(x):", "async def f{}(x='é'):", "class C{}(object):"]))
    head = head.format(draw(st.integers(0, 99)))
    lines = [f"@d({draw(WORDS)!r})"] if draw(st.booleans()) else []
    statements = draw(st.lists(st.sampled_from(["x = 1", "x = '''a\n  b'''", "'text'", "..."])))
    if draw(st.booleans()) and not any("\n" in statement for statement in statements):
        doc = [repr(draw(WORDS))] if draw(st.booleans()) else []
        return [*lines, f"{head} " + "; ".join([*doc, *statements, "x = 2"]) + "  # é"]
    body = [draw(docstring())] if draw(st.booleans()) else []
    followed: bool = draw(st.booleans())
    if body and followed:
        body[0] += draw(st.sampled_from(["  # beside", ";", "; y = 1", " ; \\\n y = 1"]))
    body += ["# own", *statements]
    if depth < 2:
        for inner in draw(st.lists(definition(depth + 1), max_size=2)):
            body += ["", *inner]
    if not draw(st.booleans()) or body[-1].startswith("#"):
        body.append("pass  # last")
    return [*lines, head, *(unit + line for line in body)]


@given(st.lists(definition(), min_size=1, max_size=3))
@settings(max_examples=100, deadline=None)
def test_any_source_is_cut_to_the_tree_that_it_had_without_docstrings(
    made: list[list[str]],
) -> None:
    source = "\n".join(line for lines in made for line in lines) + "\n"
    ast.parse(source)
    assert_exact(source)
    for piece in pieces(source):
        node = dict(by_name(ast.parse(source)))[piece.name]
        assert isinstance(node, DEFINITIONS)
        first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
        lines = source.split("\n")[first - 1 : node.end_lineno]
        if len([name for name, _ in by_name(ast.parse(source)) if name == piece.name]) == 1:
            whole = "if 1:\n" + "\n".join(lines) if lines[0][:1].isspace() else "\n".join(lines)
            assert comments(piece.source) == comments(whole)


@pytest.mark.slow
def test_the_whole_library_of_this_interpreter_is_cut_exactly() -> None:
    counted = 0
    for _, path in modules(Path(sysconfig.get_path("stdlib"))):
        counted += assert_exact(decode(path.read_bytes()))
    assert counted > 4000
