"""A language model that answers, pinned to one content id for life."""

from __future__ import annotations

from collections.abc import Sequence

from ragd_tune.backends import Limits
from ragd_tune.errors import UsageError
from ragd_tune.serve.pinned import Pinned
from ragd_tune.serve.served import checked


class Generator(Pinned):
    """Prompts to answers, by one model that never changes under this object.

    Prompts are what the model was trained on: passages and a question, as
    :class:`ragd_tune.data.raft.Template` writes them. The chat template is the model's own, and
    so is the text of the system turn unless a call brings another. Calls may come from several
    threads; they run one after the other.
    """

    slot = "generator"

    def generate(
        self,
        prompt: str,
        *,
        max_tokens: int = 512,
        temperature: float = 0.0,
        stop: Sequence[str] = (),
        system: str = "",
    ) -> str:
        """Return the answer to one prompt; the arguments are those of :meth:`generate_many`."""
        (answer,) = self.generate_many(
            [prompt], max_tokens=max_tokens, temperature=temperature, stop=stop, system=system
        )
        return answer

    def generate_many(
        self,
        prompts: Sequence[str],
        *,
        max_tokens: int = 512,
        temperature: float = 0.0,
        stop: Sequence[str] = (),
        system: str = "",
    ) -> list[str]:
        """Return one answer a prompt, in their order: many at once batch better than one by one.

        A prompt that leaves no room for ``max_tokens`` is cut in its middle, and a warning logged.

        :param max_tokens: tokens of an answer at most.
        :param temperature: 0 takes the likeliest token each time, and gives the same text again.
        :param stop: texts that end an answer; they are no part of it.
        :param system: replaces the text of the system turn that the model was trained with.
        :raises UsageError: prompts are one text or not texts, or a bound makes no sense.
        """
        asked = checked(prompts, "prompts")
        limits = _limits(max_tokens, temperature, stop, system)
        with self._lock:
            served = self.load()
            return served.generate(asked, limits) if asked else []


def _limits(max_tokens: int, temperature: float, stop: Sequence[str], system: str) -> Limits:
    if max_tokens < 1:
        raise UsageError(f"max_tokens is {max_tokens}", mend="give 1 or more")
    if not 0.0 <= temperature < float("inf"):
        raise UsageError(f"temperature is {temperature}", mend="give 0 (greedy) or more")
    return Limits(
        max_tokens=max_tokens,
        temperature=temperature,
        stop=tuple(checked(stop, "stop")),
        system=system,
    )
