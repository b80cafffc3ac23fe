from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ragd_tune_cpu import attention

TEXTS, HEADS, TOKENS, WIDTH = 9, 4, 48, 16


def masks() -> dict[str, Tensor | None]:
    lengths = torch.arange(1, TEXTS + 1) * 5
    read = (torch.arange(TOKENS) < lengths[:, None])[:, None, None]
    near = (torch.arange(TOKENS)[:, None] - torch.arange(TOKENS)).abs() <= 6
    return {
        "none": None,
        "padding": read.expand(TEXTS, 1, TOKENS, TOKENS),
        "numbers": torch.zeros(TEXTS, 1, 1, TOKENS).masked_fill(~read, -1e9),
        "window": read & near | torch.eye(TOKENS, dtype=torch.bool),
        "one for all": near[None, None],
    }


@pytest.fixture
def tensors() -> list[Tensor]:
    torch.manual_seed(0)
    shape = (TEXTS, TOKENS, HEADS, WIDTH)  # as transformers has them: seen through a transpose
    made = [torch.randn(shape).to(torch.bfloat16).transpose(1, 2) for _ in range(4)]
    return [tensor.requires_grad_(True) for tensor in made]


@pytest.mark.parametrize("name", list(masks()))
def test_gradients_are_those_of_exact_attention_nearly_as_near_as_pytorchs(
    tensors: list[Tensor], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attention, "AT_ONCE", 4 * HEADS * TOKENS**2)  # 9 texts: 4, 4 and 1
    mask = masks()[name]
    *inputs, back = tensors

    def gradients(made: Tensor, goal: Tensor = back) -> tuple[Tensor, ...]:
        return torch.autograd.grad(made, inputs, goal)

    def plain(mask: Tensor | None, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask)

    ours = attention.Attention.apply(*inputs, mask, WIDTH**-0.5)  # type: ignore[no-untyped-call]
    small = mask if mask is None or mask.dtype == torch.bool else mask.to(torch.bfloat16)
    wide = mask if mask is None or mask.dtype == torch.bool else mask.double()
    exact = gradients(plain(wide, *(t.double() for t in inputs)), back.double())
    theirs = gradients(plain(small, *inputs))
    for own, other, true in zip(gradients(ours), theirs, exact, strict=True):
        error = (own.double() - true.double()).abs()
        allowed = (other.double() - true.double()).abs()
        # Scores pass through bfloat16 here, as in transformers' own eager attention.
        assert float(error.mean()) <= 4 * float(allowed.mean()) + 1e-4
        assert float(error.max()) <= 0.05


@pytest.mark.parametrize("architecture", ["bert", "modernbert"])
def test_a_training_in_bfloat16_attends_so_and_one_in_float32_does_not(
    lab: Any, architecture: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[torch.dtype] = []
    plain = attention.Attention.apply

    def note(query: Tensor, *rest: Any) -> Any:
        taken.append(query.dtype)
        return plain(query, *rest)  # type: ignore[no-untyped-call]

    monkeypatch.setattr(attention.Attention, "apply", note)
    base = lab.base(architecture)
    lab.train(lab.plan(base, max_steps=1, precision="bf16"))
    assert set(taken) == {torch.bfloat16}
    taken.clear()
    lab.train(lab.plan(base, max_steps=1, precision="fp32"))
    assert not taken
