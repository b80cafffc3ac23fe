"""The pages of options, hooks, exit codes, the manifest, the plugin API and the environment."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path

import pydantic
from tools.reference.markdown import described, prose, public, table
from tools.reference.words import EXITS, FIELDS, VARIABLES

from ragd_tune import backends, errors, hookspecs, kinds, objectives, options, plan
from ragd_tune.cli.flags import show
from ragd_tune.cli.train import FEW_AND_MANY, defaults_by_tuning
from ragd_tune.options import Option
from ragd_tune.pipeline.planning import declared
from ragd_tune.registry import GROUP, Registry
from ragd_tune.store import BaseRef, FileEntry, Manifest, Prompts

ROOT = Path(__file__).resolve().parents[2]


def registry() -> Registry:
    """Return a registry of this project's own plugins, whatever else is installed."""
    own = {path.name.removeprefix("ragd-tune-") for path in (ROOT / "plugins").glob("ragd-tune-*")}
    made = Registry()
    made.load(point for point in metadata.entry_points(group=GROUP) if point.name in own)
    if broken := [one for one in made.plugins if one.state != "loaded"]:
        raise SystemExit(f"{broken[0].name} is broken: {broken[0].error}")
    return made


def options_page() -> str:
    """Return the page of every option: range, default, reason."""
    known = registry()
    parts = [
        "# Options",
        "An option is declared once, and read from here by flags, checks, plans and this page. It "
        "comes from a flag, an [environment variable](environment.md), a YAML file or the kind's "
        "own default: see [configuration](../how-to/configure.md).",
        _options("What is decided first", options.CHOICES),
        _options("Every run", options.RUN),
        _options("LoRA: the tunings `lora`, `dora`, `qlora`", options.LORA),
    ]
    parts += [
        _options(f"The objective `{one.id}`", one.options) for one in known.objectives.values()
    ]
    parts += [
        _options(f"The backend `{one.name}`", one.options)
        for one in known.backends.values()
        if one.options
    ]
    for kind in known.kinds.values():
        own = [one for one in kind.options if one.group != "proof"]
        judging = [one for one in kind.options if one.group == "proof"]
        if own:
            parts.append(_options(f"The kind `{kind.name}`", own))
        if judging:
            parts.append(_options(f"The proof of the kind `{kind.name}`", judging))
        parts.append(_defaults(kind))
    return "\n\n".join(parts)


def _options(title: str, found: Sequence[Option]) -> str:
    rows = [
        (
            f"`{o.flag}`",
            o.range,
            f"`{show(o.default)}`",
            o.help + (f" ({o.reason})" if o.reason else ""),
        )
        for o in found
    ]
    return f"## {title}\n\n{table(('option', 'takes', 'default', 'what it does'), rows)}"


def _defaults(kind: kinds.ModelKind) -> str:
    """Return a kind's own defaults by tuning."""
    found = defaults_by_tuning(kind)
    names = sorted({name for one in found.values() for name in one})
    rows = [
        (f"`{n}`", *(f"`{show(found[t][n])}`" if n in found[t] else "" for t in found))
        for n in names
    ]
    title = f"## Defaults of the kind `{kind.name}`"
    words = "The first tuning is its default."
    if any("of few rows" in str(one) for made in found.values() for one in made.values()):
        few, many = FEW_AND_MANY
        words += f" Of few rows are the values for {few:,}, of many those for {many:,}; what lies "
        words += "between is in [recipes](../explanation/recipes.md)."
    return f"{title}\n\n{words}\n\n{table(('option', *(f'`{t}`' for t in found)), rows)}"


def hooks() -> str:
    """Return the page of every hook with its exact signature."""
    sections = {
        "Collected": ("asked of every plugin when the registry is made", hookspecs.COLLECTED),
        "Directed": ("sent to the plugin of one backend and to no other", hookspecs.DIRECTED),
        "Broadcast": ("sent to every plugin", hookspecs.BROADCAST),
    }
    parts = [
        "# Hooks",
        prose(hookspecs.__doc__),
        "The types are those of the [plugin API](plugin-api.md).",
    ]
    for title, (words, names) in sections.items():
        parts.append(f"## {title}\n\nThese are {words}.")
        for name in names:
            parts.append(described(getattr(hookspecs, name)))
    return "\n\n".join(parts)


