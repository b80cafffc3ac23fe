"""``ragd-tune adapters push`` and ``pull``: the only commands that send or fetch an adapter."""

from __future__ import annotations

import click

from ragd_tune.cli.output import show_json, size


@click.command()
@click.argument("repo")
@click.argument("adapter")
@click.option("--public", is_flag=True, help="Let everybody see it; private unless said.")
@click.option("--dry-run", is_flag=True, help="Show what would be sent, and send nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def push(repo: str, adapter: str, *, public: bool, dry_run: bool, as_json: bool) -> None:
    """Send ADAPTER to REPO (owner/name) on the hub, with a model card; no record, no data."""
    from ragd_tune.pipeline import sharing
    from ragd_tune.store import Store

    parcel = sharing.pack(Store(), adapter, repo)
    address = None if dry_run else sharing.push(parcel, public=public)
    if as_json:
        told = {"id": parcel.entry.id, "repo": parcel.repo, "files": sorted(parcel.files)}
        show_json({**told, "bytes": parcel.size, "commit": address, "card": parcel.card})
        return
    if dry_run:
        click.echo(parcel.card)
        listed = ", ".join(sorted(parcel.files))
        click.echo(f"would send {listed} ({size(parcel.size)}) to {parcel.repo}; nothing was sent")
        return
    seen = "public" if public else "private"
    click.echo(f"{parcel.entry.shown} is in {parcel.repo} ({seen}, {size(parcel.size)}): {address}")


@click.command()
@click.argument("repo")
@click.option("--name", help="Name of the adapter in the store.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def pull(repo: str, *, name: str | None, as_json: bool) -> None:
    """Bring the adapter in REPO (owner/name, or owner/name@revision) into the store."""
    from ragd_tune.pipeline import sharing
    from ragd_tune.store import Store

    entry = sharing.pull(Store(), repo, name=name)
    if as_json:
        show_json({"id": entry.id, "path": str(entry.path), "names": list(entry.names)})
        return
    click.echo(f"{entry.shown} ({entry.id[:12]}) is in the store")
    click.echo(f"prove it here: ragd-tune evaluate {entry.shown} --data DATA")
