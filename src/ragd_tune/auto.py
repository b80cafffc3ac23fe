"""From documents to an activated adapter: generate, train, prove, activate; each step's own rules.

Nothing is activated that its proof does not carry. Questions come from a language model where one
answers on this machine, else from the documents themselves, and the result says which.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ragd_tune.data.mine import Mining
from ragd_tune.errors import DataError, NotInstalledError
from ragd_tune.pipeline import Other, Planned, Request, Trained, Workshop, plan, prove, train
from ragd_tune.pipeline.asking import Asking, generate_with_model
from ragd_tune.pipeline.generating import Generated, Generation, generate_data
from ragd_tune.pipeline.mining import mine_data
from ragd_tune.pipeline.training import checkpoints

if TYPE_CHECKING:
    from ragd_tune.evaluate import Report

KIND = "bi-encoder"
WIDER = 0.5
"""Share of the passages that is held back where a smaller one has too few documents to judge by."""
FEW = 200
"""Training questions below which a gain is unlikely: it is said, and the proof decides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the user wants. ``generator`` is ``best``, ``llm`` or ``headings``.

    ``training`` are options of the training by name; ``mined`` adds hard negatives;
    ``activate`` False leaves what serves as it is. ``other`` is the domain to look at for what is
    forgotten, if any.
    """

    generation: Generation
    asking: Asking
    generator: str = "best"
    training: Mapping[str, object] = field(default_factory=dict)
    mined: bool = False
    activate: bool = True
    name: str | None = None
    other: Other | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What came of it. ``asked_by`` says who made the questions, ``activated`` whether it serves.

    The report's ``queries`` hold each question's score before and after: the verdict can be worked
    out again from them.
    """

    generated: Generated
    asked_by: str
    planned: Planned
    trained: Trained
    report: Report
    activated: bool
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, object]:
        """Return what ``--json`` shows."""
        return {
            "questions_by": self.asked_by,
            "data": self.generated.to_json(),
            "adapter": {"id": self.trained.id, "path": str(self.trained.path)},
            "activated": self.activated,
            "notes": list(self.notes),
            "passed": self.report.passed,
            "proof": self.report.to_json(),
        }


def run(shop: Workshop, wish: Wish, say: Callable[[str], None] = lambda text: None) -> Done:
    """Do it all; ``say`` gets a line before each step.

    The same command goes on where an earlier one was stopped: answers of a language model and
    checkpoints of the training are kept.

    :raises DataError: no document can be read, or too little came of them; or there are too few to
        hold any back.
    :raises NotInstalledError: a backend, the base or the language model that was asked for is not
        here.
    :raises InterruptedRunError: Ctrl-C; a checkpoint was kept.
    """
    generated, asked_by = _questions(shop, wish, say)
    generated, told = _enough(shop, wish, generated, say)
    notes = [*generated.notes, *told]
    count = generated.counts.get("train", 0)
    say(f"{count} training questions by {asked_by}, from {generated.passages} passages")
    if count < FEW:
        notes.append(
            f"{count} training questions are few: tuning on so little often ends below the base"
        )
        say(f"note: {notes[-1]}")
    folder = generated.data.source
    if wish.mined:
        say("mining hard negatives")
        folder = _mined(shop, wish, folder)
    given = {"base": wish.generation.base, **wish.training}
    offline = wish.generation.offline
    planned = plan(shop, Request(kind=KIND, data=folder, given=given, offline=offline))
    kept = bool(checkpoints(planned.plan.out.parent))
    say("training" + (", from the last checkpoint" if kept else ""))
    made = train(shop, planned, name=wish.name or folder.name, resume=kept)
    say("proving on questions about documents that were held back")
    report = prove(shop, made.id, planned.data, base=planned.plan.base, other=wish.other).report
    activated = wish.activate and report.passed
    if activated:
        shop.store.activate(made.id, planned.kind.serves)
    return Done(
        generated=generated,
        asked_by=asked_by,
        planned=planned,
        trained=made,
        report=report,
        activated=activated,
        notes=tuple(notes),
    )


def _enough(
    shop: Workshop, wish: Wish, generated: Generated, say: Callable[[str], None]
) -> tuple[Generated, list[str]]:
    """Hold more documents back where a proof by these could say nothing; say so if that fails too.

    Questions about one document rise and fall together, so it is documents that count.

    :raises DataError: none is held back: of one or two documents none can be spared.
    """
    from ragd_tune.evaluate.significance import ENOUGH

    if _documents(generated) >= ENOUGH:
        return generated, []
    if wish.generation.test < WIDER:
        say(f"too few documents are held back to judge by; {WIDER:.0%} of the passages are now")
        wider = replace(wish, generation=replace(wish.generation, test=WIDER))
        generated, _ = _questions(shop, wider, lambda text: None)
    if (count := _documents(generated)) >= ENOUGH:
        return generated, [f"{WIDER:.0%} of the passages were held back to judge by"]
    if not count:
        raise DataError(
            f"{generated.data.source}: no document is held back to judge by, so no gain could be "
            "proven",
            mend="give more documents; or train without a proof: ragd-tune train bi-encoder --data "
            f"{generated.data.source}",
        )
    note = (
        f"the held-back questions weigh as much as {count:.0f} documents, and {ENOUGH:.0f} are "
        "needed: no gain can be proven with so few"
    )
    say(f"note: {note}")
    return generated, [note]


def _documents(generated: Generated) -> float:
    """Return how many equal documents the test questions weigh as much as."""
    from ragd_tune.evaluate.significance import effective_clusters

    return effective_clusters([*Counter(generated.data.clusters("test").values()).values()])


def _questions(shop: Workshop, wish: Wish, say: Callable[[str], None]) -> tuple[Generated, str]:
    """Generate by whom the wish names; the set is made anew, and is the same for the same files."""
    asked = replace(wish.generation, force=True)
    if wish.generator != "headings":
        try:
            made = generate_with_model(shop, asked, wish.asking)
        except NotInstalledError as error:
            if wish.generator == "llm":
                raise
            say(f"{error.message}: the questions come from the documents themselves")
        else:
            return made, "a language model"
    return generate_data(shop, asked), "headings, links and statistics, without a language model"


def _mined(shop: Workshop, wish: Wish, folder: Path) -> Path:
    out = folder.with_name(f"{folder.name}-mined")
    base, offline = wish.generation.base, wish.generation.offline
    mine_data(shop, folder, out, Mining(), base=base, offline=offline, force=True)
    return out
