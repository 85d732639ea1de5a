"""Tests of convert.py."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from elmo_components.checkpoints import Checkpoint, load, save
from elmo_components.commands import convert as command
from elmo_components.commands.convert import convert
from elmo_components.config import ElmoConfig
from elmo_components.elmo import Elmo
from tests.checkpoints.allennlp.archive_test import ALLENNLP, archived, stock, tagger
from tests.closeness import assert_same
from tests.commands.running import run

OURS, PUBLISHED = "model.safetensors", "published"


@pytest.fixture
def whole(tiny_folder: Path) -> Checkpoint:
    """The tiny model with a softmax and its words."""
    checkpoint = load(tiny_folder)
    softmax = {"softmax.weight": torch.randn(4, 8), "softmax.bias": torch.randn(4)}
    words = ("</S>", "<S>", "<UNK>", "caf\u00e9")
    return Checkpoint(checkpoint.config, {**checkpoint.tensors, **softmax}, words)


def contents_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("first", [OURS, PUBLISHED])
@pytest.mark.parametrize("second", ["other.safetensors", "other"])
def test_a_round_trip_is_exact(tmp_path: Path, whole: Checkpoint, first: str, second: str) -> None:
    save(whole, tmp_path / first)
    report = convert(tmp_path / first, tmp_path / second)
    assert report.endswith(f"with a softmax of 4 words, in {tmp_path / second}")
    assert_same(load(tmp_path / second, softmax=True), whole)
    convert(tmp_path / second, tmp_path / first, force=True)
    assert_same(load(tmp_path / first, softmax=True), whole)


@pytest.mark.parametrize("destination", [OURS, PUBLISHED])
def test_the_softmax_is_left_out_on_request(
    tmp_path: Path, whole: Checkpoint, destination: str
) -> None:
    save(whole, tmp_path / "source.safetensors")
    for _ in range(2):
        convert(
            tmp_path / "source.safetensors", tmp_path / destination, with_softmax=False, force=True
        )
        found = load(tmp_path / destination, softmax=True)
        assert found.num_words == 0 and found.vocabulary is None
        # a vocabulary of before goes too
        convert(tmp_path / "source.safetensors", tmp_path / destination, force=True)


def test_the_command_takes_each_of_its_options(
    tmp_path: Path, tiny_folder: Path, whole: Checkpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    save(whole, tmp_path / PUBLISHED)
    (tmp_path / PUBLISHED / "options.json").rename(tmp_path / "elsewhere.json")
    (tmp_path / OURS).touch()
    options = "--without-softmax", "--float16", "--force", "--options", tmp_path / "elsewhere.json"
    run(command, tmp_path / PUBLISHED, tmp_path / OURS, *options)
    assert f"numbers, with no softmax, in {tmp_path / OURS}" in capsys.readouterr().out
    found = load(tmp_path / OURS, softmax=True)
    assert found.num_words == 0
    for name, tensor in found.tensors.items():
        assert torch.equal(tensor, whole.tensors[name].half().float()), name

    embedders = {name: stock(tmp_path, tiny_folder) for name in ("elmo", "other")}
    folder, _ = archived(tmp_path / "two", tagger(embedders))
    with pytest.raises(ValueError, match=ALLENNLP):
        run(command, folder, tmp_path / "part")
    run(command, folder, tmp_path / "part", "--part", ALLENNLP)
    assert load(tmp_path / "part").config == load(tiny_folder).config
    options = json.loads((tmp_path / "elsewhere.json").read_text())
    options["lstm"]["cell_clip"] = 0.125
    (tmp_path / "other.json").write_text(json.dumps(options))
    with pytest.raises(ValueError, match=r"lstm\.cell_clip is 0\.75 there, and 0\.125 is wanted"):
        run(
            command,
            folder,
            tmp_path / "no",
            "--part",
            ALLENNLP,
            "--options",
            tmp_path / "other.json",
        )
    with pytest.raises(ValueError, match=r"--part is for an AllenNLP archive; found"):
        run(command, tiny_folder, tmp_path / "none", "--part", ALLENNLP)


def with_alphabet(checkpoint: Checkpoint) -> Checkpoint:
    options: dict[str, Any] = checkpoint.config.to_options()
    options["char_cnn"].update(alphabet="\u4e2d\u56fd", n_characters=264)
    name = "char_cnn.character_embedding.weight"
    embedding = torch.cat([checkpoint.tensors[name], torch.randn(2, 4)])
    tensors = {**checkpoint.tensors, name: embedding}
    return Checkpoint(ElmoConfig.from_options(options), tensors)


def test_what_stock_readers_would_misread_is_refused(tmp_path: Path, tiny_folder: Path) -> None:
    save(with_alphabet(load(tiny_folder)), tmp_path / OURS)
    message = r"cannot hold alphabet of 2 characters: bilm-tf and AllenNLP would read other words"
    with pytest.raises(ValueError, match=message):
        convert(tmp_path / OURS, tmp_path / PUBLISHED)
    assert not (tmp_path / PUBLISHED).exists()
    convert(tmp_path / OURS, tmp_path / "other.safetensors")
    assert_same(load(tmp_path / "other.safetensors"), load(tmp_path / OURS))


@pytest.mark.parametrize(
    ("name", "lost"),
    [
        ("characters", "alphabet of [0-9]+ characters and words as code points:"),
        ("words", "words as code points and table of [0-9]+ words:"),
    ],
)
def test_a_model_of_many_langs_is_written_in_its_own_format(
    tmp_path: Path, fixtures: Path, name: str, lost: str
) -> None:
    source = fixtures / "models" / "many_langs" / name
    convert(source, tmp_path / OURS)
    with pytest.raises(ValueError, match=f"cannot hold {lost}.*another --folder-format"):
        convert(tmp_path / OURS, tmp_path / "folder")
    assert not (tmp_path / "folder").exists()
    for _ in range(2):
        convert(tmp_path / OURS, tmp_path / "folder", folder_format="many_langs", force=True)
        assert_same(load(tmp_path / "folder"), load(source))
    with pytest.raises(ValueError, match=r"already .*token_embedder\.pkl, .* Use --force"):
        convert(tmp_path / OURS, tmp_path / "folder", folder_format="many_langs")


def test_what_many_langs_cannot_hold_is_refused(tmp_path: Path, whole: Checkpoint) -> None:
    save(whole, tmp_path / OURS)
    with pytest.raises(ValueError, match="softmax"):
        convert(tmp_path / OURS, tmp_path / "folder", folder_format="many_langs")
    assert not (tmp_path / "folder").exists()


def test_nothing_is_replaced_without_force(tmp_path: Path, tiny_folder: Path) -> None:
    convert(tiny_folder, tmp_path / PUBLISHED)
    before = contents_of(tmp_path / PUBLISHED)
    with pytest.raises(
        ValueError, match=r"There is already .*options\.json, .* Use --force to replace it"
    ):
        convert(tiny_folder, tmp_path / PUBLISHED)
    assert contents_of(tmp_path / PUBLISHED) == before


def test_a_folder_with_other_weights_is_refused(tmp_path: Path, tiny_folder: Path) -> None:
    Elmo.from_pretrained(tiny_folder).save_pretrained(tmp_path / "mine")
    before = contents_of(tmp_path / "mine")
    message = r"has other weights, which may be read instead: model\.safetensors\. Give a new"
    with pytest.raises(ValueError, match=message):
        convert(tiny_folder, tmp_path / "mine", force=True)
    assert contents_of(tmp_path / "mine") == before


def test_vectors_in_a_training_folder_do_not_hide_its_model(
    tmp_path: Path, tiny_folder: Path
) -> None:
    model = tagger({"elmo": stock(tmp_path / "options", tiny_folder)})
    folder, _ = archived(tmp_path / "trained", model)
    expected = load(folder)
    (folder / "vectors.hdf5").touch()
    assert_same(load(folder), expected)


def test_destinations_that_cannot_be_written_are_errors(tmp_path: Path, tiny_folder: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / OURS).mkdir()
    for name, settings, message in (
        ("weights.hdf5", {}, r"or a folder; found .*\.hdf5 files can only be read"),
        ("half", {"dtype": torch.float16}, r"must end in \.safetensors; found .*half"),
        ("file", {}, "file, which is a file"),
        (OURS, {}, r"model\.safetensors, which is a folder"),
    ):
        with pytest.raises(ValueError, match=message):
            convert(tiny_folder, tmp_path / name, force=True, **settings)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", OURS]


def test_sources_that_cannot_be_read_are_errors(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("text")
    (tmp_path / "options.json").write_text(json.dumps({"lstm": []}))
    for source, message in (
        ("smal", "smal.*'english', 'german', 'chinese', 'small', 'medium'"),
        (tmp_path / "text", "text.*known format"),
    ):
        with pytest.raises((ValueError, FileNotFoundError), match=message):
            convert(source, tmp_path / OURS)
    with pytest.raises(FileNotFoundError, match=r"There is no file nowhere\.json"):
        convert("small", tmp_path / OURS, options="nowhere.json")
    with pytest.raises(ValueError, match=r"options\.json"):
        convert("small", tmp_path / OURS, options=str(tmp_path / "options.json"))
    assert not (tmp_path / OURS).exists()
