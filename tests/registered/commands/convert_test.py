"""Tests of registered/convert_command.py."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from allennlp.commands import main
from allennlp.commands.subcommand import Subcommand
from allennlp.common.checks import ConfigurationError
from allennlp.modules.elmo import Elmo as AllenNlpElmo
from allennlp.modules.elmo import batch_to_ids

import elmo_components.registered
from elmo_components.checkpoints import Checkpoint, load, names, save
from elmo_components.config import ElmoConfig
from elmo_components.elmo import Elmo
from elmo_components.registered.commands.convert import convert
from tests.checkpoints.allennlp.archive_test import (
    ALLENNLP,
    TEXT,
    archived,
    layers_of,
    stock,
    tagger,
)
from tests.closeness import assert_close

OURS, PUBLISHED = "model.safetensors", "published"


def command(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", ["allennlp", "elmo-convert", *map(str, arguments)])
    main("allennlp")


@pytest.fixture
def whole(tiny_folder: Path) -> Checkpoint:
    """The tiny model with a softmax and its words."""
    checkpoint = load(tiny_folder)
    softmax = {"softmax.weight": torch.randn(4, 8), "softmax.bias": torch.randn(4)}
    words = ("</S>", "<S>", "<UNK>", "caf\u00e9")
    return Checkpoint(checkpoint.config, {**checkpoint.tensors, **softmax}, words)


def contents_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def assert_same(found: Checkpoint, expected: Checkpoint) -> None:
    assert found.config == expected.config and found.vocabulary == expected.vocabulary
    assert found.tensors.keys() == expected.tensors.keys()
    for name, tensor in expected.tensors.items():
        assert torch.equal(found.tensors[name], tensor), name


@pytest.mark.parametrize("first", [OURS, PUBLISHED])
@pytest.mark.parametrize("second", ["other.safetensors", "other"])
def test_a_round_trip_gives_the_same_to_the_last_bit(
    tmp_path: Path, whole: Checkpoint, first: str, second: str
) -> None:
    save(whole, tmp_path / first)
    report = convert(str(tmp_path / first), tmp_path / second)
    assert report.endswith(f"with a softmax of 4 words, in {tmp_path / second}")
    assert_same(load(tmp_path / second, softmax=True), whole)
    convert(str(tmp_path / second), tmp_path / first, force=True)
    assert_same(load(tmp_path / first, softmax=True), whole)


@pytest.mark.parametrize("destination", [OURS, PUBLISHED])
def test_allennlps_own_elmo_is_taken_out_of_an_archive(
    tmp_path: Path, tiny_folder: Path, destination: str
) -> None:
    folder, model = archived(tmp_path, tagger({"elmo": stock(tmp_path, tiny_folder)}))
    convert(str(folder / "model.tar.gz"), tmp_path / destination)
    assert_same(load(tmp_path / destination), load(folder))
    found = Elmo.from_pretrained(tmp_path / destination).bilm(batch_to_ids(TEXT)).layers
    assert_close(found, layers_of(model))
    if destination == PUBLISHED:
        files = [str(tmp_path / PUBLISHED / name) for name in ("options.json", "weights.hdf5")]
        again = torch.stack(AllenNlpElmo(*files, 1)._elmo_lstm(batch_to_ids(TEXT))["activations"])
        assert_close(again, layers_of(model))


def test_the_command_takes_each_of_its_options(
    tmp_path: Path,
    tiny_folder: Path,
    whole: Checkpoint,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    save(whole, tmp_path / PUBLISHED)
    (tmp_path / PUBLISHED / "options.json").rename(tmp_path / "elsewhere.json")
    (tmp_path / OURS).touch()
    options = "--without-softmax", "--float16", "--force", "--options", tmp_path / "elsewhere.json"
    command(monkeypatch, tmp_path / PUBLISHED, tmp_path / OURS, *options)
    assert f"numbers, with no softmax, in {tmp_path / OURS}" in capsys.readouterr().out
    found = load(tmp_path / OURS, softmax=True)
    assert found.num_words == 0
    for name, tensor in found.tensors.items():
        assert torch.equal(tensor, whole.tensors[name].half().float()), name

    embedders = {name: stock(tmp_path, tiny_folder) for name in ("elmo", "other")}
    folder, _ = archived(tmp_path / "two", tagger(embedders))
    with pytest.raises(ConfigurationError, match=rf"must hold one biLM, .*{ALLENNLP}, "):
        command(monkeypatch, folder, tmp_path / "part")
    command(monkeypatch, folder, tmp_path / "part", "--part", ALLENNLP)
    assert load(tmp_path / "part").config == load(tiny_folder).config
    with pytest.raises(ConfigurationError, match=r"--part is for an AllenNLP archive; found"):
        command(monkeypatch, tiny_folder, tmp_path / "none", "--part", ALLENNLP)


def test_help_shows_an_example(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        command(monkeypatch, "--help")
    printed = capsys.readouterr().out
    assert "examples:\n  allennlp elmo-convert small elmo-small.safetensors --float16" in printed
    assert all(name in printed for name in names.PUBLISHED)


def with_alphabet(checkpoint: Checkpoint) -> Checkpoint:
    options: dict[str, Any] = checkpoint.config.to_options()
    options["char_cnn"].update(alphabet="\u4e2d\u56fd", n_characters=264)
    name = "char_cnn.character_embedding.weight"
    embedding = torch.cat([checkpoint.tensors[name], torch.randn(2, 4)])
    tensors = {**checkpoint.tensors, name: embedding}
    return Checkpoint(ElmoConfig.from_options(options), tensors)


def test_what_stock_readers_would_not_read_is_refused(tmp_path: Path, tiny_folder: Path) -> None:
    save(with_alphabet(load(tiny_folder)), tmp_path / OURS)
    message = r"can hold an alphabet of 2 characters; found .*bilm-tf and AllenNLP would read other"
    with pytest.raises(ConfigurationError, match=message):
        convert(str(tmp_path / OURS), tmp_path / PUBLISHED)
    assert not (tmp_path / PUBLISHED).exists()
    convert(str(tmp_path / OURS), tmp_path / "other.safetensors")
    assert_same(load(tmp_path / "other.safetensors"), load(tmp_path / OURS))


@pytest.mark.parametrize(
    ("name", "lost"),
    [
        ("characters", "an alphabet of [0-9]+ characters and words read by code points;"),
        ("words", "words read by code points and a table of [0-9]+ words;"),
    ],
)
def test_a_model_of_many_langs_is_written_in_its_own_format(
    tmp_path: Path, fixtures: Path, name: str, lost: str
) -> None:
    source = fixtures / "models" / "many_langs" / name
    convert(str(source), tmp_path / OURS)
    with pytest.raises(ConfigurationError, match=f"another --folder-format, can hold {lost}"):
        convert(str(tmp_path / OURS), tmp_path / "folder")
    assert not (tmp_path / "folder").exists()
    for _ in range(2):
        convert(str(tmp_path / OURS), tmp_path / "folder", folder_format="many_langs", force=True)
        assert_same(load(tmp_path / "folder"), load(source))
    with pytest.raises(ConfigurationError, match=r"token_embedder\.pkl, .* already; --force"):
        convert(str(tmp_path / OURS), tmp_path / "folder", folder_format="many_langs")


def test_what_many_langs_cannot_hold_is_refused(tmp_path: Path, whole: Checkpoint) -> None:
    save(whole, tmp_path / OURS)
    message = r"no such models: its words are read by bytes.*; its softmax would be lost"
    with pytest.raises(ConfigurationError, match=message):
        convert(str(tmp_path / OURS), tmp_path / "folder", folder_format="many_langs")
    assert not (tmp_path / "folder").exists()


def test_a_name_of_a_file_that_is_only_read_is_no_folder(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigurationError, match=r"or a folder; found .*\.hdf5 files are read here"
    ):
        convert("english", tmp_path / "weights.hdf5")
    assert not (tmp_path / "weights.hdf5").exists()


def test_nothing_is_replaced_without_force(tmp_path: Path, tiny_folder: Path) -> None:
    convert(str(tiny_folder), tmp_path / PUBLISHED)
    before = contents_of(tmp_path / PUBLISHED)
    with pytest.raises(ConfigurationError, match=r"options\.json, .* already; --force replaces it"):
        convert(str(tiny_folder), tmp_path / PUBLISHED)
    assert contents_of(tmp_path / PUBLISHED) == before
    with pytest.raises(ConfigurationError, match=r"must end in \.safetensors, since the others'"):
        convert(str(tiny_folder), tmp_path / "half", dtype=torch.float16)
    assert not (tmp_path / "half").exists()


def test_sources_that_cannot_be_read_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("text")
    (tmp_path / "options.json").write_text(json.dumps({"lstm": []}))
    for source, message in (
        ("smal", "no checkpoint at smal, nor .* 'english', 'small', 'medium'"),
        (str(tmp_path / "text"), "is of no known format"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            convert(source, tmp_path / OURS)
    with pytest.raises(ConfigurationError, match=r"options\.json cannot be used: .*must be an obj"):
        convert("small", tmp_path / OURS, options=str(tmp_path / "options.json"))
    assert not (tmp_path / OURS).exists()


def test_importing_the_package_registers_the_command() -> None:
    assert Subcommand.by_name("elmo-convert") is elmo_components.registered.ConvertCommand
