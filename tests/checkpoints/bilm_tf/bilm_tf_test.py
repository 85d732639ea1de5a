"""Tests the published format, whole and broken."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import _jsonnet
import h5py
import numpy
import pytest
import torch

from elmo_components.checkpoints import Checkpoint, CheckpointError, load, save
from elmo_components.config import CharCnnConfig, ElmoConfig, LstmConfig
from elmo_components.modules.bilm import BiLm
from tests.closeness import assert_same

CELL = "RNN_0/RNN/MultiRNNCell/Cell0/LSTMCell"


@pytest.fixture
def folder(tiny_folder: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model that a test may break."""
    return Path(shutil.copytree(tiny_folder, tmp_path / "model"))


def contents(path: Path) -> dict[str, numpy.ndarray]:
    arrays = {}
    with h5py.File(path, "r") as file:
        file.visititems(
            lambda name, item: arrays.update({name: item[...]}) if hasattr(item, "dtype") else None
        )
    return arrays


def change(folder: Path, edit: Callable[[h5py.File], object]) -> None:
    with h5py.File(folder / "weights.hdf5", "r+") as file:
        edit(file)


def refusal(path: Path) -> str:
    with pytest.raises(CheckpointError) as error:
        load(path)
    return str(error.value)


def test_a_file_written_again_is_the_same_to_the_last_bit(folder: Path, tmp_path: Path) -> None:
    save(load(folder), tmp_path / "again")
    first, again = (contents(path / "weights.hdf5") for path in (folder, tmp_path / "again"))
    assert first.keys() == again.keys()
    for name, array in first.items():
        assert array.dtype == again[name].dtype and array.tobytes() == again[name].tobytes()
    assert (folder / "options.json").read_text() == (
        tmp_path / "again" / "options.json"
    ).read_text()


@pytest.mark.parametrize("hidden_size", [5, 7, 9])
@pytest.mark.parametrize(
    ("num_layers", "highways", "softmax"), [(1, 0, True), (3, 2, True), (1, 2, False)]
)
def test_any_model_comes_back_to_the_last_bit(
    tmp_path: Path, num_layers: int, highways: int, hidden_size: int, softmax: bool
) -> None:
    # with 7 filters and a cell of 9, 7 leaves out one projection and 9 the other
    config = ElmoConfig(
        CharCnnConfig(3, ((1, 3), (2, 4)), highways, "tanh"),
        LstmConfig(hidden_size, 9, num_layers, None, None, False),
    )
    tensors = dict(BiLm(config).state_dict())
    for name, tensor in tensors.items():
        # values near 0 and near -1 are those that adding a forget bias would change
        tensors[name] = tensor + 1e-9 if "bias" in name else tensor
    if softmax:
        tensors["softmax.weight"] = torch.randn(11, hidden_size)
        tensors["softmax.bias"] = torch.randn(11)
    save(Checkpoint(config, tensors), tmp_path)
    again = load(tmp_path, softmax=True)
    assert again.config == config
    assert again.tensors.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert torch.equal(again.tensors[name], tensor), name


def test_gates_and_axes_are_turned_as_documented(folder: Path) -> None:
    tensors, arrays = load(folder).tensors, contents(folder / "weights.hdf5")
    cell, hidden = 16, 8
    packed, bias = arrays[f"{CELL}/W_0"], arrays[f"{CELL}/B"]
    # theirs i, g, f, o along the columns; ours i, f, g, o along the rows
    for ours, theirs in ((0, 0), (1, 2), (2, 1), (3, 3)):
        rows, columns = (
            slice(ours * cell, (ours + 1) * cell),
            slice(theirs * cell, (theirs + 1) * cell),
        )
        numpy.testing.assert_array_equal(
            tensors["lstm.forward_layers.0.input_weight"][rows].numpy(), packed[:hidden, columns].T
        )
        numpy.testing.assert_array_equal(
            tensors["lstm.forward_layers.0.recurrent_weight"][rows].numpy(),
            packed[hidden:, columns].T,
        )
        numpy.testing.assert_array_equal(
            tensors["lstm.forward_layers.0.bias"][rows].numpy(), bias[columns]
        )
    embedding = tensors["char_cnn.character_embedding.weight"]
    assert not embedding[0].any()
    numpy.testing.assert_array_equal(embedding[1:].numpy(), arrays["char_embed"])
    numpy.testing.assert_array_equal(
        tensors["char_cnn.convolutions.2.weight"][5, 1].numpy(), arrays["CNN/W_cnn_2"][0, :, 1, 5]
    )
    numpy.testing.assert_array_equal(
        tensors["char_cnn.highways.1.carry.weight"].numpy(), arrays["CNN_high_1/W_carry"].T
    )


