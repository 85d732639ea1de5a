"""Tests ELMoForManyLangs' format, against what the elmoformanylangs package computes."""

import json
import runpy
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any, Optional

import numpy
import pytest
import torch

from elmo_components.checkpoints import (
    Checkpoint,
    CheckpointError,
    bilm_tf,
    identify,
    load,
    many_langs,
    save,
)
from elmo_components.checkpoints.many_langs.files import PACKAGED_NAMES, read_config
from elmo_components.elmo import Elmo
from tests.closeness import assert_close, assert_same

SCRIPT = runpy.run_path(
    str(Path(__file__).parents[3] / "fixtures" / "models" / "make_many_langs.py")
)
CHARACTERS, MODELS, SENTENCES = (SCRIPT[name] for name in ("CHARACTERS", "MODELS", "SENTENCES"))
FILES = ("config.json", "tiny.json", "char.dic", "word.dic", "encoder.pkl", "token_embedder.pkl")


@pytest.fixture(scope="session")
def models(fixtures: Path) -> Path:
    return fixtures / "models" / "many_langs"


@pytest.fixture
def folder(models: Path, tmp_path: Path) -> Path:
    """A copy to be broken."""
    return Path(shutil.copytree(models / "words_and_characters", tmp_path / "model"))


def zipped(folder: Path, path: Path, further: Optional[dict[str, bytes]] = None) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, file.name)
        for name, contents in (further or {}).items():
            archive.writestr(name, contents)
    return path


def edit(path: Path, **changes: Any) -> None:
    """Sets keys of a JSON file, "section__key" those within a section."""
    contents = json.loads(path.read_text())
    for key, value in changes.items():
        section, _, inner = key.rpartition("__")
        (contents[section] if section else contents)[inner] = value
    path.write_text(json.dumps(contents))


@pytest.mark.parametrize("name", MODELS)
def test_all_layers_are_the_original_packages(models: Path, name: str) -> None:
    expected = numpy.load(models / name / "expected.npz")
    elmo = Elmo.from_pretrained(models / name)
    for layers in ("all", "mean"):
        found = elmo.embed(SENTENCES, layers=layers)
        # again, out of the cache of words
        assert all(map(numpy.array_equal, found, elmo.embed(SENTENCES, layers=layers)))
        for number, vectors in enumerate(found):
            if layers == "all" or SENTENCES[number]:
                reference = expected[f"{layers}_{number}"]
                assert vectors.shape == reference.shape
                assert_close(vectors, reference)


@pytest.mark.parametrize("name", MODELS)
def test_the_script_makes_the_fixture(models: Path, tmp_path: Path, name: str) -> None:
    SCRIPT["make"](tmp_path)
    assert_same(load(tmp_path / name), load(models / name))


