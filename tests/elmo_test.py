"""Tests of elmo.py."""

import copy
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch

from elmo_components.caching.layer_cache import LayerCache
from elmo_components.characters import CharacterMapper
from elmo_components.checkpoints import CheckpointError
from elmo_components.config import ElmoConfig
from elmo_components.elmo import Elmo
from tests.closeness import assert_close

SENTENCES = [["The", "bank", "of", "the", "river"], [], ["A", "bank"], ["x" * 10_000, "\ud800"]]


def ids(sentences: list[list[str]] = SENTENCES) -> torch.Tensor:
    return CharacterMapper().batch_ids(sentences)


def test_embedding_gives_all_layers_of_each_sentence(tiny: Elmo) -> None:
    vectors = tiny.embed(SENTENCES)
    assert [vector.shape for vector in vectors] == [(3, 5, 16), (3, 0, 16), (3, 2, 16), (3, 2, 16)]
    assert all(vector.dtype == numpy.float32 for vector in vectors)
    mean, top = tiny.embed(SENTENCES, layers="mean"), tiny.embed(SENTENCES, layers="top")
    for all_layers, mean_layer, top_layer in zip(vectors, mean, top):
        assert_close(mean_layer, all_layers.mean(axis=0), 1e-6)
        numpy.testing.assert_array_equal(top_layer, all_layers[-1])


def test_a_sentences_vectors_do_not_depend_on_its_batch_or_on_earlier_calls(tiny: Elmo) -> None:
    together = tiny.embed(SENTENCES)
    for batch_size in (1, 2, 3):
        again = tiny.embed(list(reversed(SENTENCES)), batch_size=batch_size)
        for expected, found in zip(together, reversed(again)):
            assert_close(found, expected, 1e-6)


def test_a_string_in_place_of_tokens_is_an_error(tiny: Elmo) -> None:
    with pytest.raises(TypeError, match="must be a sequence of tokens; found a string"):
        tiny.embed(["The bank"])
    with pytest.raises(TypeError, match="found a string"):
        tiny.embed("The bank")


def test_representations_are_mixes_without_the_sentence_marks(tiny: Elmo) -> None:
    output = tiny(ids())
    (representation,) = output["elmo_representations"]
    assert output["mask"].sum(dim=1).tolist() == [5, 0, 2, 2]
    assert not representation[~output["mask"]].any()
    for row, vectors in enumerate(tiny.embed(SENTENCES, layers="mean")):
        assert_close(representation[row, : len(vectors)].detach().numpy(), vectors, 1e-6)


def test_sentence_marks_are_kept_on_request(tiny_folder: Path) -> None:
    elmo = Elmo.from_pretrained(tiny_folder, keep_sentence_boundaries=True)
    output = elmo(ids())
    assert output["mask"].sum(dim=1).tolist() == [7, 2, 4, 4]
    assert output["elmo_representations"][0].shape == (4, 7, 16)
    assert output["elmo_representations"][0][1, :2].all()


def test_representations_are_weighted_on_their_own(tiny_folder: Path) -> None:
    elmo = Elmo.from_pretrained(tiny_folder, num_output_representations=2)
    elmo.scalar_mixes[1].weights.data = torch.tensor([-9e10, -9e10, 0.0])
    mean, top = elmo(ids())["elmo_representations"]
    assert not torch.equal(mean, top)
    expected = elmo.embed(SENTENCES, layers="top")
    assert_close(top[0].detach().numpy(), expected[0], 1e-6)


def test_no_representation_at_all_is_an_error(tiny_config: ElmoConfig) -> None:
    with pytest.raises(ValueError, match="num_output_representations must be 1 or more; found 0"):
        Elmo(tiny_config, num_output_representations=0)


def test_leading_dimensions_are_kept(tiny: Elmo) -> None:
    nested = torch.stack([ids(), ids()])
    output = tiny(nested)
    assert output["elmo_representations"][0].shape == (2, 4, 5, 16)
    assert output["mask"].shape == (2, 4, 5)
    torch.testing.assert_close(
        output["elmo_representations"][0][1], tiny(ids())["elmo_representations"][0]
    )


