"""A model card from manifest and records: numbers and fingerprints, no text of any document."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ragd_tune.report import words

if TYPE_CHECKING:
    from ragd_tune.evaluate import Report
    from ragd_tune.report.story import Run, Story
    from ragd_tune.store import Manifest

_TASKS = {"bi-encoder": "sentence-similarity", "cross-encoder": "text-ranking"}
_PRIVATE = "another domain"
"""What the other domain is called: the name of a folder is its owner's business."""


def card(manifest: Manifest, repo: str, story: Story | None) -> str:
    """Return the card as Markdown under YAML.

    Of the records it takes numbers and versions. Queries that gained or lost, names of data sets
    and folders stay here: they are the user's own.

    :param repo: ``owner/name``, where the adapter will be.
    :param story: its last proof; None where it has none.
    """
    return "\n".join(
        [*_front(manifest), "", f"# {_code(repo.rpartition('/')[2])}", "",
         *_about(manifest), "", *_use(manifest, repo), "",
         *_proof(story), "", *_data(story), "", *_made(story.run if story else None)]
    ).rstrip() + "\n"  # fmt: skip


def _front(manifest: Manifest) -> Iterator[str]:
    """Yield YAML; JSON's texts are YAML's too, so that nothing can break out."""
    library = "peft" if manifest.format == "peft" else "sentence-transformers"
    told: dict[str, object] = {
        "library_name": library,
        "tags": ["ragd-tune", manifest.kind, manifest.tuning],
    }
    if "/" in manifest.base.name:
        told["base_model"] = manifest.base.name
    if task := _TASKS.get(manifest.kind):
        told["pipeline_tag"] = task
    yield "---"
    for name, value in told.items():
        yield f"{name}: {json.dumps(value, ensure_ascii=True)}"
    yield "---"


def _about(manifest: Manifest) -> Iterator[str]:
    side = "" if manifest.side == "both" else f", {manifest.side} side"
    how = f"{manifest.objective} by {manifest.tuning}{side}"
    yield (
        f"An adapter of the kind {_code(manifest.kind)} ({how}), made by ragd-tune on the base "
        f"model {_code(manifest.base.name)}."
    )
    facts: dict[str, object] = {
        "content id": manifest.content_id,
        "base fingerprint": manifest.base.fingerprint,
        "dimension": manifest.dimension or None,
        "trained dimensions": ", ".join(map(str, manifest.dimensions)) or None,
        "longest text (tokens)": manifest.max_length or None,
        "query prompt": manifest.prompts.query or None,
        "document prompt": manifest.prompts.document or None,
    }
    yield ""
    yield from _table(("", ""), [(n, _code(str(v))) for n, v in facts.items() if v is not None])


def _use(manifest: Manifest, repo: str) -> Iterator[str]:
    yield from (
        "## Use it", "", "```sh", 'pip install "ragd-tune[cpu]"',
        f"ragd-tune adapters pull {repo} --name mine", "```",
    )  # fmt: skip
    if manifest.dimension:
        yield from (
            "", "```python", "import ragd_tune", "", 'embedder = ragd_tune.load("mine")',
            'vectors = embedder.embed_queries(["where is the key?"])', "```",
        )  # fmt: skip
    yield from (
        "",
        "The base model has to be on your machine, with the fingerprint above; on another one the "
        "adapter is refused. Prove it on your own data before you use it: "
        "`ragd-tune evaluate mine --data DATA`.",
    )


def _proof(story: Story | None) -> Iterator[str]:
    yield from ("## Proof", "")
    if story is None:
        yield "None was made where this adapter comes from."
        return
    report = anonymous(story.report)
    yield report.sentence
    yield ""
    rows = [
        (
            words.metric(cell), words.PARTS[cell.part].lower(), f"{cell.before:.4f}",
            f"{cell.after:.4f}", words.signed(cell.difference.mean),
            words.interval(cell.difference),
        )
        for cell in report.cells
        if cell.metric == report.gate_metric or cell.part == "all"
    ]  # fmt: skip
    yield from _table(("metric", "queries", "before", "after", "difference", "95% interval"), rows)


def anonymous(report: Report) -> Report:
    """Return the report without texts, and without names that the user gave."""
    elsewhere = report.elsewhere and replace(report.elsewhere, data=_PRIVATE)
    return replace(report, gained=(), lost=(), queries=(), elsewhere=elsewhere)


def _data(story: Story | None) -> Iterator[str]:
    if story is None:
        return
    plan = story.run.get("data_fingerprint") if story.run else ""
    yield from ("## Data", "", "The data itself is not part of this repository.", "")
    rows = [("proof", _code(story.data_fingerprint), story.split)]
    if plan:
        rows.append(("training", _code(plan), "train"))
    yield from _table(("used for", "fingerprint", "split"), rows)


def _made(run: Run | None) -> Iterator[str]:
    if run is None:
        return
    yield from ("## Training", "")
    told: Mapping[str, object] = {
        "backend": run.get("backend"),
        "device": run.get("device"),
        "steps": f"{run.steps:,}",
        "time": words.duration(run.seconds),
        "peak memory": words.size(run.peak_bytes),
        **{f"version of {name}": version for name, version in sorted(run.versions.items())},
    }
    yield from _table(("", ""), [(name, _code(str(value))) for name, value in told.items()])


def _table(columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(columns)} |"
    yield f"|{'---|' * len(columns)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _code(text: str) -> str:
    """Return ``text`` as code on one line: no Markdown, HTML or table cell begins in it."""
    plain = " ".join(text.split()).replace("`", "'").replace("|", "/")
    return f"`{plain}`" if plain else "none"
