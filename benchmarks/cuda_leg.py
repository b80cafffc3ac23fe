"""One process of ``benchmarks/cuda.py``: makes the inputs or runs a leg; prints one JSON line."""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import time
import traceback
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

NAMES = ("torch", "transformers", "sentence-transformers", "peft", "trl", "unsloth", "bitsandbytes")


@dataclass(frozen=True, kw_only=True)
class Size:
    """What a leg is given to do."""

    layers: int
    hidden: int
    inner: int
    vocabulary: int = 30_522
    rows: int = 6_000
    batch: int = 64
    length: int = 128
    words: int = 90


SIZES = {
    "minilm": Size(layers=6, hidden=384, inner=1536),
    "bge-small": Size(layers=12, hidden=384, inner=1536),
    # Qwen3-0.6B's shape: 596 million parameters with tied embeddings.
    "llm": Size(
        layers=28,
        hidden=1024,
        inner=3072,
        vocabulary=151_936,
        rows=384,
        batch=8,
        length=512,
        words=370,
    ),
}
TINY = Size(layers=2, hidden=64, inner=128, vocabulary=2_000, rows=40, batch=4, length=32, words=12)
RANK, ALPHA, RATE = 16, 32.0, 1e-4
WARM = 5
"""Steps that are not counted into samples/s: kernels are chosen and compiled in them."""
PROFILED = 2
"""Steps that ``--profile`` looks into, after those."""
LISTED = 40


@dataclass
class Clock:
    """When each step ended, and how many rows it had."""

    marks: list[float] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    started: float = 0.0
    profiler: Any = None

    def start(self) -> None:
        """Begin."""
        self.started = time.perf_counter()

    def step(self, rows: int, loss: float) -> None:
        """Note the end of a step."""
        import torch

        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.marks.append(time.perf_counter())
        self.rows.append(rows)
        self.losses.append(loss)
        if self.profiler is not None and len(self.marks) == WARM:
            self.profiler.start()
        if self.profiler is not None and len(self.marks) == WARM + PROFILED:
            self.profiler.stop()

    def told(self) -> dict[str, object]:
        """Return seconds, samples/s after the warm-up, peak memory, and the ends of the loss."""
        import torch

        warm = min(WARM, len(self.marks) - 1)
        steady = self.marks[-1] - self.marks[warm - 1] if warm else self.marks[-1] - self.started
        cuda = torch.cuda
        peaks = (cuda.max_memory_allocated(), cuda.max_memory_reserved()) if here() else (0, 0)
        return {
            "seconds": round(self.marks[-1] - self.started, 3),
            "steps": len(self.marks),
            "samples_per_second": round(sum(self.rows[warm:]) / steady, 2),
            "peak_allocated_mib": round(peaks[0] / 2**20),
            "peak_reserved_mib": round(peaks[1] / 2**20),
            "first_loss": round(self.losses[0], 4),
            "last_loss": round(self.losses[-1], 4),
            **({"profile": spent(self.profiler)} if self.profiler is not None else {}),
        }


def profiler() -> Any:
    """Return PyTorch's profiler, of the host and of the GPU where there is one."""
    import torch

    return torch.profiler.profile()


def spent(done: Any) -> dict[str, object]:
    """Return what a step called and how long that took: the operations that took longest first.

    ``count`` is a step's. Times are milliseconds of a step: ``host_ms`` on the processor, and
    ``gpu_ms`` on the GPU. ``waits`` are copies to the host, and ``launches`` kernels.
    """
    told = sorted(done.key_averages(), key=lambda one: -one.self_cpu_time_total)
    count = {one.key: one.count / PROFILED for one in told}
    return {
        "operations": sum(n for name, n in count.items() if name.startswith("aten::")),
        "launches": sum(n for name, n in count.items() if "LaunchKernel" in name),
        "waits": count.get("aten::_local_scalar_dense", 0.0),
        "casts": count.get("aten::_to_copy", 0.0),
        "longest": [
            {
                "name": one.key[:120],
                "count": one.count / PROFILED,
                "host_ms": round(one.self_cpu_time_total / PROFILED / 1e3, 3),
                "gpu_ms": round(one.self_device_time_total / PROFILED / 1e3, 3),
            }
            for one in told[:LISTED]
        ],
    }


def here() -> bool:
    """Say whether this machine has a GPU."""
    import torch

    return torch.cuda.is_available()


def device() -> str:
    """Return ``cuda`` where there is one."""
    return "cuda" if here() else "cpu"


