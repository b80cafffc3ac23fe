"""``ragd-tune adapters``: what is in the store, what serves, and the way back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ragd_tune import errors
from ragd_tune.cli import hub
from ragd_tune.cli.moving import export, import_
from ragd_tune.cli.output import show_json, size, table

if TYPE_CHECKING:
    from ragd_tune.store import Entry, Store

_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_PATH = click.Path(path_type=Path)


def _store() -> Store:
    from ragd_tune.store import Store

    return Store()


@click.group()
def adapters() -> None:
    """List, activate, roll back, verify and report adapters; hand them on and take them in."""


adapters.add_command(hub.push)
adapters.add_command(hub.pull)


@adapters.command(name="list")
@click.option("--kind", help="Only this kind of model.")
@_JSON
def list_(*, kind: str | None, as_json: bool) -> None:
    """List the adapters in the store."""
    from ragd_tune.store import SLOTS

    store = _store()
    active = {one.id: slot for slot in SLOTS if (one := store.active(slot))}
    found = [_short(store, entry, active) for entry in store.list(kind)]
    if as_json:
        show_json(found)
    elif not found:
        click.echo(f"no adapters in {store.root}: `ragd-tune train` makes one")
    else:
        columns = ("name", "id", "kind", "tuning", "base", "proof", "active as")
        rows = ([*(one[c] for c in columns[:6]), one["active"] or ""] for one in found)
        table("Adapters", columns, ([_cut(cell) for cell in row] for row in rows))


def _cut(cell: object) -> str:
    text = str(cell)
    is_id = len(text) == 64 and all(c in "0123456789abcdef" for c in text)
    return text[:12] if is_id else text


def _short(store: Store, entry: Entry, active: dict[str | None, str]) -> dict[str, object]:
    return {
        "name": ", ".join(entry.names),
        "id": entry.id,
        "kind": entry.kind,
        "tuning": entry.manifest.tuning,
        "base": entry.manifest.base.name,
        "proof": proof_of(store, entry.id),
        "active": active.get(entry.id),
    }


def proof_of(store: Store, content_id: str) -> str:
    """Return an adapter's latest proof in a few words."""
    proofs = store.records(content_id, "proof")
    if not proofs:
        return "none"
    told = proofs[-1].payload
    word = "passed" if told.get("passed") else "not passed"
    low, high = told.get("interval") or (None, None)
    if low is None or high is None:
        return word
    asked = " on generated questions" if told.get("questions") == "generated questions" else ""
    return f"{word}{asked}: {told.get('metric')} {low:+.4f} … {high:+.4f}"


@adapters.command()
@click.argument("adapter")
@_JSON
def show(adapter: str, *, as_json: bool) -> None:
    """Show one adapter: its manifest and its records."""
    store = _store()
    entry = store.get(adapter)
    records = [one.model_dump(mode="json", by_alias=True) for one in store.records(entry.id)]
    manifest = entry.manifest.model_dump(mode="json", by_alias=True)
    if as_json:
        told = {"id": entry.id, "names": list(entry.names), "path": str(entry.path)}
        show_json({**told, "manifest": manifest, "records": records})
        return
    rows = [("id", entry.id), ("names", ", ".join(entry.names)), ("path", str(entry.path))]
    rows += [(name, value) for name, value in manifest.items() if name != "files"]
    rows += [("trained by", _trainer(records)), ("proof", proof_of(store, entry.id))]
    table("Adapter", ("what", "value"), rows)
    files = entry.manifest.files.items()
    table("Files", ("file", "size", "sha256"), ((n, size(f.size), f.sha256) for n, f in files))
    table("Records", ("number", "type", "at"), ((r["number"], r["type"], r["at"]) for r in records))


def _trainer(records: list[dict[str, Any]]) -> str:
    """Return the backend that made an adapter, as its records say."""
    for one in records:
        if one["type"] == "provenance":
            return str(one["payload"]["plan"]["backend"])
    return "unknown: it came from elsewhere"


@adapters.command()
@click.argument("adapter")
@click.argument("file", type=_PATH)
@click.option("--record", type=int, help="Number of the proof's record; the last one.")
def report(adapter: str, file: Path, *, record: int | None) -> None:
    """Write the report of ADAPTER's proof to FILE: .html, .json, .svg or .png."""
    from ragd_tune.pipeline.reporting import write_report

    click.echo(f"wrote {write_report(_store(), adapter, file, number=record)}")


