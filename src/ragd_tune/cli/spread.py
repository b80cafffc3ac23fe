"""The flag of every command whose work can be spread over several machines."""

from __future__ import annotations

import click

on_cluster = click.option(
    "--ray",
    metavar="ADDRESS",
    help="Spread the work over this Ray cluster: HOST:PORT of its head, auto, or local.",
)
to_others = click.option(
    "--allow-remote", is_flag=True, help="Let documents go to another machine."
)
