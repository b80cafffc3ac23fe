"""The command line. Only this room prints; everything that it does is in ``ragd_tune.pipeline``."""

from __future__ import annotations

import importlib
import logging
import os
import signal
import sys
import traceback
from collections.abc import Mapping, Sequence

import click

from ragd_tune import __version__, errors

COMMANDS: Mapping[str, str] = {
    "demo": "demo:demo",
    "auto": "auto:auto",
    "advise": "advise:advise",
    "data": "data:data",
    "train": "train:train",
    "evaluate": "evaluate:evaluate",
    "ragas": "ragas:ragas",
    "adapters": "adapters:adapters",
    "colbert": "colbert:colbert",
    "host": "host:host",
    "plugins": "plugins:plugins",
    "doctor": "plugins:doctor",
}
_HELP = {
    "demo": "Fine-tune on this machine's own Python library: offline, real, before and after.",
    "auto": "Fine-tune on documents, prove the gain, let it serve: one command.",
    "advise": "Say from measurements whether to fine-tune, and what.",
    "data": "Generate, mine, check, split and describe data sets.",
    "train": "Fine-tune a model, prove the result, and keep it.",
    "evaluate": "Compare an adapter with what it would replace.",
    "ragas": "Have a language model judge what an adapter and its base answer.",
    "adapters": "List, activate, roll back, verify, export and import adapters.",
    "colbert": "Rerank, index and search by a ColBERT adapter.",
    "host": "Show and change how ragd uses what was tuned.",
    "plugins": "Show backends and kinds of model, and what they can do here.",
    "doctor": "Look at this machine and say what is missing.",
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are run: ``--help`` imports none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order of the work."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Import and return the command ``name``."""
        if name not in COMMANDS:
            return None
        module, attribute = COMMANDS[name].split(":")
        command = getattr(importlib.import_module(f"ragd_tune.cli.{module}"), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(_HELP.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="ragd-tune")
def group() -> None:
    """Fine-tune the models of a local RAG system, and prove that the result is better."""


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code; every expected error is one message."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    try:
        code = group.main(args=arguments, prog_name="ragd-tune", standalone_mode=False)
        return code if isinstance(code, int) else errors.DONE
    except errors.TuneError as error:
        return _say(error.message, error.mend, error.exit_code)
    except click.exceptions.Exit as leave:
        return leave.exit_code
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        where = context.command_path if context else "ragd-tune"
        return _say(error.format_message(), f"see `{where} --help`", errors.USAGE)
    except (KeyboardInterrupt, click.Abort):
        return _say("interrupted", "", errors.INTERRUPTED)
    except BrokenPipeError:
        # The reader left (`| head`). Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return errors.FAILED
    except Exception as error:  # noqa: BLE001 - a user gets one message, never a traceback
        return _bug(error)


def _say(message: str, mend: str, code: int) -> int:
    click.echo(f"error: {message}", err=True)
    if mend:
        click.echo(f"  → {mend}", err=True)
    return code


def _bug(error: Exception) -> int:
    if os.environ.get("RAGD_TUNE_DEBUG"):
        traceback.print_exc()
    name = type(error).__name__
    mend = "this is a bug of ragd-tune or a plugin: run it with RAGD_TUNE_DEBUG=1 and report it"
    return _say(f"unexpected {name}: {error}", mend, errors.FAILED)


def main() -> None:
    """Entry point of the console script."""
    if hasattr(signal, "SIGTERM"):
        signal.signal(signal.SIGTERM, _terminated)
    sys.exit(run())


def _terminated(number: int, frame: object) -> None:
    """A polite kill is answered like Ctrl-C: checkpoint, message, exit code."""
    raise KeyboardInterrupt