def words(count: int) -> list[str]:
    """Return ``count`` different words."""
    return [f"w{number:x}" for number in range(count)]


def prepare(models: list[str], work: Path, size_of: dict[str, Size]) -> dict[str, object]:
    """Make the models and the rows; return what this machine is."""
    import torch

    for name in models:
        (_language_model if name == "llm" else _encoder)(work / name, name, size_of[name])
        lines = [json.dumps(row) for row in _rows(name, size_of[name])]
        (work / name / "rows.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    cuda = torch.cuda.is_available()
    return {
        "gpu": torch.cuda.get_device_name() if cuda else None,
        "python": sys.version.split()[0],
        "versions": {name: _version(name) for name in NAMES},
        "sizes": {name: {**size_of[name].__dict__} for name in models},
    }


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _rows(name: str, size: Size) -> list[dict[str, object]]:
    draw = random.Random(0)
    known = words(min(1_500, size.vocabulary - 300))
    made: list[dict[str, object]] = []
    for number in range(size.rows):
        text = [draw.choice(known) for _ in range(size.words)]
        asked = " ".join(draw.sample(text, min(10, len(text))))
        if name == "llm":
            made.append({"prompt": " ".join(text), "completion": " " + asked})
        else:
            key = f"p{number}"
            made.append(
                {
                    "query": asked,
                    "positive": " ".join(text),
                    "positive_key": key,
                    "relevant_keys": [key],
                }
            )
    return made


def _tokenizer(home: Path, special: list[str], size: Size) -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    pieces = [*special, *words(min(1_500, size.vocabulary - 300))]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token=special[1]))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    if len(special) > 3:
        made.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
        )
    names = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
    roles = names if len(special) > 3 else ("pad_token", "unk_token", "eos_token")
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=made, model_max_length=512, **dict(zip(roles, special, strict=True))
    )
    tokenizer.save_pretrained(str(home))
    return tokenizer


def _encoder(home: Path, name: str, size: Size) -> None:
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Transformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling
    from transformers import BertConfig, BertModel

    _tokenizer(home, ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], size)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=size.vocabulary,
        hidden_size=size.hidden,
        num_hidden_layers=size.layers,
        num_attention_heads=size.hidden // 32,
        intermediate_size=size.inner,
    )
    BertModel(config).save_pretrained(str(home))
    front = Transformer(str(home))
    pooling = Pooling(size.hidden, "cls" if name == "bge-small" else "mean")
    made = SentenceTransformer(modules=[front, pooling, Normalize()], device="cpu")
    made.save_pretrained(str(home), create_model_card=False)


def _language_model(home: Path, name: str, size: Size) -> None:
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    _tokenizer(home, ["<pad>", "<unk>", "</s>"], size)
    config = Qwen3Config(
        vocab_size=size.vocabulary,
        hidden_size=size.hidden,
        intermediate_size=size.inner,
        num_hidden_layers=size.layers,
        num_attention_heads=16 if size.hidden > 512 else 4,
        num_key_value_heads=8 if size.hidden > 512 else 2,
        head_dim=128 if size.hidden > 512 else 16,
        tie_word_embeddings=True,
        pad_token_id=0,
        eos_token_id=2,
        bos_token_id=None,
    )
    torch.manual_seed(0)
    with torch.device(device()):
        model: Any = Qwen3ForCausalLM(config)
        model = model.to(torch.bfloat16)
    model.save_pretrained(str(home))


def main() -> int:
    """Do what ``cuda.py`` asks and print the answer as the last line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("prepare", "leg"))
    parser.add_argument("names", nargs="+")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--profile", action="store_true")
    asked = parser.parse_args()
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what frameworks print belongs into the log
    size_of = dict.fromkeys(SIZES, TINY) if asked.tiny else SIZES
    try:
        if asked.what == "prepare":
            found = prepare(asked.names, asked.work, size_of)
        else:
            from benchmarks.cuda_sides import leg

            clock = Clock(profiler=profiler() if asked.profile else None)
            size = size_of[asked.names[0]]
            found = leg(asked.work / asked.names[0], asked.names[1], size, clock)
    except Exception as error:  # noqa: BLE001 - whatever it is, the other legs go on
        traceback.print_exc()
        told = traceback.format_exc()[-1500:]
        found = {"error": f"{type(error).__name__}: {error}"[:500], "log": told}
    print(json.dumps(found), file=out, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
