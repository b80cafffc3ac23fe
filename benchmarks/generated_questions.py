"""What questions without an LLM are worth: train on them alone, test on what people asked.

For each of the shared sets ``medquad`` and ``apibench``, its passages are the documents; no gold
question is read, and no passage that a gold test question is about gives a training question. The
same training on the gold training questions is the yardstick: the share of its gain is reported.

    python benchmarks/generated_questions.py prepare WORK     # makes the data sets; minutes of CPU
    python benchmarks/generated_questions.py run WORK --out RESULTS   # trains; wants a GPU

``run --split dev`` chooses among recipes without looking at the test questions.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.tables import measured, shared, table, training_flags, training_options

from ragd_tune.data import DataSet, read, write
from ragd_tune.data.chunk import Chunk
from ragd_tune.data.generate import RECIPES, Question, Sieve, generate
from ragd_tune.data.generate.roundtrip import unfit
from ragd_tune.data.model import Query
from ragd_tune.pipeline import workshop
from ragd_tune.pipeline.generating import embedding

SETS = ("medquad", "apibench")
VARIANTS: dict[str, tuple[str, ...]] = {
    "all": RECIPES,
    "aspect": ("aspect",),
    "keywords": ("keywords",),
    "crop": ("crop",),
    "subjects": ("definition", "aspect"),
    "purpose+crop": ("purpose", "crop"),
}
DEV = 20
"""Every so-manieth question watches the training."""


def passages(data: DataSet, *, everything: bool) -> list[Chunk]:
    """Return the passages that give questions: those that no dev or test question is about."""
    held = {
        did for split in ("dev", "test") for found in data.qrels[split].values() for did in found
    }
    return [
        Chunk(
            id=did,
            document=did,
            text=doc.text,
            title=doc.title,
            start=0,
            end=len(doc.text),
        )
        for did, doc in data.corpus.items()
        if everything or did not in held
    ]


def prepared(
    data: DataSet, chunks: Sequence[Chunk], recipes: Sequence[str], per_chunk: int, base: str
) -> tuple[DataSet, dict[str, object]]:
    """Return ``data`` with generated training questions in place of the gold ones."""
    made = generate(chunks, (), per_chunk=per_chunk, recipes=recipes)
    sieve = Sieve({chunk.id: chunk for chunk in chunks})
    kept = sieve.run(made)
    if base:
        with embedding(workshop(), base, offline=True) as embed:
            why = unfit(kept, chunks, embed)
        kept = sieve.drop("round-trip", kept, set(why), why)
    report = sieve.report(kept).to_json()
    return _with_questions(data, kept), report


def _with_questions(data: DataSet, questions: Sequence[Question]) -> DataSet:
    """Return a set of generated questions alone, a few of them to watch the training by."""
    queries: dict[str, Query] = {}
    qrels: dict[str, dict[str, dict[str, float]]] = {"train": {}, "dev": {}}
    rivals: dict[str, dict[str, None]] = {}
    first: dict[str, str] = {}
    for number, one in enumerate(questions):
        qid = first.setdefault(one.text, f"g{number}")
        queries[qid] = Query(id=qid, text=one.text)
        side = "dev" if int(qid[1:]) % DEV == 0 else "train"
        qrels[side].setdefault(qid, {})[one.chunk] = 1.0
        rivals.setdefault(qid, {}).update(dict.fromkeys(one.against))
    negatives = {
        qid: tuple(did for did in found if did not in qrels["train"].get(qid, {}))
        for qid, found in rivals.items()
        if qid in qrels["train"]
    }
    made = DataSet.of(
        corpus=data.corpus, queries=queries, qrels=qrels, negatives=negatives, source="made"
    )
    origin = {"generator": "headings", "questions": len(queries)}
    return replace(made, about={"generated": ["train", "dev"], "origins": [origin]})


def asked_by_people(folder: Path, gold: DataSet, split: str) -> DataSet:
    """Return what a proof is made on: gold questions, beside the training questions of ``folder``.

    The training questions tell which documents are new to the model, and take part in nothing.
    """
    if folder.name.endswith(".gold"):
        return gold
    made = read(folder)
    return DataSet.of(
        corpus=gold.corpus,
        queries={**made.queries, **gold.queries},
        qrels={"train": made.qrels["train"], split: gold.qrels[split]},
        source=folder,
    )


def prepare(work: Path, *, per_chunk: int, base: str, sets: Sequence[str]) -> None:
    """Write a data set for each set and variant, and the gold one."""
    for name in sets:
        data = shared(name)
        write(data, work / f"{name}.gold", force=True, compress=True)
        for variant, recipes in VARIANTS.items():
            for everything in (False, True) if variant == "all" else (False,):
                chunks = passages(data, everything=everything)
                made, report = prepared(data, chunks, recipes, per_chunk, base)
                folder = work / f"{name}.{variant}{'.every-document' if everything else ''}"
                write(made, folder, force=True, compress=True, about={"filters": report})
                print(folder.name, len(made.qrels["train"]), "questions", flush=True)


def run(
    work: Path,
    out: Path,
    *,
    base: str,
    split: str,
    seeds: int,
    only: Sequence[str],
    training: Mapping[str, object],
) -> None:
    """Train on each set, compare on ``split``, and write JSON and a table to ``out``."""
    rows: list[dict[str, object]] = []
    out.mkdir(parents=True, exist_ok=True)
    for folder in sorted(one for one in work.iterdir() if (one / "dataset.json").is_file()):
        if only and folder.name not in only:
            continue
        for seed in range(seeds):
            gold = read(work / f"{folder.name.partition('.')[0]}.gold")
            row = measured(
                folder,
                out / "home",
                base=base,
                split=split,
                seed=seed,
                given={"max_length": 256, **training},
                proof=asked_by_people(folder, gold, split),
            )
            rows.append(row)
            print(json.dumps(row), flush=True)
            (out / f"generated-{split}.json").write_text(json.dumps(rows, indent=1), "utf-8")
    print(table(_shares(rows), COLUMNS))


COLUMNS = ("set", "seed", "rows", "base", "adapter", "difference", "interval", "share_of_gold")


def _shares(rows: Sequence[dict[str, object]]) -> list[dict[str, object]]:
    """Add to each row its gain as a share of the gold training's with the same seed."""
    gold = {
        (str(row["set"]).partition(".")[0], row["seed"]): row["difference"]
        for row in rows
        if str(row["set"]).endswith(".gold")
    }
    told = []
    for row in rows:
        best = gold.get((str(row["set"]).partition(".")[0], row["seed"]))
        gain = row["difference"]
        share = (
            gain / best if isinstance(best, float) and isinstance(gain, float) and best else None
        )
        told.append({**row, "share_of_gold": share})
    return told


def main() -> None:
    """Prepare, or run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["prepare", "run"])
    parser.add_argument("work", type=Path)
    parser.add_argument("--out", type=Path, default=Path("results"))
    parser.add_argument("--base", default="all-MiniLM-L6-v2")
    parser.add_argument("--per-chunk", type=int, default=4)
    parser.add_argument("--no-round-trip", action="store_true")
    parser.add_argument("--split", default="test", choices=["dev", "test"])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--set", dest="sets", action="append", choices=SETS)
    parser.add_argument("--only", action="append", default=[], help="folder of WORK; repeatable")
    training_flags(parser)
    given = parser.parse_args()
    if given.what == "prepare":
        base = "" if given.no_round_trip else given.base
        prepare(given.work, per_chunk=given.per_chunk, base=base, sets=given.sets or SETS)
    else:
        run(
            given.work,
            given.out,
            base=given.base,
            split=given.split,
            seeds=given.seeds,
            only=given.only,
            training=training_options(given),
        )


if __name__ == "__main__":
    main()
