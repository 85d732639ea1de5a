"""Tests of {alphabet, options, config}.py."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from elmo_components.config import CharCnnConfig, ElmoConfig, LstmConfig


@pytest.fixture
def options(tiny_folder: Path) -> dict[str, Any]:
    return json.loads((tiny_folder / "options.json").read_text())


def test_options_are_read_and_written_without_a_change(options: dict) -> None:
    assert ElmoConfig.from_options(options).to_options() == options


def test_how_a_model_was_trained_is_passed_over(options: dict) -> None:
    trained = {**options, "bidirectional": True, "n_epochs": 10, "batch_size": 128}
    assert ElmoConfig.from_options(trained) == ElmoConfig.from_options(options)


def test_what_bilm_tf_may_leave_out_is_read_as_none(options: dict) -> None:
    del options["char_cnn"]["n_highway"]
    for key in ("cell_clip", "proj_clip", "use_skip_connections"):
        del options["lstm"][key]
    config = ElmoConfig.from_options(options)
    assert config.char_cnn.num_highway_layers == 0
    assert config.lstm.cell_clip is None
    assert config.lstm.projection_clip is None
    assert config.lstm.skip_connections is False


def test_261_characters_are_read_as_262_with_a_warning(
    options: dict, caplog: pytest.LogCaptureFixture
) -> None:
    expected = ElmoConfig.from_options(options)
    options["char_cnn"]["n_characters"] = 261
    assert ElmoConfig.from_options(options) == expected
    assert "261" in caplog.text and "262" in caplog.text


def test_an_alphabet_adds_its_characters(options: dict) -> None:
    options["char_cnn"].update(alphabet="中\n国\n🙂\n", n_characters=265)
    config = ElmoConfig.from_options(options)
    assert (config.char_cnn.alphabet, config.char_cnn.num_characters) == ("中国🙂", 265)
    options["char_cnn"]["alphabet"] = "中国🙂"
    assert config.to_options() == options
    del options["char_cnn"]["n_characters"]
    assert ElmoConfig.from_options(options) == config


def test_261_is_no_slip_beside_an_alphabet(options: dict) -> None:
    options["char_cnn"].update(alphabet="中", n_characters=261)
    with pytest.raises(ValueError, match="must be 263; found 261"):
        ElmoConfig.from_options(options)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("char_cnn", None, "char_cnn must be an object; found None"),
        ("lstm", [], "lstm must be an object"),
        ("lstm.dim", "4096", "lstm.dim has the wrong type: '4096'"),
        ("lstm.n_layer", 2, "lstm.n_layer is not known (known: cell_clip, dim, n_layers"),
        ("char_cnn.n_characters", 260, "char_cnn.n_characters must be 262; found 260"),
        ("char_cnn.alphabet", "中国", "char_cnn.n_characters must be 264; found 262"),
        ("char_cnn.alphabet", "中国\n中", "must have each character once; found more of ['中']"),
        ("char_cnn.alphabet", "a\ud800", "must be text that UTF-8 can encode"),
        ("char_cnn.max_characters_per_token", 30, "max_characters_per_token must be 50; found 30"),
        ("char_cnn.filters", [[1, 2, 3]], "must hold pairs [width, number]; found [1, 2, 3]"),
        ("char_cnn.embedding", {}, "char_cnn.embedding.dim is missing"),
        ("char_cnn.activation", "gelu", "must be one of relu, tanh; found 'gelu'"),
        ("char_cnn.filters", [[51, 2]], "wider than a word's 50 characters"),
        ("lstm.n_layers", 0, "num_layers must be 1 or more; found 0"),
        ("lstm.cell_clip", -1, "cell_clip must be above 0"),
        ("bidirectional", False, "bidirectional is false"),
    ],
)
def test_bad_options_are_named(options: dict, path: str, value: Any, message: str) -> None:
    bad = copy.deepcopy(options)
    *sections, key = path.split(".")
    section = bad
    for name in sections:
        section = section[name]
    section[key] = value
    with pytest.raises(ValueError) as error:
        ElmoConfig.from_options(bad)
    assert message in str(error.value)


def test_all_that_is_wrong_is_listed_at_once(options: dict) -> None:
    del options["lstm"]["dim"]
    options["char_cnn"]["n_highways"] = 2
    with pytest.raises(ValueError, match=r"n_highways is not known.*lstm\.dim is missing"):
        ElmoConfig.from_options(options)


def test_options_that_are_no_object_are_an_error() -> None:
    with pytest.raises(ValueError, match="must be an object; found list"):
        ElmoConfig.from_options([])  # type: ignore[arg-type]


def test_a_config_is_checked_when_it_is_made() -> None:
    with pytest.raises(ValueError, match="num_highway_layers must be 0 or more"):
        CharCnnConfig(4, ((1, 2),), -1, "relu")
    with pytest.raises(ValueError, match="must have no white space"):
        CharCnnConfig(4, ((1, 2),), 1, "relu", "中 国")
    with pytest.raises(ValueError, match="hidden_size must be 1 or more"):
        LstmConfig(0, 1, 1, None, None, True)


def test_filters_given_as_lists_make_the_same_config(options: dict) -> None:
    config = ElmoConfig.from_options(options).char_cnn
    listed = CharCnnConfig(
        config.embedding_size,
        [list(pair) for pair in config.filters],  # type: ignore[arg-type, misc]
        config.num_highway_layers,
        config.activation,
    )
    assert listed == config and hash(listed) == hash(config)
