"""The sections of a report, each from the story alone; what has nothing to tell is None."""

from __future__ import annotations

from collections.abc import Sequence

from ragd_tune.evaluate.metrics import title
from ragd_tune.evaluate.report import Cell, Moved
from ragd_tune.report import charts, words
from ragd_tune.report.charts import Bar
from ragd_tune.report.markup import Markup, el, join
from ragd_tune.report.story import Run, Story
from ragd_tune.report.tables import Heading, table


def section(heading: str, *inside: object, key: str, style: str = "") -> Markup:
    """Return one section under its heading."""
    head = el("h2", heading, id=key)
    return el("section", head, *inside, aria_labelledby=key, class_=style or None)


def verdict(story: Story) -> Markup:
    """Return whether to use the adapter, the sentence that says why, and the numbers behind it."""
    report, gate = story.report, story.report.gate
    found = gate.difference
    name = words.metric(gate)
    told = (
        (f"{name} before", f"{gate.before:.4f}", report.incumbent),
        (f"{name} after", f"{gate.after:.4f}", report.candidate),
        ("Difference", words.signed(found.mean), f"95%: {words.interval(found)}"),
        ("Chance alone", f"p = {found.p:.2g}", "of a difference as large"),
        ("Tested on", f"{found.queries:,} queries", f"in {found.clusters:,} independent groups"),
    )
    figures = el(
        "dl",
        *(el("div", el("dt", dt), el("dd", dd, el("small", more))) for dt, dd, more in told),
        class_="figures",
    )
    return el(
        "section",
        el("strong", story.decision),
        el("p", report.sentence),
        figures,
        class_=f"verdict {story.answer}",
        aria_label="Whether to use it",
    )


def metrics(story: Story) -> Markup:
    """Return every metric on all queries, drawn and as a table."""
    report = story.report
    cells = [c for c in report.cells if c.part == "all" and c.dims == report.gate_dims]
    bars = [Bar(name=title(c.metric), found=c.difference, decides=c is report.gate) for c in cells]
    heading = "Before and after"
    return section(
        heading,
        el("figure", charts.intervals("metrics", "Differences by metric", bars),
           el("figcaption", "Difference of each metric with its 95% interval; right of 0 is better."
              f" {title(report.gate_metric)} decides.")),
        key="s-metrics",
    )  # fmt: skip


def every_cell(story: Story) -> Markup:
    """Return every number that was measured, as a table to open."""
    cells = story.report.cells
    shown = el("details", el("summary", f"{len(cells)} comparisons"), _cells(cells, story))
    return section("Every number", shown, key="s-cells")


def _cells(cells: Sequence[Cell], story: Story) -> Markup:
    columns = (
        Heading("metric"), Heading("queries"), Heading("before", True), Heading("after", True),
        Heading("difference", True), Heading("95% interval", True), Heading("p", True),
    )  # fmt: skip
    rows = [
        (
            words.metric(cell), words.PARTS[cell.part], f"{cell.before:.4f}", f"{cell.after:.4f}",
            words.signed(cell.difference.mean), words.interval(cell.difference),
            f"{cell.difference.p:.2g}",
        )
        for cell in cells
    ]  # fmt: skip
    marked = {i for i, cell in enumerate(cells) if cell is story.report.gate}
    return table(columns, rows, marked=marked)


def known_and_new(story: Story) -> Markup | None:
    """Return the gate's metric on known and on new documents."""
    report = story.report
    found = [
        (part, cell)
        for part in ("all", "known", "new")
        if (cell := report.cell(part, report.gate_metric, report.gate_dims))
    ]
    if len(found) < 3:  # the sentence says that all queries are of one part
        return None
    bars = [
        Bar(name=words.PARTS[part], found=cell.difference, decides=part == "all")
        for part, cell in found
    ]
    counts = report.counts
    told = (
        f"{counts.known:,} queries are about documents that training queries used (known), "
        f"{counts.new:,} about others (new)."
    )
    return section(
        "Known and new documents",
        el("figure", charts.intervals("parts", "Differences on known and new documents", bars),
           el("figcaption", told)),
        key="s-parts",
    )  # fmt: skip


def elsewhere(story: Story) -> Markup | None:
    """Return what happened on another domain."""
    found = story.report.elsewhere
    if found is None:
        return None
    name = title(found.metric)
    drawn = charts.intervals(
        "elsewhere",
        f"Difference of {name} on another domain",
        [Bar(name=name, found=found.difference, decides=True)],
        limit=-found.tolerance,
    )
    told = (
        f"{name} on {found.data}: {found.before:.4f} → {found.after:.4f}. The broken line is the "
        f"loss that is allowed, {found.tolerance:g}; an interval wholly left of it is refused."
    )
    heading = "Forgotten" if found.forgets else "Not forgotten"
    return section(heading, el("figure", drawn, el("figcaption", told)), key="s-elsewhere")


