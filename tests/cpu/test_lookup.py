"""Gradients of the table of word vectors, summed in place."""

from __future__ import annotations

import copy

import torch

from ragd_tune_cpu import lookup

ROWS, WIDTH = lookup.FEWEST, 4


def tables(**settings: object) -> tuple[torch.nn.Embedding, torch.nn.Embedding]:
    """Return PyTorch's own and ours, with the same numbers."""
    torch.manual_seed(0)
    plain = torch.nn.Embedding(ROWS, WIDTH, **settings)  # type: ignore[arg-type]
    ours = copy.deepcopy(plain)
    lookup.use(ours)
    return plain, ours


def gradient(table: torch.nn.Embedding, pieces: list[torch.Tensor]) -> torch.Tensor:
    """Return the gradient that pieces leave one after another."""
    for number, ids in enumerate(pieces):
        made = table(ids)
        (made * (number + torch.arange(made.numel()).reshape(made.shape))).sum().backward()
    assert table.weight.grad is not None
    return table.weight.grad


PIECES = [torch.tensor([[5, 7, 5], [0, 1, 7]]), torch.tensor([[7, 0, 2, 2]])]


def test_the_gradient_is_pytorchs_own_over_several_pieces_and_repeated_words() -> None:
    plain, ours = tables()
    assert torch.equal(ours(PIECES[0]), plain(PIECES[0]))
    assert torch.allclose(gradient(ours, PIECES), gradient(plain, PIECES))


def test_the_row_of_padding_is_not_trained_where_the_table_has_one() -> None:
    plain, ours = tables(padding_idx=0)
    found = gradient(ours, PIECES)
    assert not found[0].any()
    assert torch.allclose(found, gradient(plain, PIECES))


def test_the_gradient_of_a_second_step_starts_anew() -> None:
    _, ours = tables()
    first = gradient(ours, PIECES).clone()
    ours.zero_grad(set_to_none=True)
    assert torch.allclose(gradient(ours, PIECES), first)


def test_a_table_that_is_frozen_small_or_special_is_left_alone() -> None:
    torch.manual_seed(0)
    frozen = torch.nn.Embedding(ROWS, WIDTH).requires_grad_(False)
    small = torch.nn.Embedding(ROWS - 1, WIDTH)
    scaled = torch.nn.Embedding(ROWS, WIDTH, scale_grad_by_freq=True)
    for table in (frozen, small, scaled):
        lookup.use(table)
        assert "forward" not in vars(table)


def test_a_model_that_was_trained_so_is_saved_and_copied_like_any_other() -> None:
    _, ours = tables()
    assert sorted(ours.state_dict()) == ["weight"]
    again = torch.nn.Embedding(ROWS, WIDTH)
    again.load_state_dict(ours.state_dict())
    assert torch.equal(again(PIECES[0]), ours(PIECES[0]))