def test_a_state_given_back_changes_the_next_batch(tiny: Elmo) -> None:
    first = tiny(ids())
    fresh = tiny(ids())["elmo_representations"][0]
    carried = tiny(ids(), first["state"])["elmo_representations"][0]
    torch.testing.assert_close(fresh, first["elmo_representations"][0], rtol=0.0, atol=0.0)
    assert not torch.allclose(carried, fresh)


def test_the_bilm_is_frozen_unless_asked_for(tiny_folder: Path) -> None:
    frozen, tuned = (
        Elmo.from_pretrained(tiny_folder, requires_grad=requires_grad)
        for requires_grad in (False, True)
    )
    assert not any(parameter.requires_grad for parameter in frozen.bilm.parameters())
    assert all(parameter.requires_grad for parameter in frozen.scalar_mixes.parameters())
    tuned(ids())["elmo_representations"][0].pow(2).sum().backward()
    assert all(parameter.grad is not None for parameter in tuned.parameters())
    assert all(parameter.grad.abs().sum() > 0 for parameter in tuned.bilm.parameters())


def test_dropout_is_for_training(tiny: Elmo) -> None:
    assert not tiny.training
    zeros = (tiny.train()(ids())["elmo_representations"][0][0] == 0.0).float().mean()
    assert 0.25 < zeros < 0.75


def test_a_model_can_be_pickled_and_copied(tiny: Elmo) -> None:
    expected = tiny.embed(SENTENCES)
    for again in (pickle.loads(pickle.dumps(tiny)), copy.deepcopy(tiny)):
        numpy.testing.assert_array_equal(again.embed(SENTENCES)[0], expected[0])


def test_options_given_apart_must_fit_the_weights(tiny_folder: Path, tiny: Elmo) -> None:
    weights, options = tiny_folder / "weights.hdf5", tiny.config.to_options()
    assert Elmo.from_pretrained(weights, options=options).config == tiny.config
    options["lstm"]["dim"] = 17
    options["lstm"]["cell_clip"] = 3
    with pytest.raises(CheckpointError) as error:
        Elmo.from_pretrained(weights, options=options)
    assert "lstm.dim is 16 there, and 17 is wanted" in str(error.value)
    assert "lstm.cell_clip is 0.75 there, and 3 is wanted" in str(error.value)


def test_options_given_apart_are_enough(tiny_folder: Path, tiny: Elmo, tmp_path: Path) -> None:
    weights, options = tmp_path / "alone.hdf5", tiny.config.to_options()
    weights.write_bytes((tiny_folder / "weights.hdf5").read_bytes())
    assert Elmo.from_pretrained(weights, options=options).config == tiny.config
    options["lstm"]["dim"] = 17
    with pytest.raises(CheckpointError, match=r"W_0 is of shape \(16, 64\), not \(16, 68\)"):
        Elmo.from_pretrained(weights, options=options)


@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
def test_a_light_precision_gives_nearly_the_same_vectors(
    tiny: Elmo, tiny_folder: Path, precision: str
) -> None:
    sentences = [["The", "bank", "of", "the", "river"], ["One"]]
    light = Elmo.from_pretrained(tiny_folder, precision=precision)
    for found, expected in zip(light.embed(sentences), tiny.embed(sentences)):
        assert found.dtype == numpy.float32
        numpy.testing.assert_allclose(found, expected, atol=0.02 * numpy.abs(expected).max())
        assert found.shape == expected.shape


def test_a_light_precision_is_for_a_frozen_bilm(tiny_config: ElmoConfig) -> None:
    with pytest.raises(ValueError, match="float32 where requires_grad is true; found 'int8'"):
        Elmo(tiny_config, requires_grad=True, precision="int8")


def test_words_are_mapped_by_the_models_own_alphabet(tiny: Elmo) -> None:
    char_cnn = replace(tiny.config.char_cnn, alphabet="中国")
    elmo = Elmo(replace(tiny.config, char_cnn=char_cnn)).eval()
    (vectors,) = elmo.embed([["中", "国", "人"]])
    expected = CharacterMapper(alphabet="中国").batch_ids([["中", "国", "人"]])
    layers = elmo.bilm(expected).layers[:, 0, 1:-1]
    torch.testing.assert_close(torch.from_numpy(vectors), layers.detach())


