"""The live view of a training: step, loss, rows/s, time left."""

from __future__ import annotations

from types import TracebackType

from ragd_tune.cli.output import console, duration, size
from ragd_tune.plan import Estimate, Event


class Progress:
    """Shows events: a bar on a terminal, a line now and then elsewhere. Goes to standard error."""

    def __init__(self, *, quiet: bool = False) -> None:
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bar

        self.console = console(err=True)
        self.quiet = quiet
        self.bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(bar_width=28),
            TextColumn("{task.fields[note]}"),
            console=self.console,
            transient=True,
            disable=quiet or not self.console.is_terminal,
        )
        self.task = self.bar.add_task("", total=1.0, note="")
        self.told = -1

    def __enter__(self) -> Progress:
        self.bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.bar.stop()

    def __call__(self, event: Event) -> None:
        """Show ``event``."""
        if event.type == "estimate" and event.estimate:
            self.say(describe(event.estimate))
        elif event.type == "start":
            self.told = -1  # another training than the one before
            if event.message:
                self.say(event.message)
        elif event.type == "step":
            self._step(event)
        elif event.type == "dev" and event.loss is not None:
            self.say(f"step {event.step}: held-out loss {event.loss:.4f}")
        elif event.message:
            self.say(event.message)

    def work(self, text: str, done: float) -> None:
        """Show a share (0 to 1) of something other than training."""
        self.bar.update(self.task, description=text, completed=done, note=f"{done:4.0%}")
        if not self.bar.disable or self.quiet or done:
            return
        self.say(text)

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        if not self.quiet:
            self.console.print(text, markup=False)

    def _step(self, event: Event) -> None:
        share = event.step / max(event.steps, 1)
        note = f"step {event.step}/{event.steps}"
        note += f"  loss {event.loss:.4f}" if event.loss is not None else ""
        note += f"  {event.rows_per_second:.1f} rows/s" if event.rows_per_second else ""
        left = event.seconds_left
        note += f"  {duration(left)} left" if left is not None else ""
        self.bar.update(self.task, description="training", completed=share, note=note)
        tenth = int(share * 10)
        if self.bar.disable and tenth > self.told:
            self.told = tenth
            self.say(f"training: {note}")


def describe(estimate: Estimate) -> str:
    """Return the estimate in words."""
    text = (
        f"estimate: {estimate.steps} steps in about {duration(estimate.seconds)}, "
        f"{size(estimate.peak_bytes)} of memory ({estimate.measured_steps} steps measured)"
    )
    return f"{text}\n  {estimate.note}" if estimate.note else text
