"""Tests of inspection.py, mixes.py, neighbours.py and pictures.py."""

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import numpy
import pytest
import torch

from elmo_components.checkpoints import Checkpoint, load, save
from elmo_components.checkpoints.parameters import parameter_shapes
from elmo_components.config import CharCnnConfig, ElmoConfig, LstmConfig
from elmo_components.elmo import Elmo
from elmo_components.inspection.mixes import Mix, find_mixes
from elmo_components.inspection.pictures import draw_mixes, draw_words
from elmo_components.inspection.report import inspect
from elmo_components.inspection.word_uses import (
    Occurrence,
    find_occurrences,
    nearest,
    planar,
    word_vectors,
)
from elmo_components.modules.bilm import BiLm
from tests.checkpoints.untrusted.hostile_models import archive_members, packed
from tests.closeness import assert_close

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


@pytest.mark.parametrize("num_layers", [1, 3])
@pytest.mark.parametrize("highways", [0, 2])
@pytest.mark.parametrize("hidden_size", [5, 7, 9])
@pytest.mark.parametrize("alphabet", ["", "中国"])
def test_the_shapes_of_a_config_are_those_of_its_modules(
    num_layers: int, highways: int, hidden_size: int, alphabet: str
) -> None:
    # with 7 filters and a cell of 9, 7 leaves out one projection and 9 the other
    config = ElmoConfig(
        CharCnnConfig(3, ((1, 3), (2, 4)), highways, "tanh", alphabet),
        LstmConfig(hidden_size, 9, num_layers, None, None, False),
    )
    assert parameter_shapes(config) == {
        name: tuple(tensor.shape) for name, tensor in BiLm(config).state_dict().items()
    }


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


def test_an_alphabet_tells_the_scripts(tmp_path: Path, tiny_config: ElmoConfig) -> None:
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
def test_a_meta_file_tells_the_languages(
    folder: Path, meta: object, languages: tuple[str, ...]
) -> None:
    (folder / "meta.json").write_text(json.dumps(meta))
    assert inspect(folder).languages == inspect(folder / "weights.hdf5").languages == languages


def test_a_broken_meta_file_is_a_remark(folder: Path) -> None:
    for text in ("{", "[" * 100_000):
        (folder / "meta.json").write_text(text)
        found = inspect(folder)
        assert len(found.remarks) == 1 and "meta.json is no JSON" in found.remarks[0]
        assert found.problems == ()


