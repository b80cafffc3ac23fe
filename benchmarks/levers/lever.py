"""One run: what is pulled, and what stays as in the recipe that is copied most."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Lever:
    """One run. The defaults are the recipe that is copied most: 3 epochs at 2e-5, batches of 32."""

    set: str = ""
    tuning: str = "full"  # full, lora
    top: int = 0  # train only the top layers (0: all) ...
    embeddings: bool = True  # ... and the embeddings
    rank: int = 16
    learning_rate: float = 2e-5
    batch: int = 32
    epochs: float = 3.0
    temperature: float = 0.05
    warmup: float = 0.1
    schedule: str = "linear"
    weight_decay: float = 0.01
    length: int = 256
    dropout: float = 0.1
    negatives: int = 0  # mined by the base, for each row
    margin: float = 0.95  # kept if they score below this share of the positive
    depth: int = 100  # of the ranking that negatives come from
    mine_short: bool = False  # by vectors of the first 128 tokens
    fused: bool = False  # mined by BM25 too, both rankings joined by their reciprocal ranks
    sample: bool = False  # draw them from the ranking, not the hardest ones
    guide: float = -1.0  # mask in-batch passages whose base cosine is above the positive's + this
    both_ways: bool = False  # also from passage to query
    decay: float = 1.0  # learning rate of a layer, by that of the layer above
    ema: float = 0.0  # average of weights along the run
    distil: float = 0.0  # weight of the KL divergence from the base's own in-batch scores
    group: int = 0  # rows of a batch stand in groups of so many whose passages are hard to tell
    share: float = 0.0  # mask in-batch passages above this share of the positive's base score
    bank: int = 0  # mined negatives of each row whose vectors are the base's, never encoded again
    memory: int = 0  # passages of the last batches whose vectors are kept as negatives (XBM)
    teacher: str = ""  # a cross-encoder's scores of the row's own passages: kl, margin
    teacher_weight: float = 1.0
    seed: int = 0
    wise: tuple[float, ...] = (1.0,)
    test: bool = False