def with_layer_cache(folder: Path, **settings: Any) -> tuple[Elmo, Elmo]:
    """Returns an ELMo that keeps layers, and one that does not."""
    kept = Elmo.from_pretrained(folder, layer_cache=LayerCache(10**6), **settings)
    return kept, Elmo.from_pretrained(folder, **settings)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"keep_sentence_boundaries": True},
        {"do_layer_norm": True},
        {"num_output_representations": 2},
        {"precision": "bfloat16"},
    ],
    ids=lambda settings: next(iter(settings), "plain"),
)
def test_layers_that_are_kept_give_the_same_vectors_and_gradients(
    tiny_folder: Path, settings: dict[str, Any]
) -> None:
    kept, plain = with_layer_cache(tiny_folder, **settings)
    with torch.no_grad():
        for elmo in (kept, plain):
            for mix in elmo.scalar_mixes:
                mix.get_parameter("weights").copy_(torch.tensor([0.3, -0.2, 0.5]))
    for _ in range(2):
        results = [elmo(ids()) for elmo in (kept, plain)]
        ours, theirs = (result["elmo_representations"] for result in results)
        for mine, other in zip(ours, theirs):
            assert_close(mine, other, 1e-6)
        assert torch.equal(results[0]["mask"], results[1]["mask"])
        assert results[0]["state"] is None
        for elmo, found in ((kept, ours), (plain, theirs)):
            elmo.zero_grad()
            sum((vectors**2).sum() for vectors in found).backward()
        for name, parameter in plain.scalar_mixes.named_parameters():
            torch.testing.assert_close(kept.scalar_mixes.get_parameter(name).grad, parameter.grad)
    assert kept.layer_cache is not None
    assert len(kept.layer_cache) == len(ids())


def test_layers_are_kept_for_sentences_without_a_state_alone(tiny_folder: Path) -> None:
    kept, plain = with_layer_cache(tiny_folder)
    state = plain(ids())["state"]
    vectors, expected = (elmo(ids(), state)["elmo_representations"][0] for elmo in (kept, plain))
    torch.testing.assert_close(vectors, expected)
    assert kept(ids(), state)["state"] is not None
    assert kept.layer_cache is not None
    assert len(kept.layer_cache) == 0


def test_layers_that_change_are_not_kept(tiny_folder: Path) -> None:
    kept, _ = with_layer_cache(tiny_folder)
    assert kept.layer_cache is not None
    kept.bilm.lstm.recurrent_dropout = 0.5
    kept.train()(ids())
    kept.eval()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        kept(ids())
    kept.bilm.requires_grad_(True)
    kept(ids())
    with torch.no_grad():
        kept(ids())
    assert len(kept.layer_cache) == 0
    kept.bilm.requires_grad_(False)
    kept(ids())
    assert len(kept.layer_cache) == len(ids())


@pytest.mark.parametrize("settings", [{"requires_grad": True}, {"recurrent_dropout": 0.1}])
def test_layers_of_a_bilm_that_is_trained_cannot_be_kept(
    tiny_config: ElmoConfig, settings: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match="requires_grad must be false and recurrent_dropout 0"):
        Elmo(tiny_config, layer_cache=LayerCache(1), **settings)


@pytest.mark.parametrize("sentences", [[], [[]], [[], []]])
def test_sentences_without_tokens_have_vectors_of_that_shape(
    tiny_folder: Path, sentences: list[list[str]]
) -> None:
    for elmo in with_layer_cache(tiny_folder):
        output = elmo(ids(sentences))
        assert output["elmo_representations"][0].shape == (len(sentences), 0, 16)
        assert output["mask"].shape == (len(sentences), 0)
        assert elmo(ids(sentences)[None])["mask"].shape == (1, len(sentences), 0)
        assert [vectors.shape for vectors in elmo.embed(sentences)] == [(3, 0, 16)] * len(sentences)


def test_ids_of_one_axis_are_refused(tiny: Elmo) -> None:
    with pytest.raises(ValueError, match=r"of shape \(\.\.\., time, 50\); found \(50,\)"):
        tiny(ids()[0, 0])