@adapters.command()
@click.argument("adapter")
@click.option("--force", is_flag=True, help="Activate it though its proof does not carry it.")
@click.option("--data", type=_PATH, help="Held-out queries by which ragd's thresholds are found.")
@click.option("--dry-run", is_flag=True, help="Show what would change in ragd; change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--no-host", is_flag=True, help="Leave ragd alone; only note it in the store.")
@click.option(
    "--exported",
    type=_PATH,
    help="Folder of `adapters export --format gguf`, of which Ollama's model is made (raft).",
)
@_JSON
def activate(
    adapter: str,
    *,
    force: bool,
    data: Path | None,
    exported: Path | None,
    dry_run: bool,
    yes: bool,
    no_host: bool,
    as_json: bool,
) -> None:
    """Let ADAPTER serve; exit 3 if it is not proven better and not forced.

    Where ragd is set up, its configuration is switched over, too, after its documents were
    embedded again into an index of their own; the old index stays. A language model is created in
    Ollama first.
    """
    from ragd_tune.cli import hosted, hosted_llm
    from ragd_tune.registry import discover

    store = _store()
    entry = store.get(adapter)
    slot = discover().kind(entry.kind).serves
    if slot == "embedder" and not no_host and hosted.found():
        hosted.activate(entry.id, data=data, force=force, dry_run=dry_run, yes=yes, json=as_json)
        return
    if slot == "generator" and not no_host and hosted.found():
        hosted_llm.activate(
            entry.id, exported=exported, force=force, dry_run=dry_run, yes=yes, json=as_json
        )
        return
    if dry_run:
        click.echo("ragd would not change")
        return
    change = store.activate(entry.id, slot, force=force)
    if as_json:
        show_json(change.model_dump(mode="json", by_alias=True))
        return
    click.echo(f"{entry.shown} is the active {slot}")
    if slot == "reranker":
        hosted.tell_reranker()
    click.echo(f"the way back: ragd-tune adapters rollback {slot}")


@adapters.command()
@click.argument(
    "slot", default="embedder", type=click.Choice(["embedder", "reranker", "generator"])
)
@_JSON
def rollback(slot: str, *, as_json: bool) -> None:
    """Undo the last activation of SLOT (embedder unless given), in ragd as well."""
    from ragd_tune.cli import hosted, hosted_llm

    notes: tuple[str, ...] = ()
    if slot in {"embedder", "generator"} and hosted.found():
        notes = (hosted if slot == "embedder" else hosted_llm).roll_back()
    else:
        _store().rollback(slot)
    change = _store().history()[-1]
    if as_json:
        show_json(change.model_dump(mode="json", by_alias=True))
        return
    for note in notes:
        click.echo(note)
    click.echo(f"the {slot} is now {change.id[:12] if change.id else 'the bare base model'}")


@adapters.command()
@_JSON
def history(*, as_json: bool) -> None:
    """Show every activation and rollback, the oldest first."""
    changes = [one.model_dump(mode="json", by_alias=True) for one in _store().history()]
    if as_json:
        show_json(changes)
        return
    columns = ("sequence", "at", "action", "slot", "id", "previous", "forced")
    table("History", columns, ([_cut(one[c] or "") for c in columns] for one in changes))


@adapters.command()
@click.argument("adapter")
@click.option("--yes", is_flag=True, help="Do not ask.")
def remove(adapter: str, *, yes: bool) -> None:
    """Remove ADAPTER from the store; its records stay.

    One that serves, or that ragd's configuration names, is refused.
    """
    from ragd_tune.pipeline import removing

    store = _store()
    entry = store.get(adapter)
    removing.must_not_be_named(store, entry)
    if removing.comes_back(store, entry):
        click.echo(f"a rollback of ragd would come back to {entry.shown}, and then fail", err=True)
    if not yes:
        click.confirm(f"remove {entry.shown} ({entry.id[:12]})?", abort=True, err=True)
    removing.remove(store, entry.id)
    click.echo(f"{entry.shown} is removed")


@adapters.command()
@click.argument("adapter", required=False)
@_JSON
def verify(adapter: str | None, *, as_json: bool) -> int:
    """Check every byte of ADAPTER, or of the whole store; exit 1 if something is not sound."""
    found = _store().verify(adapter)
    if as_json:
        show_json([{"where": one.where, "problem": one.problem} for one in found])
    for one in () if as_json else found:
        click.echo(f"{one.where}: {one.problem}")
    if not found and not as_json:
        click.echo("sound")
    return errors.FAILED if found else errors.DONE


adapters.add_command(export)
adapters.add_command(import_)
