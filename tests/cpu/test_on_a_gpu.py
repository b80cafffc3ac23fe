"""What a step leaves out on a GPU: waits, copies and second passes. Counted, for CI has no GPU."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from ragd_tune.objectives import Rows
from ragd_tune.plan import Event, TrainPlan
from ragd_tune_cpu import casts, loss, pieces, prepare

QUESTIONS = ["anchor " * (1 + i) for i in range(4)]
ANSWERS = ["castle desert " * (1 + i) for i in range(6)]
OTHERS = [ANSWERS[2], "harbor", ANSWERS[0]]

aten = torch.ops.aten
READ = aten._local_scalar_dense.default
COPY = aten._to_copy.default


class Calls(TorchDispatchMode):
    """How often each operation was called; ``READ`` is what waits for a GPU."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.of: Counter[Any] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.of[func] += 1
        return func(*args, **(kwargs or {}))


@pytest.fixture
def model(lab: Any) -> Any:
    return prepare.prepare(lab.plan(lab.base()), lab.rows).model


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the tensors count as a GPU's."""
    monkeypatch.setattr(pieces, "on_cpu", lambda features: False)


def columns(model: Any) -> list[dict[str, Any]]:
    return [model.preprocess(texts, task="document") for texts in (QUESTIONS, ANSWERS, OTHERS)]


def _gradients(model: Any) -> list[torch.Tensor]:
    model.zero_grad()
    queries, *passages = pieces.embed_columns(model, columns(model))
    (queries @ torch.cat(passages).T).square().sum().backward()
    return [p.grad.clone() for p in model.parameters() if p.grad is not None]


def test_nothing_is_computed_again_where_a_gpu_has_room_for_it(
    model: Any, passes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "KEPT", 0)
    _gradients(model)
    again = sum(passes)
    passes.clear()
    monkeypatch.setattr(pieces, "free", lambda device: 10**12)
    _gradients(model)
    assert 0 < sum(passes) == again / 2


@pytest.mark.usefixtures("elsewhere")
def test_a_gpu_with_little_left_computes_again_what_is_beyond_it(
    model: Any, passes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    queries = columns(model)[0]["input_ids"].numel() * pieces.per_token(model)
    monkeypatch.setattr(pieces, "KEPT", 0)
    monkeypatch.setattr(pieces, "free", lambda device: int(2 * queries / pieces.SHARE))
    _gradients(model)
    assert passes == [len(QUESTIONS), *[len(ANSWERS) + len(OTHERS)] * 2]


def test_texts_on_a_gpu_are_not_looked_into_and_have_the_same_vectors(
    model: Any, passes: list[int], request: pytest.FixtureRequest
) -> None:
    expected, looks, _ = _read(model, passes)
    request.getfixturevalue("elsewhere")
    made, none, sizes = _read(model, passes)
    assert looks > 0
    assert none == 0
    assert sizes == [len(QUESTIONS), len(ANSWERS) + len(OTHERS)]
    for vectors, others in zip(made, expected, strict=True):
        assert float((vectors - others).abs().max()) <= 1e-6


def _read(model: Any, passes: list[int]) -> tuple[list[torch.Tensor], int, list[int]]:
    """Return vectors, how often our own code looked into a tensor, and the texts of each pass."""
    given = columns(model)
    passes.clear()
    with torch.no_grad(), Calls() as calls:
        made = pieces.embed_columns(model, given)
    # transformers itself looks at the mask once a pass
    return made, calls.of[READ] - len(passes), list(passes)


@pytest.mark.usefixtures("elsewhere")
def test_a_step_waits_for_the_gpu_once_to_read_its_loss(
    lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes: list[int] = []
    run = pieces.Room._run

    def counted(room: pieces.Room, piece: dict[str, torch.Tensor]) -> torch.Tensor:
        passes.append(1)
        return run(room, piece)

    def plain(model: torch.nn.Module, plan: TrainPlan) -> torch.optim.Optimizer:
        return torch.optim.SGD([p for p in model.parameters() if p.requires_grad])

    seen: list[tuple[int, int]] = []

    def note(event: Event) -> None:
        if event.type == "step":
            seen.append((calls.of[READ], len(passes)))

    monkeypatch.setattr(pieces.Room, "_run", counted)
    # the fused AdamW of a CPU reads its own count of steps, and that of a GPU does not
    monkeypatch.setattr(prepare, "optimizer", plain)
    lab.rows = Rows(objective=lab.rows.objective, train=lab.rows.train, dev=[])
    with Calls() as calls:
        lab.train(lab.plan(lab.base()), note)
    waits = seen[4][0] - seen[2][0] - (seen[4][1] - seen[2][1])
    assert waits == 2, "one for each of two steps, and one of transformers' a pass"


def test_layers_share_a_copy_in_16_bits_and_compute_the_same(lab: Any) -> None:
    model: Any = prepare.prepare(lab.plan(lab.base(), precision="bf16"), lab.rows).model
    plan = lab.plan(lab.base(), precision="bf16")
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.1)

    def run() -> tuple[torch.Tensor, list[torch.Tensor], int]:
        model.zero_grad()
        with Calls() as calls:
            vectors = pieces.embed(model, columns(model)[1])
            vectors.square().sum(1).cumsum(0).sum().backward()
        given = [p.grad.clone() for p in model.parameters() if p.grad is not None]
        return vectors.detach(), given, calls.of[COPY]

    with loss.precision(model, plan):
        plain, expected, many = run()
        with casts.shared(model, "cpu"):
            made, found, few = run()
        again, _, before = run()
    assert torch.equal(made, plain)
    assert torch.equal(again, plain)
    assert few < 0.75 * many
    assert before == many
    for one, other in zip(found, expected, strict=True):
        assert torch.allclose(one, other, rtol=0.05, atol=0.02 * float(other.abs().max()))


def test_on_a_cpu_every_layer_casts_for_itself_as_before(lab: Any) -> None:
    plan = lab.plan(lab.base())
    model = prepare.prepare(plan, lab.rows).model
    with casts.fewer(model, plan):
        assert not any(module._forward_pre_hooks for module in model.modules())
