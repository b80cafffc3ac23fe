from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragd_tune.errors import DataError, UsageError
from ragd_tune.objectives import (
    Frame,
    Row,
    Rows,
    asked,
    before_stop,
    frame_of,
    learnt,
    parts,
    samples,
)
from ragd_tune.objectives.completion import TooLongError, shortened
from ragd_tune.objectives.samples import Samples
from ragd_tune.testing.samples import WORDS, causal_rows

ROW = {"prompt": "anchor apple\nbell or boat?", "completion": "bell", "system": "bird"}


def text(tokenizer: Any, ids: Any) -> str:
    return str(tokenizer.decode(list(ids)))


def test_a_row_is_written_by_the_chat_template_and_ends_with_the_end_of_a_turn(
    tokenizer: Any,
) -> None:
    made = frame_of(tokenizer, "auto").sample(ROW, max_length=512)
    assert text(tokenizer, made.ids[: made.start]) == (
        "<|im_start|>system\nbird<|im_end|>\n<|im_start|>user\nanchor apple\nbell or boat?"
        "<|im_end|>\n<|im_start|>assistant\n"
    )
    assert text(tokenizer, made.ids[made.start :]) == "bell<|im_end|>"
    assert made.learnt == 2


def test_without_a_template_a_row_is_text_and_ends_with_the_end_token(plain: Any) -> None:
    made = frame_of(plain, "auto").sample(ROW, max_length=512)
    assert text(plain, made.ids) == "bird\n\nanchor apple\nbell or boat?bell<|im_end|>"
    assert made.ids[-1] == plain.eos_token_id


def test_a_template_can_be_left_aside_and_a_missing_one_is_not_made_up(
    tokenizer: Any, plain: Any
) -> None:
    assert not frame_of(tokenizer, "no").chat
    with pytest.raises(UsageError, match="no chat template"):
        frame_of(plain, "yes")


def test_a_template_that_refuses_a_system_turn_gets_it_in_front_of_the_users(
    tokenizer: Any,
) -> None:
    strict = copy.deepcopy(tokenizer)
    refuse = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}"
    strict.chat_template = refuse + tokenizer.chat_template
    made = frame_of(strict, "auto").sample(ROW, max_length=512)
    assert "user\nbird\n\nanchor apple" in text(strict, made.ids)


def test_a_template_that_rewrites_history_ends_an_answer_with_the_end_token(tokenizer: Any) -> None:
    thinking = copy.deepcopy(tokenizer)
    thinking.chat_template = tokenizer.chat_template.replace(
        "<|im_start|>assistant\n{% endif %}", "<|im_start|>assistant\nhoney{% endif %}"
    )
    made = frame_of(thinking, "auto").sample(ROW, max_length=512)
    assert text(thinking, made.ids[made.start :]) == "bell<|im_end|>"


def test_a_tokenizer_that_adds_an_end_to_every_text_does_not_end_the_prompt(plain: Any) -> None:
    class Ending:
        chat_template, eos_token_id, is_fast = None, plain.eos_token_id, True

        def __call__(self, text: str, **options: Any) -> dict[str, Any]:
            told = dict(plain(text, **options))
            if options["add_special_tokens"]:
                told["input_ids"] = [*told["input_ids"], self.eos_token_id]
                told["offset_mapping"] = [*told["offset_mapping"], (0, 0)]
            return told

        def apply_chat_template(self, conversation: Any, **options: Any) -> str:
            raise NotImplementedError

    made = frame_of(Ending(), "auto").sample(ROW, max_length=512)
    assert list(made.ids).count(plain.eos_token_id) == 1


def least(frame: Frame, row: Row) -> int:
    """Return how many tokens a row takes when all that may be cut is cut."""
    found = frame.prompt(str(row["prompt"]), keep=row["keep"], room=0)  # type: ignore[arg-type]
    return len(found.ids) + frame.sample(row, max_length=10_000).learnt


@given(
    words=st.lists(st.sampled_from(WORDS), min_size=1, max_size=60),
    answer=st.lists(st.sampled_from(WORDS), min_size=1, max_size=6),
    at=st.integers(0, 59),
    length=st.integers(8, 90),
    chat=st.booleans(),
)
def test_no_cut_touches_the_answer_a_kept_part_or_the_template(
    tokenizer: Any, words: list[str], answer: list[str], at: int, length: int, *, chat: bool
) -> None:
    at = min(at, len(words) - 1)
    kept = " ".join(words[at : at + 5])
    row = {"prompt": " ".join(words), "completion": " ".join(answer), "keep": [kept]}
    frame = frame_of(tokenizer, chat)
    whole = frame.sample(row, max_length=10_000)
    needed = least(frame, row)
    if needed > length:
        with pytest.raises(TooLongError) as refused:
            frame.sample(row, max_length=length)
        assert refused.value.needed == needed
        return
    made = frame.sample(row, max_length=length)
    assert len(made.ids) == min(length, len(whole.ids))
    assert made.cut == len(whole.ids) - len(made.ids)
    assert made.ids[made.start :] == whole.ids[whole.start :]
    assert kept in text(tokenizer, made.ids[: made.start])
    if chat:
        assert text(tokenizer, made.ids).startswith("<|im_start|>user\n")
        assert "<|im_end|>\n<|im_start|>assistant\n" in text(tokenizer, made.ids)