@pytest.mark.parametrize("name", MODELS)
def test_a_zip_holds_what_its_folder_holds(models: Path, tmp_path: Path, name: str) -> None:
    path = zipped(models / name, tmp_path / "179.zip", {"meta.json": b"{}", "README": b"x"})
    assert identify(path) is many_langs
    assert_same(load(path), load(models / name))
    assert [entry.name for entry in tmp_path.iterdir()] == ["179.zip"]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_other_floating_point_numbers_become_float32(folder: Path, dtype: torch.dtype) -> None:
    expected = load(folder)
    for path in folder.glob("*.pkl"):
        tensors = {name: tensor.to(dtype) for name, tensor in torch.load(path).items()}
        torch.save(tensors, path, _use_new_zipfile_serialization=False)
    found = load(folder)
    for name, tensor in expected.tensors.items():
        assert found.tensors[name].dtype == torch.float32
        torch.testing.assert_close(found.tensors[name], tensor, rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("name", PACKAGED_NAMES)
@pytest.mark.parametrize("directory", ["/home/a/configs/", "C:\\elmo\\"])
def test_a_configuration_that_is_not_there_is_the_packaged_one(
    folder: Path, name: str, directory: str
) -> None:
    edit(folder / "config.json", config_path=directory + name)
    config, characters = read_config(folder)
    assert (config.lstm.cell_size, config.lstm.hidden_size, config.num_layers) == (4096, 512, 3)
    assert (config.char_cnn.word_size, config.char_cnn.embedding_size) == (100, 50)
    assert config.char_cnn.num_filters == 2048 and config.char_cnn.num_highway_layers == 2
    assert characters[0] == "x" and len(characters) == len(CHARACTERS)
    # the fixture is smaller, and every tensor that does not fit is named
    message = r"projection\.weight is of shape \(4, 17\), not \(512, 2148\)"
    with pytest.raises(CheckpointError, match=message):
        load(folder)
    # what is there goes before
    shutil.copy(folder / "tiny.json", folder / name)
    assert load(folder).config.lstm.cell_size == 12


@pytest.mark.parametrize("name", MODELS)
def test_a_model_comes_back_in_the_original_form(models: Path, tmp_path: Path, name: str) -> None:
    checkpoint = load(models / name)
    many_langs.save(checkpoint, tmp_path / "new")
    assert_same(load(tmp_path / "new"), checkpoint)
    assert not [path for path in (tmp_path / "new").iterdir() if path.name.startswith(".")]
    # what torch reads by itself is what the original's package asks for
    for part in ("encoder.pkl", "token_embedder.pkl"):
        found, expected = (torch.load(path / part) for path in (tmp_path / "new", models / name))
        assert {key: value.shape for key, value in found.items()} == {
            key: value.shape for key, value in expected.items()
        }
        for key, value in expected.items():
            # the characters' order is our own where the special ones are among them
            if key != "char_emb_layer.embedding.weight":
                torch.testing.assert_close(found[key], value, rtol=2**-23, atol=2**-23)


def test_bilm_tfs_form_cannot_hold_it(models: Path, tmp_path: Path) -> None:
    message = r"alphabet of 17 code points and the table of 10 words would be lost"
    with pytest.raises(CheckpointError, match=message):
        save(load(models / "words_and_characters"), tmp_path / "new")
    with pytest.raises(CheckpointError, match=r"alphabet of 17 code points would be lost"):
        bilm_tf.save(load(models / "characters"), tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_what_it_cannot_hold_is_named(models: Path, tiny_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="its words are read by bytes, and there by code"):
        many_langs.save(load(tiny_folder), tmp_path / "new")
    checkpoint = load(models / "characters")
    softmax = {"softmax.weight": torch.zeros(3, 4), "softmax.bias": torch.zeros(3)}
    lstm = replace(checkpoint.config.lstm, skip_connections=False)
    config = replace(checkpoint.config, lstm=lstm)
    with pytest.raises(CheckpointError, match=r"no skip connections.*softmax would be lost"):
        many_langs.save(Checkpoint(config, {**checkpoint.tensors, **softmax}), tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"encoder__name": "lstm"}, "encoder.name must be 'elmo', as ELMo's; found 'lstm'"),
        ({"token_embedder__name": "lstm"}, "token_embedder.name must be 'cnn'.*found 'lstm'"),
        ({"encoder": []}, r"encoder must be an object; found \[\]"),
        ({"token_embedder": {"name": "cnn"}}, "token_embedder.word_dim is missing"),
        ({"token_embedder__max_characters_per_token": 30}, "per_token must be 50; found 30"),
        (
            {"encoder__dim": 4},
            "encoder.dim and encoder.projection_dim must be different; both .* 4",
        ),
        ({"encoder__n_layers": 3}, "forward_layer_2.input_linearity.weight is missing"),
        ({"encoder__n_layers": 1}, "forward_layer_1.input_linearity.weight is not a parameter"),
        ({"encoder__projection_dim": 10**12}, r"is of shape \(4, 17\), not \(1000000000000, 17\)"),
        ({"token_embedder__word_dim": 6}, r"is of shape \(10, 5\), not \(10, 6\)"),
        ({"token_embedder__word_dim": 0}, "word_emb_layer.embedding.weight is not a parameter"),
        ({"token_embedder__char_dim": 0}, "char_emb_layer.embedding.weight is not a parameter"),
    ],
)
def test_numbers_that_do_not_fit_are_named(folder: Path, changes: dict, message: str) -> None:
    edit(folder / "tiny.json", **changes)
    with pytest.raises(CheckpointError, match=message):
        load(folder)


@pytest.mark.parametrize(
    ("name", "contents", "message"),
    [
        ("config.json", b"{}", "config_path must be the path of a file; found None"),
        ("config.json", b'{"config_path": 5}', "config_path must be the path of a file; found 5"),
        (
            "config.json",
            b'{"config_path": "../../x.json"}',
            "config_path must name a file in .*found 'x.json'",
        ),
        ("config.json", b"[" * 100_000, "must be JSON: It is nested too deeply"),
        ("config.json", b"{", "config.json must be JSON"),
        ("config.json", b"[]", "config.json must be JSON: It must be an object; found list"),
        ("word.dic", b"<oov>\t0\n\xff\t1\n", "word.dic must be UTF-8"),
        ("word.dic", b"<oov>\t0\nb\tx\n", "its line 2 must be a key, a tab and a row of its own"),
        ("word.dic", b"<oov>\t0\nb\t1\nb\t2\n", "it must have each key once"),
        ("word.dic", b"<oov>\t0\nb\t2\n", "its rows must be from 0 to 1; found 2"),
        ("word.dic", b"a\t0\nb\t1\n", "it must have <oov>"),
        ("word.dic", b"<oov>\t0\n", r"is of shape \(10, 5\), not \(1, 5\)"),
        (
            "char.dic",
            b"<oov>\t0\nb\t1\n",
            "it must have <bos>; it must have <eos>; it must have <pad",
        ),
        ("encoder.pkl", b"PK\x03\x04", "encoder.pkl cannot be used: It is not a whole zip"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_broken_files_are_named(
    folder: Path, tmp_path: Path, name: str, contents: bytes, message: str
) -> None:
    (folder / name).write_bytes(contents)
    with pytest.raises(CheckpointError, match=message):
        load(folder)
    with pytest.raises(CheckpointError, match=message) as error:
        load(zipped(folder, tmp_path / "model.zip"))
    assert "model.zip" in str(error.value)


@pytest.mark.parametrize("name", FILES)
def test_missing_files_are_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    message = f"{name} is missing" if name != "tiny.json" else "found 'tiny.json'"
    with pytest.raises(CheckpointError, match=message):
        load(folder)


def test_longer_characters_are_named(folder: Path) -> None:
    text = (folder / "char.dic").read_text(encoding="utf-8")
    (folder / "char.dic").write_text(text.replace("T\t", "Th\t"), encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"char\.dic must have single characters; 'Th'"):
        load(folder)