def changes(story: Story) -> Markup | None:
    """Return how much single queries changed."""
    moved = [one.after - one.before for one in story.report.queries]
    if not moved:
        return None
    found = story.report.gate.difference
    told = (
        f"{found.wins:,} queries gained, {found.losses:,} lost, and {found.ties:,} stayed as they "
        "were; those are not drawn."
    )
    drawn = charts.changes("changes", f"Changes of {title(story.report.gate_metric)}", moved)
    return section(
        "Change of each query", el("figure", drawn, el("figcaption", told)), key="s-changes"
    )


def examples(story: Story) -> Markup | None:
    """Return the queries that gained and lost most, side by side."""
    report = story.report
    if not report.gained and not report.lost:
        return None
    sides = [
        section(heading, _moved(moved), key=key)
        for heading, moved, key in (
            ("Gained most", report.gained, "s-gained"),
            ("Lost most", report.lost, "s-lost"),
        )
    ]
    return el("div", *sides, class_="pair")


def _moved(moved: Sequence[Moved]) -> Markup:
    if not moved:
        return el("p", "No query.", class_="muted")
    rows = [
        (one.text or one.query_id, words.rank(one.rank_before), words.rank(one.rank_after))
        for one in moved
    ]
    columns = (Heading("query"), Heading("before", True), Heading("after", True))
    return table(columns, rows, said=True)


def learning(run: Run | None) -> Markup | None:
    """Return the curve of the losses."""
    if run is None or not (run.losses or run.dev_losses):
        return None
    drawn = charts.learning("learning", "Losses by step", run.losses, run.dev_losses)
    told = "Training loss by step, with its running mean"
    told += "; the held-out loss should not rise." if run.dev_losses else "."
    return section("Learning curve", el("figure", drawn, el("figcaption", told)), key="s-learning")


def cut_vectors(story: Story) -> Markup | None:
    """Return the gate's metric at every dimension, if there are several."""
    report = story.report
    cells = [
        (cell.dims, cell)
        for cell in report.cells
        if cell.part == "all" and cell.metric == report.gate_metric and cell.dims is not None
    ]
    if len(cells) < 2:
        return None
    kept = report.kept
    rows = [
        (f"{dims:,}", f"{cell.before:.4f}", f"{cell.after:.4f}",
         f"{kept[dims]:.1%}" if dims in kept else "", words.interval(cell.difference))
        for dims, cell in sorted(cells, reverse=True)
    ]  # fmt: skip
    columns = (
        Heading("dimensions", True), Heading("before", True), Heading("after", True),
        Heading("kept", True), Heading("difference, 95%", True),
    )  # fmt: skip
    drawn = charts.cuts("cuts", "By dimension", [(d, c.before, c.after) for d, c in cells])
    told = f"{title(report.gate_metric)} of vectors that are cut; kept is the share of the whole."
    return section(
        "Cut vectors (Matryoshka)",
        el("figure", drawn, el("figcaption", told)),
        table(columns, rows),
        key="s-cuts",
    )


def costs(run: Run | None) -> Markup | None:
    """Return time and memory of the training, beside what was estimated."""
    if run is None:
        return None
    guess = run.estimated
    rows = [
        ("time", words.duration(run.seconds), words.duration(guess[0]) if guess else "not made"),
        ("peak memory", words.size(run.peak_bytes), words.size(guess[1]) if guess else "not made"),
    ]
    columns = (Heading("training"), Heading("took", True), Heading("estimated", True))
    told = f"{run.steps:,} steps"
    if run.rows:
        told += f" on {run.rows.get('train', 0):,} rows, {run.rows.get('dev', 0):,} held out"
    return section(
        "Time and memory", table(columns, rows), el("p", told + ".", class_="muted"), key="s-costs"
    )


def origin(story: Story) -> Markup:
    """Return what was compared, and every decision of the run."""
    report = story.report
    facts = [
        ("adapter", f"{story.adapter} ({words.short(story.id)})"),
        ("kind", story.kind),
        ("base model", f"{story.base} ({words.short(story.base_fingerprint)})"),
        ("proof on", f"{story.data}, split {story.split} ({words.short(story.data_fingerprint)})"),
        ("looks at this test set", f"{report.looks:,}"),
        ("left out", f"{report.counts.excluded:,} leaked, {report.counts.unjudged:,} unjudged"),
        ("equal documents taken for one", f"{report.counts.collapsed:,}"),
        ("resamples, seed", f"{report.resamples:,}, {report.seed}"),
        ("both sides computed in", words.PRECISIONS[report.precision]),
        ("proof made", story.at),
    ]
    details = [_details("What was compared", [one for one in facts if one[1]])]
    if story.run is not None:
        details.append(_details("Every decision of the run", _decisions(story.run)))
    return section("Where it comes from", join(*details), key="s-origin")


def _decisions(run: Run) -> list[tuple[str, str]]:
    named = ("objective", "tuning", "side", "backend", "device")
    found = [(name, run.get(name)) for name in named]
    options = run.plan.get("options")
    if isinstance(options, dict):
        found += [(str(name), _shown(value)) for name, value in sorted(options.items())]
    return [*found, *(("version of " + name, told) for name, told in sorted(run.versions.items()))]


def _shown(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return "not set" if value is None else str(value)


def _details(heading: str, rows: Sequence[tuple[str, str]]) -> Markup:
    return el("details", el("summary", heading), table((), rows, style="facts"))