def test_a_generation_tells_how_many_prompts_it_cuts_and_keeps_what_it_is_told(
    plain: Any, caplog: pytest.LogCaptureFixture
) -> None:
    frame = frame_of(plain, "no")
    short, long = "bell", " ".join(["garden forest anchor"] * 20)
    assert [text(plain, ids) for ids in asked(frame, [short], room=30)] == [short]
    assert not caplog.messages
    said = f"{long} letter {long}"
    made = asked(frame, [short, said, said], room=30, keep=[(), ("letter",), ()])
    assert [len(ids) for ids in made[1:]] == [30, 30]
    assert ["letter" in text(plain, ids) for ids in made] == [False, True, False]
    (told,) = caplog.messages
    assert told.startswith("2 of 3 prompts were cut in the middle")
    (last,) = asked(frame, [said], room=3, keep=[(said,)])
    assert text(plain, last) == " forest anchor"
    assert "1 of 1 prompts lost their beginning too" in caplog.messages[-1]


def test_a_part_to_keep_that_is_not_there_is_an_error_that_names_the_row(plain: Any) -> None:
    rows = Rows(objective="causal_lm", train=[ROW, {**ROW, "keep": ["lamp"]}])
    with pytest.raises(DataError, match=r"row 2 of train.*'lamp'"):
        samples(rows, frame_of(plain, "auto"), max_length=64, drop=False)


def test_the_longest_stretches_are_cut_first_and_in_their_middle() -> None:
    stays = [True, *[False] * 6, True, *[False] * 2, True]
    assert shortened(stays, 2) == [0, 1, 2, 5, 6, 7, 8, 9, 10]
    assert shortened(stays, 5) == [0, 1, 6, 7, 8, 10]
    assert shortened(stays, 99) == [0, 7, 10]


@given(st.lists(st.booleans(), max_size=40), st.integers(0, 60))
def test_as_many_tokens_go_as_have_to_and_can(stays: list[bool], surplus: int) -> None:
    left = shortened(stays, surplus)
    assert left == sorted(set(left))
    assert len(stays) - len(left) == min(surplus, stays.count(False))
    assert {place for place, stay in enumerate(stays) if stay} <= set(left)


def test_rows_that_cannot_be_shortened_are_refused_or_dropped_with_a_count(plain: Any) -> None:
    long = {"prompt": "bell", "completion": " ".join(WORDS)}
    rows = Rows(objective="causal_lm", train=[ROW, long, ROW], dev=[long])
    frame = frame_of(plain, "auto")
    with pytest.raises(DataError, match=r"2 of 4 rows.*row 2 of train") as refused:
        samples(rows, frame, max_length=24, drop=False)
    needed = int(refused.value.mend.split()[1])
    assert samples(rows, frame, max_length=needed, drop=False).dropped == 0
    made = samples(rows, frame, max_length=24, drop=True)
    assert (made.dropped, len(made.train), len(made.dev)) == (2, 2, 0)
    assert made.rows.train == [ROW, ROW]
    assert "2 rows" in made.note
    with pytest.raises(DataError, match="no training row fits"):
        samples(Rows(objective="causal_lm", train=[long]), frame, max_length=24, drop=True)


@pytest.fixture
def made(tokenizer: Any) -> Samples:
    return samples(causal_rows(), frame_of(tokenizer, "auto"), max_length=64, drop=False)


@pytest.mark.parametrize("size", [1, 3, 8])
def test_parts_hold_every_row_of_a_batch_once(made: Samples, size: int) -> None:
    batch = [9, 2, 4, 0, 7]
    found = parts(made.train, batch, size=size)
    assert sorted(index for part in found for index in part) == sorted(batch)
    assert max(map(len, found)) <= size
    lengths = [len(made.train[index].ids) for part in found for index in part]
    assert lengths == sorted(lengths, reverse=True)
    assert learnt(made.train, batch) == sum(made.train[index].learnt for index in batch)


def test_a_generation_ends_before_the_first_of_its_stop_texts() -> None:
    assert before_stop("bell book. candle", (".", "book")) == "bell "
    assert before_stop("bell", ("", "x")) == "bell"


@pytest.mark.parametrize("blank", ["", " ", "\n"])
def test_blank_texts_are_rows_like_others(tokenizer: Any, plain: Any, blank: str) -> None:
    for one in (tokenizer, plain):
        frame = frame_of(one, "auto")
        made = frame.sample({"prompt": blank, "completion": blank, "keep": [blank]}, max_length=64)
        assert made.start > 0
        assert made.ids[-1] == one.eos_token_id