def test_one_layer_is_read_as_tensorflow_names_it_too(tmp_path: Path, tiny_folder: Path) -> None:
    config = load(tiny_folder).config
    config = replace(config, lstm=replace(config.lstm, num_layers=1))
    save(Checkpoint(config, BiLm(config).state_dict()), tmp_path)
    expected = load(tmp_path).tensors

    def flatten(file: h5py.File) -> None:
        for direction in ("RNN_0", "RNN_1"):
            group = file[f"{direction}/RNN"]
            group.move("MultiRNNCell/Cell0/LSTMCell", "LSTMCell")
            del group["MultiRNNCell"]

    change(tmp_path, flatten)
    found = load(tmp_path).tensors
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_options_are_found_beside_the_weights_under_their_published_names(folder: Path) -> None:
    expected = load(folder)
    (folder / "options.json").rename(folder / "elmo_small_options.json")
    (folder / "weights.hdf5").rename(folder / "elmo_small_weights.hdf5")
    for path in (folder, folder / "elmo_small_weights.hdf5"):
        assert load(path).config == expected.config


def test_every_disagreement_of_options_and_weights_is_named(folder: Path) -> None:
    options = json.loads((folder / "options.json").read_text())
    options["char_cnn"]["embedding"]["dim"] = 5
    options["char_cnn"]["n_highway"] = 1
    (folder / "options.json").write_text(json.dumps(options))
    message = refusal(folder)
    for problem in (
        "char_embed is of shape (261, 4), not (261, 5)",
        "CNN/W_cnn_1 is of shape (1, 2, 4, 8), not (1, 2, 5, 8)",
        "CNN_high_1 is not a parameter",
    ):
        assert problem in message


def test_weights_that_are_not_finite_are_named(folder: Path) -> None:
    def spoil(file: h5py.File) -> None:
        file[f"{CELL}/B"][3] = numpy.nan
        file["CNN_proj/b_proj"][0] = numpy.inf

    change(folder, spoil)
    message = refusal(folder)
    assert f"{CELL}/B has values that are not finite" in message
    assert "CNN_proj/b_proj has values that are not finite" in message


def test_missing_options_are_an_error(folder: Path) -> None:
    (folder / "options.json").unlink()
    assert "must have one *options*.json" in refusal(folder)


def test_several_weights_are_an_error(folder: Path) -> None:
    shutil.copy(folder / "weights.hdf5", folder / "other.hdf5")
    message = refusal(folder)
    assert "must hold one *.hdf5 file of weights; found other.hdf5, weights.hdf5" in message


def with_softmax(folder: Path, num_words: int = 7) -> Checkpoint:
    """Returns the model in a folder with a softmax of words."""
    checkpoint = load(folder)
    softmax = {
        "softmax.weight": torch.randn(num_words, 8),
        "softmax.bias": torch.randn(num_words),
    }
    words = ("</S>", "<S>", "<UNK>", "the", "caf\u00e9", "\u65e5\u672c", "10\u00a0000")[:num_words]
    return Checkpoint(checkpoint.config, {**checkpoint.tensors, **softmax}, words)


def test_softmax_and_vocabulary_come_back_on_request(folder: Path, tmp_path: Path) -> None:
    checkpoint = with_softmax(folder)
    save(checkpoint, tmp_path / "again")
    assert (tmp_path / "again" / "vocab.txt").read_bytes().decode() == (
        "</S>\n<S>\n<UNK>\nthe\ncaf\u00e9\n\u65e5\u672c\n10\u00a0000\n"
    )
    assert json.loads((tmp_path / "again" / "options.json").read_text())["n_tokens_vocab"] == 7
    for path in (tmp_path / "again", tmp_path / "again" / "weights.hdf5"):
        assert_same(load(path, softmax=True), checkpoint)
        assert_same(load(path), load(folder))


def test_a_published_softmax_is_read_from_its_own_file(folder: Path) -> None:
    checkpoint = with_softmax(folder)
    published = "elmo_2x4096_512_2048cnn_2xhighway"
    (folder / "options.json").rename(folder / f"{published}_options.json")
    (folder / "weights.hdf5").rename(folder / f"{published}_weights.hdf5")
    with h5py.File(folder / f"{published}_softmax_weights.hdf5", "w") as file:
        file["softmax/W"] = checkpoint.tensors["softmax.weight"].numpy()
        file["softmax/b"] = checkpoint.tensors["softmax.bias"].numpy()
    # bilm-tf reads neither white space around a word nor this line
    text = "\r\n".join([*checkpoint.vocabulary[:3], "!!!MAXTERMID", *checkpoint.vocabulary[3:]])
    (folder / "vocab-2016-09-10.txt").write_bytes(text.encode())
    for path in (folder, folder / f"{published}_weights.hdf5"):
        assert_same(load(path, softmax=True), checkpoint)
        assert load(path).vocabulary is None and load(path).num_words == 0


def test_a_softmax_of_other_weights_is_not_taken(folder: Path) -> None:
    with h5py.File(folder / "other_softmax_weights.hdf5", "w") as file:
        file["softmax/W"] = numpy.zeros((3, 8), dtype=numpy.float32)
        file["softmax/b"] = numpy.zeros(3, dtype=numpy.float32)
    assert load(folder, softmax=True).num_words == 0


