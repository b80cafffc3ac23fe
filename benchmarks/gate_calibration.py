"""How often the gate accepts what is not better, beside the intervals that it could have used.

Run from the checkout:  python benchmarks/gate_calibration.py
For a real run:         python benchmarks/gate_calibration.py --differences FILE...

FILE is what ``ragd-tune train`` or ``ragd-tune evaluate`` print with ``--json``: the proof in it
holds the scores of each query. Every figure is the percentage of cases in which the lower end of a
95% interval lies above 0; 2.5 is ideal where nothing is better, and at most 3.5 is what we ask for.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from ragd_tune.evaluate.significance import ENOUGH, paired_columns

Floats = NDArray[np.float64]
Rng = np.random.Generator

TAIL = 0.025
COLUMNS = 200
NORMAL = NormalDist()


@dataclass(frozen=True)
class Sample:
    """Differences (n,) of queries and their cluster numbers (n,)."""

    differences: Floats
    clusters: NDArray[np.int64]

    def sums(self) -> tuple[Floats, Floats]:
        """Return sums (C,) of differences and sizes (C,) of clusters."""
        sizes = np.bincount(self.clusters).astype(np.float64)
        return np.bincount(self.clusters, self.differences).astype(np.float64), sizes

    def effective(self) -> float:
        """Return the effective number of clusters."""
        sizes = self.sums()[1]
        return float(sizes.sum() ** 2 / (sizes**2).sum())


# -- populations --------------------------------------------------------------------------------

SIZES: dict[str, Callable[[Rng, int], NDArray[np.int64]]] = {
    "equal": lambda rng, count: np.full(count, 4),
    "uneven": lambda rng, count: rng.geometric(0.3, count),
    "wild": lambda rng, count: np.minimum(rng.pareto(1.2, count) + 1, 60).astype(np.int64),
}


def _dense(rng: Rng, n: int) -> Floats:
    return rng.normal(0, 0.25, n)


def _sparse(rng: Rng, n: int) -> Floats:
    return np.where(rng.random(n) < 0.8, 0.0, rng.normal(0, 0.4, n))


def _very_sparse(rng: Rng, n: int) -> Floats:
    return np.where(rng.random(n) < 0.95, 0.0, rng.normal(0, 0.4, n))


def _rare_losses(rng: Rng, n: int) -> Floats:
    """Many small gains against few large losses: mean 0, and the hardest case for any test."""
    losses = np.where(rng.random(n) < 0.15, -0.85 * rng.random(n), 0.0)
    return losses + 0.15 * 0.85 * rng.random(n)


def _rare_gains(rng: Rng, n: int) -> Floats:
    return -_rare_losses(rng, n)


SYMMETRIC = {"dense": _dense, "80% zero": _sparse, "95% zero": _very_sparse}
SKEWED = {"rare losses": _rare_losses, "rare gains": _rare_gains}


def draw(rng: Rng, count: int, sizes: str, values: Callable[[Rng, int], Floats]) -> Sample:
    """Return a sample of ``count`` clusters whose queries share a small common part."""
    clusters = np.repeat(np.arange(count), SIZES[sizes](rng, count))
    differences = values(rng, len(clusters))
    moved = differences != 0
    shared = rng.normal(0, 0.05, count)[clusters]
    return Sample(np.clip(differences + np.where(moved, shared, 0.0), -1, 1), clusters)


# -- intervals ----------------------------------------------------------------------------------


def accepted(sums: Floats, sizes: Floats, rng: Rng, draws: int) -> dict[str, NDArray[np.bool_]]:
    """Say for each column of sums (C, m) which interval has its lower end above 0."""
    count, queries = len(sizes), sizes.sum()
    drawn = rng.integers(count, size=(draws, count)) + count * np.arange(draws)[:, None]
    times = np.bincount(drawn.ravel(), minlength=drawn.size).reshape(drawn.shape)
    weights = times.astype(np.float64)
    n = (weights @ sizes)[:, None]
    mean = sums.sum(axis=0) / queries
    means = (weights @ sums) / n
    clusters = np.repeat(np.arange(count), sizes.astype(int))
    # a cluster's sum spread evenly over its queries: the gate only looks at sums and sizes
    gate = paired_columns(
        (sums / sizes[:, None])[clusters], clusters, seed=int(rng.integers(2**31)), resamples=draws
    )
    return {
        "percentile": np.quantile(means, TAIL, axis=0) > 0,
        "BCa": _bca(sums, sizes, mean, means),
        "bootstrap-t": _studentised(sums, sizes, mean, means, weights, n),
        "ours": np.array([found.low > 0 for found in gate]),
        "gate": np.array([found.proven for found in gate]),
    }


def _bca(sums: Floats, sizes: Floats, mean: Floats, means: Floats) -> NDArray[np.bool_]:
    """Efron's (1987) bias-corrected and accelerated bootstrap, its jackknife over clusters."""
    without = (sums.sum(axis=0) - sums) / (sizes.sum() - sizes)[:, None]
    off = without.mean(axis=0) - without
    bend = (off**3).sum(axis=0) / (6 * (off**2).sum(axis=0) ** 1.5 + 1e-300)
    below = (means < mean).mean(axis=0) + (means == mean).mean(axis=0) / 2
    found = np.empty(sums.shape[1], bool)
    for j, share in enumerate(np.clip(below, 1e-4, 1 - 1e-4)):
        bias = NORMAL.inv_cdf(float(share))
        z = bias + NORMAL.inv_cdf(TAIL)
        found[j] = np.quantile(means[:, j], NORMAL.cdf(bias + z / (1 - bend[j] * z))) > 0
    return found