def test_a_model_without_memory_is_whole_once_weights_are_loaded(tiny: Elmo) -> None:
    elmo = Elmo(tiny.config).to("meta").to_empty(device="cpu")
    for tensor in (*elmo.parameters(), *elmo.buffers()):
        # what memory may hold
        tensor.data.fill_(7)
    elmo.load_state_dict(tiny.state_dict())
    assert_close(elmo.eval().embed(SENTENCES)[0], tiny.embed(SENTENCES)[0], 1e-6)


def test_fixed_weights_can_be_set_again(tiny: Elmo) -> None:
    elmo = (
        Elmo(tiny.config, scalar_mix_parameters=[1.0, 2.0, 3.0]).to("meta").to_empty(device="cpu")
    )
    (mix,) = elmo.scalar_mixes
    mix.reset_parameters()
    assert mix.weights.tolist() == [1.0, 2.0, 3.0] and mix.gamma.tolist() == [1.0]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_bilm_of_half_precision_fits_float32_mixes(tiny: Elmo, dtype: torch.dtype) -> None:
    expected = tiny(ids())["elmo_representations"][0]
    tiny.bilm.to(dtype)
    try:
        found = tiny(ids())["elmo_representations"][0]
    except RuntimeError as error:
        if dtype == torch.float16 and "not implemented for 'Half'" in str(error):
            pytest.skip("this torch has no float16 on the CPU")
        raise
    torch.testing.assert_close(found, expected, rtol=0.05, atol=0.05)


@pytest.mark.skipif(not hasattr(torch, "set_default_device"), reason="since torch 2.0")
def test_another_default_device_changes_nothing(tiny_folder: Path) -> None:
    for elmo in with_layer_cache(tiny_folder):
        elmo.train().dropout.p = 0.0
        expected, batch = elmo(ids())["elmo_representations"][0], ids()
        torch.set_default_device("meta")
        try:
            # both from the caches and without them
            for _ in range(2):
                found = elmo(batch)["elmo_representations"][0]
                elmo.bilm.char_cnn.clear_cache()
            embedded = elmo.embed(SENTENCES, layers="mean")
            assert elmo.scalar_mixes[0].is_initial
        finally:
            torch.set_default_device(None)
        assert_close(found, expected, 1e-6)
        assert_close(embedded[0], expected[0].detach().numpy(), 1e-6)


def test_training_settings_reach_a_pretrained_model(tiny_folder: Path) -> None:
    elmo = Elmo.from_pretrained(tiny_folder, recurrent_dropout=0.3, recompute_gates=True)
    assert elmo.bilm.lstm.recurrent_dropout == 0.3 and elmo.bilm.lstm.recompute_gates


class Tagger(torch.nn.Module):
    """A model that holds an ELMo."""

    def __init__(self, elmo: Elmo) -> None:
        super().__init__()
        self.elmo = elmo
        self.top = torch.nn.Linear(16, 2)

    def forward(self, character_ids: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.top(self.elmo(character_ids)["elmo_representations"][0]))


@pytest.mark.skipif(
    not hasattr(getattr(torch, "compiler", None), "is_compiling"), reason="since torch 2.1"
)
@pytest.mark.parametrize("requires_grad", [False, True])
def test_a_compiled_model_computes_the_same(tiny: Elmo, requires_grad: bool) -> None:
    tiny.bilm.requires_grad_(requires_grad)
    tagger = Tagger(tiny)
    # this backend needs no C++ compiler
    compiled = torch.compile(tagger, backend="aot_eager")
    for sentences in (SENTENCES, SENTENCES[:1], SENTENCES):
        gradients = []
        for model in (tagger, compiled):
            tagger.zero_grad()
            output = model(ids(sentences))
            output.pow(2).sum().backward()
            gradients.append([p.grad for p in tagger.parameters() if p.grad is not None])
        torch.testing.assert_close(output, tagger(ids(sentences)), rtol=0.0, atol=1e-5)
        for found, expected in zip(*gradients):
            torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
        assert len(gradients[0]) == len(gradients[1]) > 3
