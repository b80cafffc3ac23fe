"""The prompts of a generation as tokens: the same in every backend, and no cut is silent."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from ragd_tune.objectives.completion import Frame, Sample

_log = logging.getLogger(__name__)


def asked(
    frame: Frame,
    prompts: Sequence[str],
    *,
    room: int,
    system: str = "",
    keep: Sequence[Sequence[str]] = (),
) -> list[list[int]]:
    """Return the tokens of each prompt, at most ``room``: what is longer is cut, and told.

    :param keep: parts of each prompt, by its place, that are cut last; see :meth:`Frame.prompt`.
        Where they alone are too long, the beginning goes.
    """
    parts = keep or [()] * len(prompts)
    made = [
        frame.prompt(prompt, system=system, keep=kept, room=room)
        for prompt, kept in zip(prompts, parts, strict=True)
    ]
    _tell([one.cut for one in made if one.cut], made, room)
    return [list(one.ids)[-room:] for one in made]


def _tell(cuts: Sequence[int], made: Sequence[Sample], room: int) -> None:
    """Log one warning for all prompts that were cut, and one where what should stay went too."""
    if cuts:
        _log.warning(
            "%d of %d prompts were cut in the middle: they leave no room for the answer in the "
            "model's context (up to %d tokens too long)",
            len(cuts),
            len(made),
            max(cuts),
        )
    lost = sum(1 for one in made if len(one.ids) > room)
    if lost:
        _log.warning(
            "%d of %d prompts lost their beginning too: what was to be kept of them is longer "
            "than %d tokens",
            lost,
            len(made),
            room,
        )