def _studentised(
    sums: Floats, sizes: Floats, mean: Floats, means: Floats, weights: Floats, n: Floats
) -> NDArray[np.bool_]:
    """Bootstrap-t with the linearised standard error of a ratio."""
    count = len(sizes)

    def error(squares: Floats, cross: Floats, size2: Floats, at: Floats, total: Floats) -> Floats:
        spread = np.maximum(squares - 2 * at * cross + at**2 * size2, 0)
        return np.sqrt(spread * count / (count - 1)) / total

    squares, cross, size2 = sums**2, sums * sizes[:, None], (sizes**2)[:, None]
    own = error(squares.sum(0), cross.sum(0), size2.sum(0), mean, sizes.sum())
    each = error(weights @ squares, weights @ cross, weights @ size2, means, n)
    with np.errstate(all="ignore"):
        t = np.nan_to_num((means - mean) / each, nan=0.0, posinf=50.0, neginf=-50.0)
    return mean - np.quantile(np.clip(t, -50, 50), 1 - TAIL, axis=0) * own > 0


# -- experiments --------------------------------------------------------------------------------


def flips(sample: Sample, rng: Rng, draws: int, count: int) -> dict[str, float]:
    """Return the percentage accepted among ``count`` random sign flips by cluster."""
    sums, sizes = sample.sums()
    parts = []
    for _ in range(0, count, COLUMNS):
        signs = rng.choice([-1.0, 1.0], size=(len(sums), COLUMNS))
        parts.append(accepted(signs * sums[:, None], sizes, rng, draws))
    return {name: 100 * float(np.mean([part[name] for part in parts])) for name in parts[0]}


def symmetric(rng: Rng, draws: int) -> Iterator[tuple[str, dict[str, float]]]:
    """Sign flips of drawn samples: 10 samples of 200 flips a shape."""
    for count in (20, 50, 300):
        for sizes in SIZES:
            for name, values in SYMMETRIC.items():
                samples = [draw(rng, count, sizes, values) for _ in range(10)]
                weight = float(np.mean([sample.effective() for sample in samples]))
                rates = [flips(sample, rng, draws, COLUMNS) for sample in samples]
                label = f"{count:4d} clusters, {sizes:6s} (effective {weight:3.0f}), {name}"
                yield label, _mean(rates)


def fresh(
    rng: Rng,
    draws: int,
    shapes: Mapping[str, Callable[[Rng, int], Floats]],
    gain: float,
    samples: int,
) -> Iterator[tuple[str, dict[str, float]]]:
    """Fresh samples of populations whose mean is ``gain``."""
    for count in (20, 50, 300):
        for sizes in ("equal", "uneven"):
            for name, values in shapes.items():
                rates = []
                for _ in range(samples):
                    sample = draw(rng, count, sizes, values)
                    sums, size = sample.sums()
                    found = accepted((sums + gain * size)[:, None], size, rng, draws)
                    rates.append({key: 100 * float(hit[0]) for key, hit in found.items()})
                yield f"{count:4d} clusters, {sizes:6s}, {name}", _mean(rates)


def _mean(rates: list[dict[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([rate[name] for rate in rates])) for name in rates[0]}


def real(path: Path, rng: Rng, draws: int) -> tuple[str, dict[str, float]]:
    """2,000 sign flips of a real run."""
    rows = json.loads(path.read_text(encoding="utf-8"))["proof"]["queries"]
    clusters = np.unique([row["cluster"] for row in rows], return_inverse=True)[1]
    differences = np.array([row["after"] - row["before"] for row in rows])
    sample = Sample(differences, clusters.reshape(-1))
    label = f"{path.name}: {len(rows)} queries, effective clusters {sample.effective():.0f}"
    return label, flips(sample, rng, draws, 2000)


def table(title: str, rows: Iterator[tuple[str, dict[str, float]]]) -> None:
    """Write one table to standard output as it fills."""
    write = sys.stdout.write
    for number, (label, rates) in enumerate(rows):
        if not number:
            write(f"\n{title}\n{'':58s}" + "".join(f"{name:>12s}" for name in rates) + "\n")
        write(f"{label:58s}" + "".join(f"{rate:12.1f}" for rate in rates.values()) + "\n")
        sys.stdout.flush()


def main() -> None:
    """Run the experiments that were asked for."""
    options = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    options.add_argument("--differences", type=Path, nargs="+", metavar="FILE")
    options.add_argument("--resamples", type=int, default=2000)
    options.add_argument("--samples", type=int, default=1000, help="of a skewed or gaining shape")
    options.add_argument("--seed", type=int, default=0)
    asked = options.parse_args()
    rng = np.random.default_rng(asked.seed)
    sys.stdout.write(f"{asked.resamples} resamples; the gate needs {ENOUGH:.0f} clusters\n")
    if asked.differences:
        found = (real(path, rng, asked.resamples) for path in asked.differences)
        table("2,000 sign flips by cluster of a real run: % accepted", found)
        return
    table("Sign flips by cluster: % accepted", symmetric(rng, asked.resamples))
    table(
        "Skewed, mean 0, fresh samples: % accepted",
        fresh(rng, asked.resamples, SKEWED, 0.0, asked.samples),
    )
    table(
        "A true gain of 0.04, fresh samples: % accepted",
        fresh(rng, asked.resamples, {"dense": _dense, "80% zero": _sparse}, 0.04, asked.samples),
    )


if __name__ == "__main__":
    main()
