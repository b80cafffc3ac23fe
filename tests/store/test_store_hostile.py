"""Adapters from elsewhere are data: each of these is refused by name, and leaves no trace."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
import pickle
import shutil
import struct
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from ragd_tune.errors import NotInstalledError, StoreError, TuneError
from ragd_tune.store import Limits, Manifest, Store
from ragd_tune.store.manifest import FILE

Spoil = Callable[[Path], None]
Snapshot = Callable[[Path], dict[str, str]]
WEIGHTS = "adapter_model.safetensors"
needs_posix = pytest.mark.skipif(sys.platform == "win32", reason="such files are POSIX's")


# -- folders ------------------------------------------------------------------------------------


def put(name: str, data: bytes | str = b"{}") -> Spoil:
    def spoil(folder: Path) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)

    return spoil


def as_json(name: str, value: object) -> Spoil:
    return put(name, json.dumps(value))


def header(entries: object, body: int | bytes = 0, length: int | None = None) -> Spoil:
    raw = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
    size = struct.pack("<Q", len(raw) if length is None else length)
    return put(WEIGHTS, size + raw + (bytes(body) if isinstance(body, int) else body))


def tensor(begin: int, end: int, dtype: str = "U8", shape: object = None) -> dict[str, object]:
    wanted = [end - begin] if shape is None else shape
    return {"dtype": dtype, "shape": wanted, "data_offsets": [begin, end]}


def weights(value: float, dtype: Any) -> Spoil:
    def spoil(folder: Path) -> None:
        save_file({"w": np.array([1.0, value], dtype)}, folder / WEIGHTS)

    return spoil


def link(name: str, to: str) -> Spoil:
    return lambda folder: (folder / name).symlink_to(to)


def hard_link(folder: Path) -> None:
    outside = folder.parent / "secret.json"
    outside.write_text("{}", encoding="utf-8")
    (folder / "notes.json").hardlink_to(outside)


def manifest(change: Callable[[dict[str, Any]], object]) -> Spoil:
    def spoil(folder: Path) -> None:
        value = json.loads((folder / FILE).read_bytes())
        change(value)
        (folder / FILE).write_text(json.dumps(value), encoding="utf-8")

    return spoil


def both(*spoils: Spoil) -> Spoil:
    def spoil(folder: Path) -> None:
        for one in spoils:
            one(folder)

    return spoil


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("exploded",)


PICKLE = pickle.dumps(Bomb(), protocol=4)

# Refused for what they are, whatever the manifest says about them: it is made after the spoiling.
CONTENT: dict[str, tuple[Spoil, str]] = {
    "a pickle": (put("pytorch_model.bin", PICKLE), "pytorch_model.bin: a pickle runs code"),
    "a torch file": (put("a.pt", PICKLE), "a.pt: a pickle runs code"),
    "a pickle in capitals": (put("a.PKL", PICKLE), "a.PKL: a pickle runs code"),
    "a checkpoint": (put("last.ckpt", PICKLE), "last.ckpt: a pickle runs code"),
    "a pth": (put("a.pth", "import os"), "a.pth: a pickle runs code"),
    "a pickle as text": (put("vocab.txt", PICKLE), "vocab.txt: its bytes are a pickle"),
    "a torch zip as json": (put("a.json", b"PK\3\4rest"), "a.json: its bytes are a zip"),
    "a pickle as weights": (put(WEIGHTS, PICKLE), f"{WEIGHTS}: its bytes are a pickle"),
    "a NumPy file": (put("a.txt", b"\x93NUMPY"), "its bytes are a NumPy file"),
    "a script as text": (put("run.txt", "#!/bin/sh\n"), "its bytes are a script"),
    "Python": (put("modeling_x.py", "print()"), "modeling_x.py: an adapter is data and brings no"),
    "a library": (put("sub/x.so", b"\x7fELF"), "sub/x.so: an adapter is data and brings no code"),
    "an unknown ending": (put("a.xyz"), "a.xyz: not a file that an adapter needs"),
    "a hidden file": (put(".hidden.json"), "holds characters that not every system can store"),
    "too short": (put(WEIGHTS, b"123"), "too short for a safetensors header"),
    "an oversized header": (
        put(WEIGHTS, struct.pack("<Q", 1 << 40) + b"{}"),
        "header of 1,099,511,627,776 bytes is oversized",
    ),
    "a header beyond the file": (header({}, length=500), "header of 500 bytes is longer than"),
    "a header that is no JSON": (header(b'{"a": '), "header is not JSON"),
    "a header that is a list": (header(b"[]"), "header does not start with '{'"),
    "a very deep header": (header(b'{"a":' * 9_000), "header is not JSON"),
    "a tensor twice": (header(b'{"a":1,"a":2}'), "names a tensor or a field twice"),
    "odd metadata": (header({"__metadata__": {"a": 1}}), "__metadata__ is not text by name"),
    "a missing field": (header({"w": {"dtype": "U8"}}), "'w' needs dtype, shape and data_offsets"),
    "an unknown dtype": (header({"w": tensor(0, 1, "PY")}, 1), "'w' has the unknown dtype 'PY'"),
    "a negative shape": (
        header({"w": tensor(0, 1, shape=[-1])}, 1),
        "'w' has a shape or offsets that are not sizes",
    ),
    "an overflowing shape": (
        header({"w": tensor(0, 1, shape=[1 << 62, 1 << 62])}, 1),
        "'w': dtype and shape do not make 1 bytes",
    ),
    "a wrong shape": (header({"w": tensor(0, 4, "F32", [2])}, 4), "'w': dtype and shape do not"),
    "reversed offsets": (header({"w": tensor(4, 0, shape=[0])}, 4), "'w': dtype and shape do not"),
    "overlapping tensors": (
        header({"a": tensor(0, 4), "b": tensor(2, 6)}, 6),
        "tensor 'b' overlaps the one before it",
    ),
    "a hole": (header({"a": tensor(1, 2)}, 2), "bytes before 'a' that no tensor owns"),
    "bytes at the end": (header({"a": tensor(0, 2)}, 9), "tensors end at byte"),
    "NaN": (weights(float("nan"), np.float32), "tensor 'w' holds NaN or infinity"),
    "infinity in half precision": (weights(float("inf"), np.float16), "holds NaN or infinity"),
    "minus infinity in double": (weights(float("-inf"), np.float64), "holds NaN or infinity"),
    "NaN in bfloat16": (
        header({"w": tensor(0, 2, "BF16", [1])}, b"\xc0\x7f"),
        "tensor 'w' holds NaN or infinity",
    ),
    "NaN in eight bits": (
        header({"w": tensor(0, 1, "F8_E4M3", [1])}, b"\xff"),
        "tensor 'w' holds NaN or infinity",
    ),
    "JSON that is none": (put("config.json", "{'a': 1}"), "config.json: is not JSON in UTF-8"),
    "very deep JSON": (put("config.json", "[" * 100_000), "config.json: is not JSON"),
    "auto_map": (
        as_json("config.json", {"auto_map": {"AutoModel": "modeling_x.Model"}}),
        "config.json: 'auto_map' makes a loader run code",
    ),
    "a nested auto_map": (
        as_json("tokenizer_config.json", {"a": [{"auto_map": ["x.Tok", None]}]}),
        "'auto_map' makes a loader run code",
    ),
    "trust_remote_code": (
        as_json("sentence_bert_config.json", {"model_args": {"trust_remote_code": True}}),
        "'trust_remote_code' makes a loader run code",
    ),
    "a module of its own": (
        as_json("modules.json", [{"idx": 0, "path": "", "type": "modeling_x.Evil"}]),
        "modules.json: the module type 'modeling_x.Evil' is code of the adapter",
    ),
    "a module that only looks right": (
        as_json("modules.json", [{"path": "", "type": "sentence_transformers_evil.X"}]),
        "is code of the adapter",
    ),
    "a module elsewhere": (
        as_json("modules.json", [{"path": "../x", "type": "sentence_transformers.models.Dense"}]),
        "'../x': the name leads out of the folder",
    ),
    "a router's module": (
        as_json("router_config.json", {"types": {"q": "os.system"}}),
        "the module type 'os.system' is code of the adapter",
    ),
    "a callable as activation": (
        as_json("2_Dense/config.json", {"activation_function": "os.abort"}),
        "2_Dense/config.json: 'activation_function' names 'os.abort'",
    ),
    "a tokenizer class by module": (
        as_json("wordembedding_config.json", {"tokenizer_class": "evil.Tok"}),
        "'tokenizer_class' names 'evil.Tok'",
    ),
    "a library to import": (
        as_json("adapter_config.json", {"auto_mapping": {"parent_library": "evil"}}),
        "'parent_library' names 'evil'",
    ),
    "a core to import": (
        as_json("adapter_config.json", {"megatron_core": "evil"}),
        "'megatron_core' names a module to import",
    ),
    "a kernel from a hub": (
        as_json("config.json", {"attn_implementation": {"text": "evil/kernel"}}),
        "'attn_implementation' names code to fetch",
    ),
    "a base by path": (
        as_json("adapter_config.json", {"base_model_name_or_path": "/home/me/model"}),
        "names the base by a place on one machine's disk",
    ),
    "a base by Windows path": (
        as_json("adapter_config.json", {"base_model_name_or_path": "C:\\model"}),
        "names the base by a place on one machine's disk",
    ),
}


# Refused for what they say, or for what lies there that no manifest can describe.
def move_manifest_out(folder: Path) -> None:
    (folder / FILE).rename(folder.parent / "m.json")


SHAPE: dict[str, tuple[Spoil, str]] = {
    "a link to a file outside": (link("notes.json", "/etc/hosts"), "notes.json: a link, to"),
    "a link to a folder outside": (link("sub", ".."), "sub: a link, to '..'"),
    "a dangling link": (link("notes.json", "nowhere"), "notes.json: a link, to 'nowhere'"),
    "a linked manifest": (
        both(move_manifest_out, link(FILE, "../m.json")),
        f"{FILE}: a link",
    ),
    "a hard link": (hard_link, "notes.json: a hard link"),
    "too many files": (
        both(*(put(f"{number}.txt") for number in range(30))),
        "more than 20 files and folders",
    ),
    "too much": (put("big.txt", b"." * 100_001), "more than 100,000 bytes"),
    "a reserved name": (put("aux.json"), "'aux.json' is a reserved name on Windows"),
    "names that collide": (both(put("A.json"), put("a.json")), "where case does not count"),
    "letters beyond ASCII": (put("\u202egnp.json"), "holds characters that not every system"),
    "no manifest": (lambda f: (f / FILE).unlink(), "adapter holds no ragd-tune.json"),
    "a manifest that is no JSON": (put(FILE, "{"), f"adapter/{FILE}: manifest: Invalid JSON"),
    "a huge manifest": (put(FILE, b" " * 5_000_000), "more than"),
    "a newer manifest": (
        manifest(lambda value: value.update(schema=2, unheard="of")),
        "a newer version of ragd-tune needed",
    ),
    "an unknown field": (manifest(lambda value: value.update(evil=1)), f"{FILE}: evil: Extra"),
    "a missing field": (manifest(lambda value: value.pop("kind")), f"{FILE}: kind: Field required"),
    "a wrong type": (
        manifest(lambda value: value["base"].update(fingerprint=1)),
        f"{FILE}: base.fingerprint: Input should be a valid string",
    ),
    "a kind that leads out": (
        manifest(lambda value: value.update(kind="../../x")),
        f"{FILE}: kind: String should match pattern",
    ),
    "a listed file that leads out": (
        manifest(lambda value: value["files"].update({"../x": {"sha256": "0" * 64, "size": 0}})),
        "the name leads out of the folder",
    ),
    "a wrong hash": (
        manifest(lambda value: value["files"][WEIGHTS].update(sha256="0" * 64)),
        f"{WEIGHTS} wrong hash",
    ),
    "a wrong size": (
        manifest(lambda value: value["files"][WEIGHTS].update(size=7)),
        f"{WEIGHTS} has 184 bytes, ragd-tune.json says 7",
    ),
    "a missing file": (
        lambda f: (f / "adapter_config.json").unlink(),
        "adapter_config.json is mis",
    ),
    "an extra file": (put("extra.json"), f"extra.json is not in {FILE}"),
}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = Store(tmp_path_factory.mktemp("template"))
    draft = store.draft()
    save_file({"w": np.ones(3, np.float32)}, draft / WEIGHTS)
    fields = {"kind": "k", "objective": "o", "tuning": "t", "format": "f"}
    base = {"name": "b", "fingerprint": "f" * 64}
    path = store.commit(draft, Manifest.build(draft, **fields, base=base), ["precious"])
    store.record(path.name, "proof", {"passed": True})
    store.activate("precious", "embedder")
    return store.root


@pytest.fixture
def guarded(template: Path, tmp_path: Path) -> Store:
    """A store with something in it to lose."""
    shutil.copytree(template, tmp_path / "home")
    return Store(tmp_path / "home")


@contextlib.contextmanager
def untouched(folder: Path, snapshot: Snapshot) -> Any:
    before = snapshot(folder)
    yield
    assert snapshot(folder) == before


@pytest.mark.parametrize("case", CONTENT)
def test_content_that_is_not_data_is_refused_by_name_and_leaves_no_trace(
    case: str,
    guarded: Store,
    adapter: Path,
    seal: Callable[..., Manifest],
    snapshot: Snapshot,
    tmp_path: Path,
) -> None:
    spoil, message = CONTENT[case]
    spoil(adapter)
    with contextlib.suppress(TuneError):
        seal(adapter)
    with untouched(tmp_path, snapshot), pytest.raises(StoreError) as told:
        guarded.import_(adapter)
    assert message in told.value.message
    assert told.value.mend


@pytest.mark.parametrize("case", SHAPE)
@needs_posix
def test_a_folder_of_a_wrong_shape_is_refused_by_name_and_leaves_no_trace(
    case: str, guarded: Store, adapter: Path, snapshot: Snapshot, tmp_path: Path
) -> None:
    spoil, message = SHAPE[case]
    spoil(adapter)
    limits = Limits(files=20, total=100_000) if "too" in case else Limits()
    with untouched(tmp_path, snapshot), pytest.raises(StoreError) as told:
        guarded.import_(adapter, limits=limits)
    assert message in told.value.message


@needs_posix
def test_a_pipe_is_refused_before_anybody_reads_from_it(
    guarded: Store, adapter: Path, snapshot: Snapshot, tmp_path: Path
) -> None:
    os.mkfifo(adapter / "notes.json")
    with untouched(tmp_path, snapshot), pytest.raises(StoreError, match="device, pipe or socket"):
        guarded.import_(adapter)


def test_a_commit_refuses_what_an_import_refuses_and_leaves_no_trace(
    guarded: Store, adapter: Path, seal: Callable[..., Manifest], snapshot: Snapshot
) -> None:
    with untouched(guarded.root, snapshot):
        draft = guarded.draft()
        shutil.copytree(adapter, draft, dirs_exist_ok=True)
        save_file({"w": np.array([np.nan], np.float32)}, draft / WEIGHTS)
        described = seal(draft)
        with pytest.raises(StoreError, match="NaN"):
            guarded.commit(draft, described)


def test_a_missing_base_is_named_and_leaves_no_trace(
    guarded: Store, adapter: Path, snapshot: Snapshot, tmp_path: Path
) -> None:
    with untouched(tmp_path, snapshot), pytest.raises(NotInstalledError) as told:
        guarded.import_(adapter, base_here=lambda base: base.fingerprint == "0" * 64)
    assert told.value.message.startswith(
        "the base model all-MiniLM-L6-v2 (fingerprint ffffffffffff)"
    )


def test_words_of_a_vocabulary_are_not_taken_for_settings(store: Store, adapter: Path) -> None:
    as_json("vocab.json", {"auto_map": 7, "trust_remote_code": 8, "activation_fn": 1})(adapter)
    as_json("2_Dense/config.json", {"activation_function": "torch.nn.modules.Tanh"})(adapter)
    as_json("modules.json", [{"path": "", "type": "sentence_transformers.models.Dense"}])(adapter)
    described = Manifest.build(adapter, **_fields(adapter))
    (adapter / FILE).write_bytes(described.to_bytes())
    assert store.import_(adapter).id == described.content_id


def _fields(folder: Path) -> dict[str, Any]:
    value = json.loads((folder / FILE).read_bytes())
    del value["files"]
    return dict(value)


# -- archives -----------------------------------------------------------------------------------


def member(name: str, data: bytes = b"{}", **fields: Any) -> tuple[tarfile.TarInfo, bytes]:
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    for field, value in fields.items():
        setattr(entry, field, value)
    return entry, data


def special(name: str, kind: bytes, to: str = "") -> tuple[tarfile.TarInfo, bytes]:
    return member(name, b"", type=kind, linkname=to)


NEWLINE = "adapter/a\nb.json"
ARCHIVES: dict[str, tuple[list[tuple[tarfile.TarInfo, bytes]], str]] = {
    "..": ([member("adapter/../../x.json")], "the name leads out of the folder by '..'"),
    "only ..": ([member("../x.json")], "the name leads out of the folder by '..'"),
    "an absolute name": ([member("/tmp/x.json")], "the name is absolute"),
    "a drive": ([member("C:/x.json")], "the name starts with a drive letter"),
    "a backslash": ([member("adapter\\..\\x.json")], "the name holds a backslash"),
    "a control character": ([member(NEWLINE)], "the name holds a control character"),
    "a reserved name": ([member("adapter/con.json")], "is a reserved name on Windows"),
    "a dot at the end": ([member("adapter/sub./a.json")], "ends in a dot or a space"),
    "a space at the end": ([member("adapter/sub /a.json")], "ends in a dot or a space"),
    "an empty part": ([member("adapter//a.json")], "the name has an empty part"),
    "a long name": ([member("adapter/" + "a" * 300 + ".json")], "longer than 240 characters"),
    "letters beyond ASCII": ([member("adapter/é.json")], "not every system can store"),
    "a symbolic link": (
        [special("adapter/a.json", tarfile.SYMTYPE, "/etc/passwd")],
        "adapter/a.json: a symbolic link",
    ),
    "a hard link": (
        [special("adapter/a.json", tarfile.LNKTYPE, "/etc/passwd")],
        "adapter/a.json: a hard link",
    ),
    "a link inside": (
        [special("adapter/a.json", tarfile.SYMTYPE, "adapter_config.json")],
        "adapter/a.json: a symbolic link",
    ),
    "a character device": ([special("adapter/a.json", tarfile.CHRTYPE)], "a device"),
    "a block device": ([special("adapter/a.json", tarfile.BLKTYPE)], "a device"),
    "a pipe": ([special("adapter/a.json", tarfile.FIFOTYPE)], "adapter/a.json: a pipe"),
    "the same name twice": (
        [member("adapter/a.json"), member("adapter/a.json")],
        "adapter/a.json: comes twice",
    ),
    "names that collide": (
        [member("adapter/A.json"), member("adapter/a.json")],
        "where case does not count",
    ),
    "a file that is a folder": (
        [member("adapter/a.json"), member("adapter/a.json/b.json")],
        "'adapter/a.json' is a file, not a folder",
    ),
    "a pickle": ([member("adapter/a.bin", PICKLE)], "adapter/a.bin: a pickle runs code"),
    "a place of its own": ([member("bin/a.json")], "belongs to neither 'adapter/' nor 'records/'"),
    "a huge record": ([member("records/1.json", b" " * (2 << 20))], "a record of more than"),
    "a damaged record": ([member("records/1.json", b"{}")], "1.json: at: Field required"),
    "too many files": (
        [member(f"adapter/{number}.json") for number in range(30)],
        "more than 20 files",
    ),
    "too much": ([member("adapter/a.txt", b"." * 200_000)], "more than 100,000 bytes"),
}


def pack(folder: Path, extra: list[tuple[tarfile.TarInfo, bytes]], out: Path) -> Path:
    with tarfile.open(out, "w") as tar:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                tar.addfile(
                    *_io(
                        member(f"adapter/{path.relative_to(folder).as_posix()}", path.read_bytes())
                    )
                )
        for one in extra:
            tar.addfile(*_io(one))
    return out


def _io(one: tuple[tarfile.TarInfo, bytes]) -> tuple[tarfile.TarInfo, io.BytesIO]:
    return one[0], io.BytesIO(one[1])


@pytest.mark.parametrize("case", ARCHIVES)
def test_a_hostile_archive_is_refused_by_name_and_leaves_no_trace(
    case: str, guarded: Store, adapter: Path, snapshot: Snapshot, tmp_path: Path
) -> None:
    extra, message = ARCHIVES[case]
    archive = pack(adapter, extra, tmp_path / "a.tar")
    limits = Limits(files=20, total=100_000) if "too" in case else Limits()
    with untouched(tmp_path, snapshot), pytest.raises(StoreError) as told:
        guarded.import_(archive, limits=limits)
    assert message in told.value.message


def negative_size(raw: bytes) -> bytes:
    """The first entry claims, in base 256, a size below zero; its sum is right again."""
    block = bytearray(raw[:512])
    block[124:136] = b"\xff" * 11 + b"\x00"
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block) + raw[512:]


MANGLED: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "compressed": (gzip.compress, "not a whole, uncompressed tar archive"),
    "not an archive": (lambda raw: b"hello", "not a whole, uncompressed tar archive"),
    "empty": (lambda raw: b"", "not a whole, uncompressed tar archive"),
    "cut in a file": (lambda raw: raw[:700], "not a whole, uncompressed tar archive"),
    "cut between files": (lambda raw: raw[:1024], "holds no ragd-tune.json"),
    "negative size": (negative_size, "size"),
}


@pytest.mark.parametrize("case", MANGLED)
def test_a_mangled_archive_is_refused_and_leaves_no_trace(
    case: str, guarded: Store, adapter: Path, snapshot: Snapshot, tmp_path: Path
) -> None:
    mangle, message = MANGLED[case]
    archive = pack(adapter, [], tmp_path / "a.tar")
    archive.write_bytes(mangle(archive.read_bytes()))
    with untouched(tmp_path, snapshot), pytest.raises(StoreError, match=message):
        guarded.import_(archive)


def test_a_header_that_claims_gigabytes_is_refused_before_they_are_read(
    guarded: Store, adapter: Path, tmp_path: Path
) -> None:
    archive = tmp_path / "a.tar"
    entry = tarfile.TarInfo("././@PaxHeader")
    entry.type, entry.size = tarfile.XHDTYPE, 8 << 30
    archive.write_bytes(entry.tobuf(tarfile.GNU_FORMAT) + b"\0" * 2048)
    with pytest.raises(StoreError, match="a header of this archive is oversized"):
        guarded.import_(archive)


def test_an_endless_chain_of_headers_is_refused(guarded: Store, tmp_path: Path) -> None:
    entry = tarfile.TarInfo("././@LongLink")
    entry.type, entry.size = tarfile.GNUTYPE_LONGNAME, 4
    chain = (entry.tobuf(tarfile.GNU_FORMAT) + b"a.b\0".ljust(512, b"\0")) * 3_000
    (tmp_path / "a.tar").write_bytes(chain)
    with pytest.raises(StoreError, match="not a whole, uncompressed tar archive"):
        guarded.import_(tmp_path / "a.tar")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    folder = tmp_path_factory.mktemp("fuzz")
    source = folder / "source"
    source.mkdir()
    save_file({"w": np.ones(4, np.float32)}, source / WEIGHTS)
    fields = {"kind": "k", "objective": "o", "tuning": "t", "format": "f"}
    made = Manifest.build(source, **fields, base={"name": "b", "fingerprint": "f" * 64})
    (source / FILE).write_bytes(made.to_bytes())
    return folder, pack(source, [], folder / "a.tar").read_bytes()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(changes=st.lists(st.tuples(st.integers(0, 5_000), st.binary(max_size=12)), max_size=4))
def test_an_archive_with_changed_bytes_is_the_same_adapter_or_refused(
    whole: tuple[Path, bytes], changes: list[tuple[int, bytes]]
) -> None:
    folder, raw = whole
    changed = bytearray(raw)
    for at, data in changes:
        changed[at : at + len(data)] = data
    (folder / "changed.tar").write_bytes(changed)
    store = Store(folder / "home")
    with contextlib.suppress(TuneError):
        store.import_(folder / "changed.tar")
    for entry in store.list():
        assert store.verify(entry.id) == ()
        store.remove(entry.id)
    assert [*(store.root / "tmp").iterdir()] == []