def test_261_characters_and_no_clipping_are_remarks(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def edit(options: dict) -> None:
        options["char_cnn"]["n_characters"] = 261
        options["lstm"].update(cell_clip=None, proj_clip=0)

    change_options(folder, edit)
    found = inspect(folder)
    assert found.problems == () and len(found.remarks) == 2
    assert "n_characters is 261" in found.remarks[0]
    assert "lstm.cell_clip and lstm.projection_clip are absent" in found.remarks[1]
    # said once, in what is returned
    assert caplog.records == []


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


def test_our_own_format_is_held_to_its_numbers(fixtures: Path, tmp_path: Path) -> None:
    checkpoint = load(fixtures / "models" / NATIVE)
    tensors = dict(checkpoint.tensors)
    del tensors["char_cnn.projection.bias"]
    tensors["more"] = torch.zeros(3)
    tensors["lstm.forward_layers.0.bias"] = torch.zeros(63)
    save_unchecked(Checkpoint(checkpoint.config, tensors), tmp_path / NATIVE)
    (problem,) = inspect(tmp_path / NATIVE).problems
    for part in (
        "char_cnn.projection.bias is missing",
        "more is not a parameter",
        "lstm.forward_layers.0.bias is of shape (63,), not (64,)",
    ):
        assert part in problem


def save_unchecked(checkpoint: Checkpoint, path: Path) -> None:
    from safetensors.torch import save_file

    options = json.dumps(checkpoint.config.to_options())
    metadata = {"format": "elmo_components", "version": "1", "options": options}
    save_file(dict(checkpoint.tensors), path, metadata=metadata)


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


def test_values_that_are_not_finite_are_problems(folder: Path) -> None:
    change_weights(folder, lambda file: file["CNN_proj/b_proj"].__setitem__(0, numpy.nan))
    (problem,) = inspect(folder).problems
    assert "CNN_proj/b_proj has values that are not finite" in problem


def test_what_is_no_checkpoint_is_a_problem_and_what_is_nowhere_an_error(tmp_path: Path) -> None:
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


def test_a_models_of_code_points_is_described(fixtures: Path) -> None:
    found = inspect(fixtures / "models" / "many_langs" / "words_and_characters")
    assert (found.format, found.problems) == ("many_langs", ())
    assert found.sizes()["char_cnn.units"] == "code_points"
    assert found.sizes()["char_cnn.num_words"] > 1 and found.scripts
    words = inspect(fixtures / "models" / "many_langs" / "words")
    assert words.problems == () and words.parameters["char_cnn.character_embedding"] == 0


TEXT = (
    "the bank of the river/a Bank lent it/no such word/bank to bank/the bank of the river/her bank"
)
SENTENCES = [sentence.split() for sentence in TEXT.split("/")]


def test_each_use_of_a_word_is_found_in_the_first_sentences_that_have_it() -> None:
    found = find_occurrences(SENTENCES, "bank", limit=9)
    assert [(" ".join(use.tokens), use.place) for use in found] == [
        ("the bank of the river", 1),
        ("bank to bank", 0),
        ("bank to bank", 2),
        ("her bank", 1),
    ]
    assert find_occurrences(SENTENCES, "bank", limit=2) == found[:3]
    uncased = find_occurrences(SENTENCES, "BANK", cased=False, limit=2)
    assert [use.tokens for use in uncased] == [tuple(SENTENCES[0]), tuple(SENTENCES[1])]
    assert find_occurrences(SENTENCES, "banks", limit=2) == []
    for word, limit in (("two words", 1), ("", 1), ("bank", 0)):
        with pytest.raises(ValueError):
            find_occurrences(SENTENCES, word, limit=limit)


def test_a_word_is_marked_with_what_is_around_it() -> None:
    use = Occurrence(("a", "b", "c", "d", "e"), 3)
    assert use.marked(width=4) == "a b c [d] e"
    assert use.marked(width=1) == "... c [d] e"
    assert Occurrence(("a", "b", "c"), 0).marked(width=1) == "[a] b ..."


@pytest.mark.parametrize("layer", ["top", "mean", 0, 1, 2])
def test_vectors_are_the_models_at_the_words_places(tiny: Elmo, layer: object) -> None:
    uses = find_occurrences(SENTENCES, "bank", limit=9)
    found = word_vectors(tiny, uses, layer=layer)  # type: ignore[arg-type]
    for vector, use in zip(found, uses):
        layers = tiny.embed([use.tokens])[0][:, use.place]
        expected = {"top": layers[-1], "mean": layers.mean(axis=0)}.get(
            layer, layers[layer if isinstance(layer, int) else 0]
        )
        assert_close(vector, expected, 1e-6)


def test_a_layer_that_is_not_there_is_an_error(tiny: Elmo) -> None:
    uses = find_occurrences(SENTENCES, "bank", limit=1)
    for layer in (3, -1, "bottom"):
        with pytest.raises(ValueError, match="must be top, mean, or 0 to 2"):
            word_vectors(tiny, uses, layer=layer)
    assert word_vectors(tiny, []).shape == (0, 16)


def test_neighbours_are_the_others_by_their_cosines() -> None:
    angles = numpy.radians([0.0, 10.0, 50.0, 180.0])
    # lengths do not count
    vectors = numpy.stack([numpy.cos(angles), numpy.sin(angles)], axis=1) * [[1], [5], [2], [3]]
    found = nearest(vectors, number=2)
    assert [[other for other, _ in row] for row in found] == [[1, 2], [0, 2], [1, 0], [2, 1]]
    assert found[2][0][1] == pytest.approx(math.cos(math.radians(40.0)))
    assert nearest(vectors[:1], number=2) == [[]]
    assert [len(row) for row in nearest(vectors, number=9)] == [3] * 4
    assert nearest(numpy.zeros((2, 3)), number=1) == [[(1, 0.0)], [(0, 0.0)]]


def test_the_plane_is_that_of_the_most_variance_and_always_the_same() -> None:
    generator = numpy.random.RandomState(3)
    vectors = generator.normal(size=(30, 5)) * [10.0, 3.0, 0.1, 0.1, 0.1] + 7.0
    points, shares = planar(vectors)
    values, axes = numpy.linalg.eigh(numpy.cov(vectors.T))
    expected = (vectors - vectors.mean(axis=0)) @ axes[:, [-1, -2]]
    numpy.testing.assert_allclose(numpy.abs(points), numpy.abs(expected), atol=1e-9)
    assert shares == pytest.approx(tuple(values[[-1, -2]] / values.sum()))
    # the sign too: an orthogonal change of the space leaves the picture as it was
    turned, _ = numpy.linalg.qr(generator.normal(size=(5, 5)))
    numpy.testing.assert_allclose(planar(vectors @ turned)[0], points, atol=1e-9)
    for few in (1, 2):
        assert planar(vectors[:few])[0].shape == (few, 2)


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_pictures_are_drawn_and_leave_nothing_beside_them(tmp_path: Path, suffix: str) -> None:
    pytest.importorskip("matplotlib", reason="only the extras have it")
    mixes, words = tmp_path / f"mixes{suffix}", tmp_path / "new" / f"words{suffix}"
    draw_mixes([Mix("a", 1.0, (0.2, 0.3, 0.5)), Mix("b_$", 2.0, (0.5, 0.5))], mixes)
    points = numpy.random.RandomState(1).normal(size=(40, 2))
    # a formula to matplotlib, were they not escaped
    draw_words(points, [f"[bank] of $ {n}_ $ \\q {n}" for n in range(39)] + [""], words)
    draw_words(numpy.zeros((1, 2)), ["alone"], words, shares=(1.0, 0.0))
    for path in (mixes, words):
        assert path.stat().st_size > 5000
        assert [entry.name for entry in path.parent.iterdir() if entry.is_file()] == [path.name]
    with pytest.raises(ValueError, match=r"must end in \.png, \.svg, \.pdf; found"):
        draw_words(points, [""] * 40, tmp_path / "words.txt")
    with pytest.raises(ValueError, match="found none"):
        draw_mixes([], mixes)


def test_labels_with_room_do_not_hide_one_another(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="only the extras have it")
    from elmo_components.inspection.pictures import _new_figure, _overlap, _put_label

    axes = _new_figure(11.0, 8.0).add_subplot()
    points = numpy.random.RandomState(2).normal(size=(25, 2)) * 0.3
    axes.scatter(points[:, 0], points[:, 1])
    axes.set_xlim(-1.5, 1.5)
    axes.set_ylim(-1.5, 1.5)
    taken: list[tuple[float, float, float, float]] = []
    for row, point in enumerate(points):
        _put_label(axes, point, f"before the [bank] of {row}", taken)
    pairs = [(one, other) for place, one in enumerate(taken) for other in taken[:place]]
    assert len(taken) == 25 and not any(_overlap(*pair) for pair in pairs)