def test_a_broken_softmax_matters_only_where_it_is_asked_for(folder: Path) -> None:
    path = folder / "softmax_weights.hdf5"
    with h5py.File(path, "w") as file:
        file["softmax/W"] = numpy.zeros((3, 9), dtype=numpy.float32)
    message = r"weights\.hdf5 cannot be used: softmax/b is missing; softmax/W is of shape \(3, 9\)"
    with pytest.raises(CheckpointError, match=message):
        load(folder, softmax=True)
    path.write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"softmax_weights\.hdf5 is not a whole HDF5 file"):
        load(folder, softmax=True)
    assert load(folder).num_words == 0
    change(folder, lambda file: file.create_dataset("softmax/b", data=numpy.zeros(3)))
    path.unlink()
    assert load(folder).num_words == 0
    with pytest.raises(CheckpointError, match="softmax/b is not a parameter"):
        load(folder, softmax=True)


def test_a_vocabulary_of_another_size_is_an_error(folder: Path) -> None:
    save(with_softmax(folder), folder)
    (folder / "vocab.txt").write_text("</S>\n<S>\n<UNK>\n")
    message = r"vocab\.txt must have a word for each of the softmax's 7 rows; found 3"
    with pytest.raises(CheckpointError, match=message):
        load(folder, softmax=True)
    assert load(folder).vocabulary is None


def test_a_model_without_vocabulary_does_not_keep_the_one_before(folder: Path) -> None:
    checkpoint = with_softmax(folder)
    save(checkpoint, folder)
    save(replace(checkpoint, vocabulary=None), folder)
    assert not (folder / "vocab.txt").exists()
    assert_same(load(folder, softmax=True), replace(checkpoint, vocabulary=None))


@pytest.mark.parametrize("name", ["model.hdf5", "model.safetensors", "softmax_weights.hdf5"])
def test_a_folder_with_other_weights_is_refused(folder: Path, name: str) -> None:
    checkpoint = with_softmax(folder)
    (folder / name).touch()
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(CheckpointError, match=f"other weights, which may be read instead: {name}"):
        save(checkpoint, folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize("name", ["vocab.txt.gz", "vocab-2016-09-10.txt"])
def test_another_vocabulary_is_refused_only_where_it_would_be_read(folder: Path, name: str) -> None:
    checkpoint = with_softmax(folder)
    (folder / name).touch()
    with pytest.raises(CheckpointError, match=f"another vocabulary, .* with the softmax: {name}"):
        save(replace(checkpoint, vocabulary=None), folder)
    save(checkpoint.without_softmax(), folder)
    save(checkpoint, folder)
    assert_same(load(folder, softmax=True), checkpoint)


def test_compressed_numbers_are_refused(folder: Path) -> None:
    with h5py.File(folder / "weights.hdf5", "a") as file:
        numbers = file["char_embed"][...]
        del file["char_embed"]
        file.create_dataset("char_embed", data=numbers, chunks=numbers.shape, compression="gzip")
    with pytest.raises(CheckpointError, match="char_embed must not be compressed"):
        load(folder)


def test_a_vocabulary_that_lines_cannot_hold_leaves_what_was_there(folder: Path) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    checkpoint = with_softmax(folder, 3)
    words = ("fine", " not", "!!!MAXTERMID")
    with pytest.raises(CheckpointError, match=r"vocab\.txt cannot hold ' not'; '!!!MAXTERMID'"):
        save(replace(checkpoint, vocabulary=words), folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_a_model_of_another_dtype_is_written_as_float32(folder: Path, dtype: torch.dtype) -> None:
    checkpoint = load(folder)
    tensors = {name: tensor.to(dtype) for name, tensor in checkpoint.tensors.items()}
    save(Checkpoint(checkpoint.config, tensors), folder)
    for name, tensor in load(folder).tensors.items():
        assert torch.equal(tensor, tensors[name].float()), name


def test_the_published_format_is_float32(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"must hold torch\.float32; found torch\.float16"):
        save(load(folder), folder, dtype=torch.float16)


def with_alphabet(folder: Path, alphabet: str) -> Checkpoint:
    config = load(folder).config
    config = replace(config, char_cnn=replace(config.char_cnn, alphabet=alphabet))
    return Checkpoint(config, BiLm(config).state_dict())


def test_an_alphabet_comes_back_and_has_rows_after_the_bytes(folder: Path, tmp_path: Path) -> None:
    checkpoint = with_alphabet(folder, "🙂中国")
    save(checkpoint, tmp_path)
    assert_same(load(tmp_path), checkpoint)
    text = (tmp_path / "options.json").read_text(encoding="utf-8")
    assert '"alphabet": "🙂中国"' in text and '"n_characters": 265' in text
    # one fewer than here, where the mask has the first
    assert contents(tmp_path / "weights.hdf5")["char_embed"].shape[0] == 264
    # Jsonnet reads it as it stands, for a configuration's `architecture`
    assert json.loads(_jsonnet.evaluate_file(str(tmp_path / "options.json"))) == json.loads(text)
