"""Let ragd ask a tuned language model, and take it back: create in Ollama, ask it, switch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ragd_tune.config import ragd_path
from ragd_tune.errors import TuneError, UsageError
from ragd_tune.export.difference import Difference, made_up_prompts
from ragd_tune.export.ollama import Ollama
from ragd_tune.pipeline.gguf import adapter_of, compare_ollama
from ragd_tune.pipeline.workshop import Workshop
from ragd_tune.ragd import configfile
from ragd_tune.ragd.llm import KEY, LanguageModel, ModelSwitch, language_model, model_name
from ragd_tune.ragd.switch import Change
from ragd_tune.store import Entry, activation

Say = Callable[[str], None]
_EXPORT = "ragd-tune adapters export {} OUT --format gguf --converter PATH"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPlan:
    """What an activation changes in ragd and in Ollama; nothing has changed yet.

    ``folder`` holds the GGUF file and the Modelfile. ``before`` and ``after`` are the bytes of
    ragd's configuration.
    """

    entry: Entry
    folder: Path
    config: Path
    before: bytes
    after: bytes
    host: LanguageModel
    forced: bool

    @property
    def model(self) -> str:
        """Name of the model in Ollama."""
        return model_name(self.entry.id)

    @property
    def diff(self) -> str:
        """The change of ragd's configuration as a unified diff."""
        return configfile.diff(self.before, self.after, str(self.config))


def plan_model(shop: Workshop, ref: str, folder: Path | None, *, force: bool = False) -> ModelPlan:
    """Decide everything about an activation, and change nothing.

    :raises NotProvenError: its last proof made here did not pass, and no ``force``.
    :raises UsageError: ``folder`` is not what this adapter was exported to.
    """
    store, config = shop.store, ragd_path()
    entry = store.get(ref)
    records = store.records(entry.id)
    proven = activation.is_proven(records)
    if not proven and not force:
        raise activation.not_proven(records, entry.shown)
    if folder is None:
        raise UsageError(
            f"ragd asks its language model through Ollama, and {entry.shown} is not there yet",
            mend=f"{_EXPORT.format(entry.shown)}, then ragd-tune adapters activate {entry.shown} "
            "--exported OUT; --no-host leaves ragd alone",
        )
    if adapter_of(folder) != entry.id:
        raise UsageError(
            f"{folder} was not exported from {entry.shown} ({entry.id[:12]})",
            mend=_EXPORT.format(entry.shown),
        )
    before = configfile.read(config)
    return ModelPlan(
        entry=entry,
        folder=folder,
        config=config,
        before=before,
        after=configfile.edited(before, {KEY: model_name(entry.id)}, str(config)),
        host=language_model(before, str(config)),
        forced=not proven,
    )


def carry_out(
    shop: Workshop, plan: ModelPlan, *, prompts: Sequence[str] = (), say: Say | None = None
) -> tuple[Change, list[Difference]]:
    """Create the model in Ollama, have both answer some prompts, and switch ragd over.

    Return the change and where the answers part. If anything fails before the switch, the model is
    taken out of Ollama again, unless it was there before.

    :raises NotInstalledError: Ollama does not answer.
    :raises TuneError: Ollama refuses the model; with its words.
    """
    tell = say or (lambda _: None)
    ollama = Ollama(address=plan.host.address)
    switch = ModelSwitch(shop.store, plan.config)
    with switch.alone():
        was_there = ollama.has(plan.model)
        try:
            if not was_there:
                tell(f"creating {plan.model} in Ollama")
                ollama.create(plan.model, plan.folder)
            tell("asking it")
            asked = [*prompts] or made_up_prompts()
            found = compare_ollama(shop, plan.entry.id, ollama, plan.model, asked)
            active = shop.store.active("generator")
            change = switch.carry_out(
                plan.before, plan.after, adapter=plan.entry.id,
                previous=active.id if active else None, forced=plan.forced,
            )  # fmt: skip
        except BaseException:
            if not was_there:
                _delete(ollama, plan.model)
            raise
    return change, found


def roll_back(shop: Workshop) -> tuple[Change | None, tuple[str, ...]]:
    """Take the last activation of a language model back, in ragd, in the store and in Ollama.

    Return what changed in ragd (None if that activation had not touched it) and what to know.

    :raises StoreError: nothing is left to undo.
    """
    store, config = shop.store, ragd_path()
    switch = ModelSwitch(store, config)
    with switch.alone():
        active, change = store.active("generator"), switch.in_force()
        tuned = active.id if active is not None else None
        if change is None or tuned is None or change.adapter != tuned:
            store.rollback("generator")
            return None, ()
        target = activation.rollback_target(store.layout, "generator")
        there = configfile.read(switch.config)
        before, notes = _before(switch, change, there, str(config))
        done = switch.carry_out(
            there, before, adapter=target[1] if target else None, previous=tuned,
            undoes=change.number,
        )  # fmt: skip
    gone = _take_away(there, tuned, str(config))
    return done, (*notes, *gone)


def _before(
    switch: ModelSwitch, change: Change, there: bytes, where: str
) -> tuple[bytes, tuple[str, ...]]:
    """Return the configuration to go back to: the old bytes, or the old key where more changed."""
    old = switch.kept(change.before)
    if there == switch.kept(change.after):
        return old, ()
    model = language_model(old, where).model
    note = f"{where} was changed since; only llm.model is taken back"
    return configfile.edited(there, {KEY: model}, where), (note,)


def _take_away(raw: bytes, adapter: str, where: str) -> tuple[str, ...]:
    """Delete the model in Ollama; that it cannot be done is no reason to keep ragd on it."""
    name = model_name(adapter)
    if _delete(Ollama(address=language_model(raw, where).address, seconds=60.0), name):
        return (f"{name} is taken out of Ollama",)
    return (f"{name} is still in Ollama, which did not answer: ollama rm {name}",)


def _delete(ollama: Ollama, name: str) -> bool:
    try:
        ollama.delete(name)
    except TuneError:
        return False
    return True
