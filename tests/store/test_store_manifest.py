"""The manifest and its content id."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragd_tune.errors import RefusedAdapterError, StoreError
from ragd_tune.store import Manifest
from ragd_tune.store.manifest import FILE

HASHES = st.text("0123456789abcdef", min_size=64, max_size=64)
SLUGS = st.from_regex(r"[a-z][a-z0-9_-]{0,20}", fullmatch=True)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
PARTS = st.from_regex(r"[A-Za-z0-9_]{1,8}_", fullmatch=True)
PATHS = st.lists(PARTS, min_size=1, max_size=3).map("/".join)


SETTINGS = st.dictionaries(SLUGS, st.booleans() | st.integers() | TEXTS, min_size=1, max_size=3)


@st.composite
def manifests(draw: st.DrawFn) -> dict[str, Any]:
    dimensions = draw(st.lists(st.integers(1, 4096), max_size=4, unique=True))
    return {
        "schema": 1,
        "kind": draw(SLUGS),
        "objective": draw(SLUGS),
        "tuning": draw(SLUGS),
        "side": draw(st.sampled_from(["both", "query"])),
        "format": draw(SLUGS),
        "base": {"name": draw(SLUGS), "fingerprint": draw(HASHES)},
        "dimension": max(dimensions, default=0),
        "dimensions": sorted(dimensions, reverse=True),
        "max_length": draw(st.integers(0, 1 << 20)),
        "prompts": {"query": draw(TEXTS), "document": draw(TEXTS)},
        "pooling": draw(SLUGS),
        "normalise": draw(st.booleans()),
        "space": draw(st.none() | HASHES),
        **({"settings": draw(SETTINGS)} if draw(st.booleans()) else {}),
        "files": draw(
            st.dictionaries(
                PATHS, st.fixed_dictionaries({"sha256": HASHES, "size": st.integers(0, 1 << 50)})
            )
        ),
    }


def read(value: object) -> Manifest:
    return Manifest.read(json.dumps(value).encode(), where=FILE)


@given(manifests())
def test_what_is_written_is_what_was_read(value: dict[str, Any]) -> None:
    made = read(value)
    assert json.loads(made.to_bytes()) == value
    again = Manifest.read(made.to_bytes(), where=FILE)
    assert (again, again.content_id) == (made, made.content_id)


@given(manifests(), st.randoms(use_true_random=False))
def test_the_content_id_does_not_depend_on_the_order_of_keys_or_on_white_space(
    value: dict[str, Any], chance: random.Random
) -> None:
    def shuffled(one: object) -> object:
        if not isinstance(one, dict):
            return one
        keys = list(one)
        chance.shuffle(keys)
        return {key: shuffled(one[key]) for key in keys}

    spaced = json.dumps(shuffled(value), indent=3).encode()
    assert Manifest.read(spaced, where=FILE).content_id == read(value).content_id


@settings(max_examples=50)
@given(manifests(), manifests(), st.data())
def test_every_field_decides_the_content_id(
    value: dict[str, Any], other: dict[str, Any], data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(sorted(value)))
    # These two are only right together.
    names = ("dimension", "dimensions") if name.startswith("dimension") else (name,)
    changed = {**value, **{one: other[one] for one in names if one in other}}
    same = changed == value
    assert (read(value).content_id == read(changed).content_id) is same


@given(manifests(), st.text(max_size=12))
def test_an_unknown_field_is_refused_by_name(value: dict[str, Any], name: str) -> None:
    if name in value:
        return
    with pytest.raises(RefusedAdapterError) as told:
        read({**value, name: 1})
    assert "Extra inputs are not permitted" in told.value.message


@given(manifests(), st.data())
def test_a_missing_field_is_named(value: dict[str, Any], data: st.DataObject) -> None:
    needed = ["kind", "objective", "tuning", "format", "base", "files"]
    name = data.draw(st.sampled_from(needed))
    del value[name]
    with pytest.raises(RefusedAdapterError, match=f"^{FILE}: {name}: Field required"):
        read(value)


@given(st.recursive(st.none() | st.booleans() | st.integers() | TEXTS, st.lists) | st.binary())
def test_anything_else_is_refused_with_one_error(value: object) -> None:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    with pytest.raises(StoreError):
        Manifest.read(raw, where=FILE)


def test_the_content_id_is_the_same_for_ever() -> None:
    raw = (
        b'{"base":{"fingerprint":"ffffffff","name":"b"},"dimension":2,"dimensions":[2,1],'
        b'"files":{"a.txt":{"sha256":"' + b"0" * 64 + b'","size":3}},"format":"peft","kind":"k",'
        b'"max_length":8,"normalise":true,"objective":"o","pooling":"mean",'
        b'"prompts":{"document":"","query":"q: "},"schema":1,"side":"both","space":null,'
        b'"tuning":"lora"}'
    )
    made = Manifest.read(raw, where=FILE)
    assert made.to_bytes() == raw
    assert made.content_id == "9ad4ece294e584e7f18dc2b9e158d4d47ae93bfcb36e0a26fa7a73e048f8d09c"
    asked = raw.replace(b'"q: "}', b'"q: ","system":"Be brief."}')
    assert Manifest.read(asked, where=FILE).to_bytes() == asked
    assert Manifest.read(asked, where=FILE).prompts.given()["system"] == "Be brief."


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("dimensions", [2, 4], "dimensions must descend"),
        ("dimensions", [4, 4], "dimensions must descend"),
        ("dimensions", [8, 4], "dimensions must not exceed dimension"),
        ("dimensions", [4, 0], "dimensions.1: Input should be greater than or equal to 1"),
        ("dimension", 4.0, "dimension: Input should be a valid integer"),
        ("dimension", -1, "dimension: Input should be greater than or equal to 0"),
        ("side", "document", "side: Input should be 'both' or 'query'"),
        ("format", "PEFT!", "format: String should match pattern"),
        ("normalise", 1, "normalise: Input should be a valid boolean"),
        ("space", "../x", "space: String should match pattern"),
        ("base", {"name": "/home/me/m", "fingerprint": "f" * 64}, "is a place on one machine"),
        ("base", {"name": "C:\\m", "fingerprint": "f" * 64}, "is a place on one machine"),
        ("base", {"name": "b", "fingerprint": "a/b/c/d"}, "base.fingerprint: String should match"),
        ("prompts", {"passage": "x"}, "prompts.passage: Extra inputs"),
        ("files", {FILE: {"sha256": "0" * 64, "size": 0}}, "the manifest does not list itself"),
        ("schema", "1", "schema: Input should be 1"),
        ("schema", 0, "schema: Input should be 1"),
    ],
)
def test_a_wrong_value_is_refused_with_its_field(
    field: str, value: object, message: str, adapter: Path
) -> None:
    sound = json.loads((adapter / FILE).read_bytes())
    with pytest.raises(RefusedAdapterError) as told:
        read({**sound, field: value})
    assert message in told.value.message


def test_a_manifest_describes_every_file_but_itself(
    adapter: Path, seal: Callable[..., Manifest]
) -> None:
    made = seal(adapter)
    names = {p.relative_to(adapter).as_posix() for p in adapter.rglob("*") if p.is_file()}
    assert set(made.files) == names - {FILE}
    assert all((adapter / name).stat().st_size == one.size for name, one in made.files.items())


def test_a_folder_is_described_the_same_wherever_and_whenever_it_lies(
    tmp_path: Path, fill: Callable[[Path, float], None], seal: Callable[..., Manifest]
) -> None:
    for name in ("one", "two"):
        fill(tmp_path / name, 3.0)
    assert seal(tmp_path / "one").content_id == seal(tmp_path / "two").content_id


def test_a_manifest_cannot_be_changed(adapter: Path) -> None:
    with pytest.raises(ValueError, match="frozen"):
        Manifest.load(adapter).kind = "other"  # type: ignore[misc]