def exit_codes() -> str:
    """Return the page of exit codes and errors."""
    codes = {n: v for n, v in vars(errors).items() if n.isupper() and isinstance(v, int)}
    rows = [(str(code), EXITS[name]) for name, code in sorted(codes.items(), key=lambda p: p[1])]
    made = public(errors).values()
    found = [e for e in made if inspect.isclass(e) and issubclass(e, errors.TuneError)]
    classes = [
        (f"`{e.__name__}`", str(e.exit_code), prose(e.__doc__).split("\n")[0]) for e in found
    ]
    return "\n\n".join([
        "# Exit codes", table(("code", "means"), rows),
        "## Errors in Python",
        "All are subclasses of `ragd_tune.errors.TuneError`, with `message`, `mend` (what to do "
        "next) and `exit_code`.",
        table(("class", "exit code", "raised when"), classes),
    ])  # fmt: skip


def manifest() -> str:
    """Return the page of the manifest's fields."""
    parts = [
        "# Manifest", "`ragd-tune.json` lies in every adapter's folder. " + prose(Manifest.__doc__),
        "The **content id** of an adapter is the sha256 of this file as canonical JSON. No times, "
        "paths, versions or proofs are in it: those are [records](store-layout.md#records).",
    ]  # fmt: skip
    titles: Mapping[type[pydantic.BaseModel], str] = {
        Manifest: "The manifest",
        BaseRef: "base",
        Prompts: "prompts",
        FileEntry: "One of files",
    }
    for model, title in titles.items():
        schema = model.model_json_schema(by_alias=True)
        words = FIELDS[model.__name__]
        rows = [
            (
                f"`{name}`",
                _json_type(found),
                "needed" if name in schema.get("required", ()) else "",
                words[name],
            )
            for name, found in schema["properties"].items()
        ]
        parts.append(f"## {title}\n\n{table(('field', 'type', '', 'meaning'), rows)}")
    return "\n\n".join(parts)


def _json_type(found: Mapping[str, object]) -> str:
    if isinstance(name := found.get("$ref"), str):
        return f"object `{name.rpartition('/')[2]}`"
    if "enum" in found or "const" in found:
        return "one of " + ", ".join(f"`{v}`" for v in found.get("enum") or [found["const"]])  # type: ignore[attr-defined]
    if isinstance(several := found.get("anyOf"), list):
        return " or ".join(_json_type(one) for one in several)
    return {
        "array": "list",
        "string": "text",
        "integer": "whole number",
        "boolean": "true or false",
    }.get(str(found["type"]), str(found["type"]))


ALIASES: Mapping[str, object] = {
    "Side": plan.Side,
    "Role": plan.Role,
    "Device": plan.Device,
    "Slot": kinds.Slot,
    "Value": options.Value,
    "Row": "Mapping[str, object]",
    "Emit": "Callable[[Event], None]",
    "Dense": "NDArray[np.float32]",
}


def plugin_api() -> str:
    """Return the page of the types that plugins use."""
    aliases = [(f"`{name}`", f"`{one}`".replace("typing.", "")) for name, one in ALIASES.items()]
    parts = [
        "# Plugin API",
        "What flows between the core and plugins, frozen and keyword-only; and functions for it.",
        table(("short name", "stands for"), aliases),
    ]
    for module in (plan, backends, kinds, objectives, options):
        parts.append(f"## {module.__name__}\n\n{prose(module.__doc__)}")
        parts += [described(item) for item in public(module).values()]
        if module is objectives:
            parts.append(_rows())
    return "\n\n".join(parts)


def _rows() -> str:
    """Return the fields of the rows of each objective of the core."""
    rows = [
        (f"`{one.id}`", f"`{f.name}`", f.type, "needed" if f.required else "", f.help)
        for one in objectives.CORE_OBJECTIVES
        for f in one.fields
    ]
    head = ("objective", "field", "type", "", "what it is")
    return f"### Rows of the core's objectives\n\n{table(head, rows)}"


def environment() -> str:
    """Return the page of environment variables."""
    known = registry()
    found = {o.variable: o for kind in known.kinds.values() for o in declared(known, kind)}
    return "\n\n".join([
        "# Environment variables",
        table(("variable", "what it does"), [(f"`{n}`", words) for n, words in VARIABLES.items()]),
        "## Options",
        "Each [option](options.md) has a variable. It is stronger than a configuration file, and "
        "weaker than a flag.",
        table(
            ("variable", "option", "takes"),
            [(f"`{n}`", f"`{o.flag}`", o.range) for n, o in found.items()],
        ),
    ])  # fmt: skip
