"""An option is declared once: its range, its sources, its messages."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragd_tune import config
from ragd_tune.errors import UsageError
from ragd_tune.options import CHOICES, CONTRASTIVE, LORA, RUN, Option, Value, with_defaults

BY_NAME = {option.name: option for option in (*CHOICES, *RUN, *LORA, *CONTRASTIVE)}


@pytest.mark.parametrize("option", BY_NAME.values(), ids=list(BY_NAME))
def test_every_default_is_in_its_own_range(option: Option) -> None:
    if option.default is not None:
        assert option.parse(option.default, where="default") == option.default
    else:
        assert option.optional


@pytest.mark.parametrize("name", BY_NAME)
def test_no_two_options_share_a_name_a_flag_or_a_variable(name: str) -> None:
    twins = [o for o in (*CHOICES, *RUN, *LORA, *CONTRASTIVE) if o.name == name]
    assert len(twins) == 1


@pytest.mark.parametrize(
    ("name", "raw", "value"),
    [
        ("learning_rate", "2e-5", 2e-5),
        ("learning_rate", 0.001, 0.001),
        ("batch_size", "16", 16),
        ("batch_size", 16.0, 16),
        ("matryoshka_dims", "256, 128,64", (256, 128, 64)),
        ("matryoshka_dims", [256, 64], (256, 64)),
        ("lora_targets", "query,value", ("query", "value")),
        ("minutes", "", None),
        ("query_prompt", None, None),
        ("query_prompt", "", ""),
        ("schedule", "cosine", "cosine"),
    ],
)
def test_a_value_is_read_from_text_and_from_yaml(name: str, raw: object, value: Value) -> None:
    assert BY_NAME[name].parse(raw, where="x") == value


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("learning_rate", "1"),
        ("learning_rate", "fast"),
        ("learning_rate", "nan"),
        ("learning_rate", True),
        ("learning_rate", None),
        ("learning_rate", 0),
        ("batch_size", "1"),
        ("batch_size", "16.5"),
        ("batch_size", 16.5),
        ("epochs", "-1"),
        ("epochs", "inf"),
        ("warmup", "1.5"),
        ("schedule", "zigzag"),
        ("matryoshka_dims", "256,0"),
        ("matryoshka_dims", "256,many"),
        ("lora_targets", [1, 2]),
        ("lora_rank", "0"),
        ("seed", "-1"),
        ("temperature", "0"),
        ("blend", "0"),
        ("blend", "1.5"),
        ("blend", "half"),
    ],
)
def test_a_bad_value_is_refused_with_its_place_and_the_range(name: str, raw: object) -> None:
    with pytest.raises(UsageError) as caught:
        BY_NAME[name].parse(raw, where="file.yaml:3")
    assert caught.value.message.startswith(f"file.yaml:3: {name} cannot be ")
    assert BY_NAME[name].range in caught.value.mend
    assert caught.value.exit_code == 2


@given(
    st.one_of(
        st.none(), st.text(), st.integers(), st.floats(), st.lists(st.integers()), st.booleans()
    )
)
def test_whatever_is_given_is_a_value_or_a_usage_error(raw: object) -> None:
    for option in BY_NAME.values():
        try:
            option.parse(raw, where="x")
        except UsageError:
            continue


def test_a_kind_cannot_set_a_default_of_an_option_that_does_not_exist() -> None:
    assert with_defaults(RUN, {"epochs": 3.0})[0].default == 3.0
    with pytest.raises(ValueError, match="epoch"):
        with_defaults(RUN, {"epoch": 3.0})


def test_the_strongest_source_wins_and_says_so(tmp_path: Path) -> None:
    ragd, mine = tmp_path / "ragd.yaml", tmp_path / "mine.yaml"
    ragd.write_text("training:\n  embedding_epochs: 2\n  lora_rank: 4\n  embedding_batch_size: 8\n")
    mine.write_text("epochs: 3\nbi-encoder:\n  lora_rank: 6\n")
    options = [BY_NAME[name] for name in ("epochs", "lora_rank", "batch_size", "seed", "warmup")]
    settled = config.settle(
        options,
        [
            config.flags({"seed": "9", "epochs": None}),
            config.environment(options, {"RAGD_TUNE_LORA_RANK": "7"}),
            config.config_file(mine, BY_NAME, ["bi-encoder", "raft"], "bi-encoder"),
            config.ragd_file(ragd, serves="embedder"),
            config.kind_defaults({"warmup": 0.2, "batch_size": 64}),
        ],
    )
    told = {name: (one.value, one.source, one.where) for name, one in settled.items()}
    assert told == {
        "epochs": (3.0, "config", f"{mine}:1"),
        "lora_rank": (7, "environment", "$RAGD_TUNE_LORA_RANK"),
        "batch_size": (8, "ragd", f"{ragd}:4"),
        "seed": (9, "flag", "--seed"),
        "warmup": (0.2, "kind", "the kind's default"),
    }


def test_a_section_of_another_kind_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("raft:\n  epochs: 9\n")
    assert not config.config_file(path, BY_NAME, ["bi-encoder", "raft"], "bi-encoder").values


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epochz: 3\n", r"c.yaml:1: there is no option 'epochz'"),
        ("epochs: 1\nepochs: 2\n", r"c.yaml:2: 'epochs' is there twice"),
        ("- epochs\n", r"c.yaml:1: expected `option: value` lines"),
        ("epochs: [1\n", r"c.yaml:\d: is not YAML"),
        ("bi-encoder:\n  lora_rnk: 3\n", r"c.yaml:2: there is no option 'lora_rnk'"),
        ("epochs: !!python/object:os.system x\n", r"c.yaml:1: cannot be read"),
    ],
)
def test_a_bad_file_is_refused_with_file_and_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(UsageError, match=message):
        config.config_file(path, BY_NAME, ["bi-encoder"], "bi-encoder")


def test_a_slip_of_the_pen_gets_the_near_option_as_a_hint(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("lerning_rate: 3\n")
    with pytest.raises(UsageError, match="did you mean learning_rate"):
        config.config_file(path, BY_NAME, [], "bi-encoder")


def test_a_missing_file_of_ragd_gives_nothing_and_a_missing_config_is_an_error(
    tmp_path: Path,
) -> None:
    assert not config.ragd_file(tmp_path / "no.yaml", serves="embedder").values
    with pytest.raises(UsageError, match=r"no\.yaml: cannot be read"):
        config.config_file(tmp_path / "no.yaml", BY_NAME, [], "bi-encoder")


def test_ragds_block_reads_the_keys_of_the_model_that_is_trained(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(
        "training:\n  embedding_epochs: 2\n  training_epochs: 5\n  llm_backend: mlx\n"
        "  matryoshka_dims: [384, 128]\n  hard_negatives_per_query: 4\n"
        "  lora_rank: 8\nother: {a: 1}\n"
    )
    embedder = config.ragd_file(path, serves="embedder").values
    assert {name: raw for name, (raw, _) in embedder.items()} == {
        "epochs": 2,
        "matryoshka_dims": [384, 128],
        "negatives": 4,
        "lora_rank": 8,
    }
    generator = config.ragd_file(path, serves="generator").values
    told = {name: raw for name, (raw, _) in generator.items()}
    assert told == {"epochs": 5, "backend": "mlx", "lora_rank": 8}
    reranker = config.ragd_file(path, serves="reranker").values
    assert {name: raw for name, (raw, _) in reranker.items()} == {"lora_rank": 8}


@pytest.mark.parametrize(
    ("raw", "seconds"), [("90s", 90), ("5m", 300), (" 1.5H ", 5400), ("0.5 m", 30)]
)
def test_a_duration_is_read_with_its_unit_as_seconds(raw: str, seconds: float) -> None:
    budget = next(one for one in RUN if one.name == "budget")
    assert budget.parse(raw, where="--budget") == seconds


@pytest.mark.parametrize("raw", ["5", 300, 5.0, "0s", "-5m", "5 minutes", "m", "1h30m", True])
def test_a_duration_without_one_unit_is_refused(raw: object) -> None:
    budget = next(one for one in RUN if one.name == "budget")
    with pytest.raises(UsageError, match="budget cannot be") as caught:
        budget.parse(raw, where="--budget")
    assert "90s, 5m or 1h" in caught.value.mend


def test_an_empty_variable_sets_nothing_even_where_an_empty_text_is_a_value() -> None:
    prompt = BY_NAME["query_prompt"]
    assert prompt.blank
    assert config.environment([prompt], {"RAGD_TUNE_QUERY_PROMPT": ""}).values == {}
    found = config.environment([prompt], {"RAGD_TUNE_QUERY_PROMPT": "q: "}).values
    assert found["query_prompt"] == ("q: ", "$RAGD_TUNE_QUERY_PROMPT")
