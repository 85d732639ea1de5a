"""Tests of report.py, problems.py and mixes.py."""

import json
import logging
import math
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import h5py
import numpy
import pytest
import torch

from elmo_components.checkpoints import Checkpoint, load, save
from elmo_components.config import ElmoConfig
from elmo_components.inspection.mixes import Mix, find_mixes
from elmo_components.inspection.report import inspect
from elmo_components.modules.bilm import BiLm
from tests.checkpoints.untrusted.hostile_models import archive_members, packed

NATIVE = "tiny.safetensors"


@pytest.fixture
def folder(tiny_folder: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model that a test may break."""
    return Path(shutil.copytree(tiny_folder, tmp_path / "model"))


def change_options(folder: Path, edit: Callable[[dict], object]) -> None:
    options = json.loads((folder / "options.json").read_text())
    edit(options)
    (folder / "options.json").write_text(json.dumps(options))


def change_weights(folder: Path, edit: Callable[[h5py.File], object]) -> None:
    with h5py.File(folder / "weights.hdf5", "r+") as file:
        edit(file)


@pytest.mark.parametrize(("name", "form"), [("tiny", "bilm_tf"), (NATIVE, "native")])
def test_a_whole_model_is_described_and_nothing_is_wrong(
    fixtures: Path, name: str, form: str
) -> None:
    found = inspect(fixtures / "models" / name)
    assert found.format == form and found.problems == () and found.remarks == ()
    assert found.sizes() == {
        "char_cnn.embedding_size": 4,
        "char_cnn.filters": ((1, 4), (2, 8), (3, 12)),
        "char_cnn.num_highway_layers": 2,
        "char_cnn.activation": "relu",
        "char_cnn.alphabet": "",
        "char_cnn.units": "bytes",
        "char_cnn.num_words": 0,
        "char_cnn.word_size": 0,
        "lstm.hidden_size": 8,
        "lstm.cell_size": 16,
        "lstm.num_layers": 2,
        "lstm.cell_clip": 0.75,
        "lstm.projection_clip": 0.5,
        "lstm.skip_connections": True,
    }
    # counted by hand from the sizes
    assert found.parameters == {
        "char_cnn.character_embedding": 262 * 4,
        "char_cnn.convolutions": 4 * (4 + 2 * 8 + 3 * 12) + 24,
        "char_cnn.highways": 2 * 2 * (24 * 24 + 24),
        "char_cnn.projection": 24 * 8 + 8,
        "lstm.forward_layers": 2 * (4 * 16 * (8 + 8 + 1) + 8 * 16),
        "lstm.backward_layers": 2 * (4 * 16 * (8 + 8 + 1) + 8 * 16),
    }
    assert found.megabytes == pytest.approx(4e-6 * found.num_parameters)
    assert (found.num_words, found.names_words, found.mixes) == (0, False, ())
    assert json.loads(json.dumps(found.to_json()))["config"]["lstm"]["cell_size"] == 16


def test_softmax_vocabulary_and_their_letters_are_counted(folder: Path, tmp_path: Path) -> None:
    checkpoint = load(folder)
    softmax = {"softmax.weight": torch.randn(4, 8), "softmax.bias": torch.randn(4)}
    tensors = {**checkpoint.tensors, **softmax}
    save(Checkpoint(checkpoint.config, tensors, ("a1", "дом", "中", "é.")), tmp_path / "words")
    found = inspect(tmp_path / "words")
    assert (found.num_words, found.names_words) == (4, True)
    assert found.parameters["softmax"] == 4 * 8 + 4
    assert found.scripts == {"CYRILLIC": 3, "LATIN": 2, "CJK": 1}
    save(Checkpoint(checkpoint.config, tensors), tmp_path / "rows")
    assert (inspect(tmp_path / "rows").num_words, inspect(tmp_path / "rows").names_words) == (
        4,
        False,
    )


def test_an_alphabet_shows_the_scripts(tmp_path: Path, tiny_config: ElmoConfig) -> None:
    config = replace(tiny_config, char_cnn=replace(tiny_config.char_cnn, alphabet="中国あя。"))
    save(Checkpoint(config, BiLm(config).state_dict()), tmp_path / NATIVE)
    assert inspect(tmp_path / NATIVE).scripts == {"CJK": 2, "HIRAGANA": 1, "CYRILLIC": 1}


@pytest.mark.parametrize(
    ("meta", "languages"),
    [
        ({"language": "Norwegian"}, ("Norwegian",)),
        (
            {"corpora": [{"language": "nob"}, {"language": "nno"}, {"language": "nob"}, {"id": 1}]},
            ("nob", "nno"),
        ),
        ([], ()),
        ({"corpora": 3, "language": 4}, ()),
    ],
)
def test_a_meta_file_names_the_languages(
    folder: Path, meta: object, languages: tuple[str, ...]
) -> None:
    (folder / "meta.json").write_text(json.dumps(meta))
    assert inspect(folder).languages == inspect(folder / "weights.hdf5").languages == languages


def test_a_broken_meta_file_is_a_remark(folder: Path) -> None:
    for text in ("{", "[" * 100_000):
        (folder / "meta.json").write_text(text)
        found = inspect(folder)
        assert len(found.remarks) == 1 and "meta.json is not JSON" in found.remarks[0]
        assert found.problems == ()


def test_261_characters_and_no_clipping_are_remarks(folder: Path) -> None:
    def edit(options: dict) -> None:
        options["char_cnn"]["n_characters"] = 261
        options["lstm"].update(cell_clip=None, proj_clip=0)

    change_options(folder, edit)
    found = inspect(folder)
    assert found.problems == () and len(found.remarks) == 2
    assert "n_characters is 261" in found.remarks[0]
    assert "lstm.cell_clip and lstm.projection_clip are absent" in found.remarks[1]
    # each thread has its own warnings, and the logger is as before
    with ThreadPoolExecutor(4) as threads:
        assert {len(each.remarks) for each in threads.map(inspect, [folder] * 8)} == {2}
    assert logging.getLogger("elmo_components").propagate


def test_options_that_disagree_and_what_is_missing_or_left_over_are_problems(folder: Path) -> None:
    def edit(file: h5py.File) -> None:
        del file["CNN_proj/b_proj"]
        file["more"] = numpy.zeros(3)

    change_options(folder, lambda options: options["lstm"].update(dim=12))
    change_weights(folder, edit)
    found = inspect(folder)
    assert found.format == "bilm_tf" and found.config is None
    (problem,) = found.problems
    for part in (
        "CNN_proj/b_proj is missing",
        "more is not a parameter",
        "not (16, 48)",
    ):
        assert part in problem


def test_dead_filters_and_weights_are_problems(folder: Path) -> None:
    def edit(file: h5py.File) -> None:
        for column in (2, 5):
            file["CNN/W_cnn_1"][..., column] = 0.0
        file["CNN_high_0/W_carry"][...] = 0.0
        # 0 is where biases start
        file["CNN_high_0/b_carry"][...] = 0.0

    change_weights(folder, edit)
    assert inspect(folder).problems == (
        "char_cnn.convolutions.1.weight has 2 dead filters, all zero: 2, 5",
        "char_cnn.highways.0.carry.weight is all zero",
    )


def test_another_file_is_a_problem_and_a_missing_one_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("text")
    found = inspect(tmp_path / "a.txt")
    assert found.format == "unknown" and "is of no known format" in found.problems[0]
    with pytest.raises(FileNotFoundError):
        inspect(tmp_path / "nowhere")


def test_mixes_of_both_kinds_are_found_by_name() -> None:
    tensors = {
        "embedder._elmo.scalar_mixes.0.weights": torch.tensor([0.0, math.log(2.0), 0.0]),
        "embedder._elmo.scalar_mixes.0.gamma": torch.tensor([1.5]),
        "other.scalar_mix_1.gamma": torch.tensor([0.5]),
        "other.scalar_mix_1.scalar_parameters.0": torch.tensor([math.log(3.0)]),
        "other.scalar_mix_1.scalar_parameters.1": torch.tensor([0.0]),
        # of another module
        "norm.gamma": torch.ones(4),
        "norm.beta": torch.ones(4),
        "weights": torch.ones(4),
    }
    first, second = find_mixes(tensors)
    assert (first.name, first.gamma) == ("embedder._elmo.scalar_mixes.0", 1.5)
    assert first.weights == pytest.approx((0.25, 0.5, 0.25))
    assert (second.name, second.gamma) == ("other.scalar_mix_1", 0.5)
    assert second.weights == pytest.approx((0.75, 0.25))
    assert find_mixes({}) == []


@pytest.mark.parametrize("legacy", [True, False])
def test_an_archives_mixes_are_read_with_its_bilm(tmp_path: Path, legacy: bool) -> None:
    archive = tmp_path / "model.tar.gz"
    archive.write_bytes(packed(archive_members(legacy=legacy)))
    found = inspect(archive)
    assert (found.format, found.problems) == ("allennlp_archive", ())
    place = "text_field_embedder.token_embedder_elmo._elmo.scalar_mixes.0"
    assert found.mixes == (Mix(place, 1.0, (0.5, 0.5)),)
    assert found.sizes()["lstm.hidden_size"] == 2


def test_a_model_of_code_points_is_described(fixtures: Path) -> None:
    found = inspect(fixtures / "models" / "many_langs" / "words_and_characters")
    assert (found.format, found.problems) == ("many_langs", ())
    assert found.sizes()["char_cnn.units"] == "code_points"
    assert found.sizes()["char_cnn.num_words"] > 1 and found.scripts
    words = inspect(fixtures / "models" / "many_langs" / "words")
    assert words.problems == () and words.parameters["char_cnn.character_embedding"] == 0
