"""Tests of bilm.py."""

import numpy
import pytest
import torch

from elmo_components.characters import CharacterMapper
from elmo_components.config import CharCnnConfig, ElmoConfig, LstmConfig
from elmo_components.elmo import Elmo
from elmo_components.modules.bilm import BiLm
from tests.reference import bilm_layers, float64, word_vector

SENTENCES = [["The", "quick", "fox"], [], ["naïve"]]


def ids(sentences: list[list[str]] = SENTENCES) -> torch.Tensor:
    return CharacterMapper().batch_ids(sentences)


@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("skip_connections", [True, False])
def test_all_layers_are_the_equations(num_layers: int, skip_connections: bool) -> None:
    config = ElmoConfig(
        CharCnnConfig(4, ((1, 2), (3, 5)), 1, "relu"),
        LstmConfig(3, 6, num_layers, 0.8, 0.4, skip_connections),
    )
    bilm = BiLm(config).double()
    for parameter in bilm.parameters():
        torch.nn.init.normal_(parameter)
    layers, mask, _ = bilm(ids())
    assert layers.shape == (num_layers + 1, 3, 5, 6)
    assert mask.sum(dim=1).tolist() == [5, 2, 3]
    assert not layers[:, ~mask].any()
    for row, sentence in enumerate(SENTENCES):
        words = [
            word_vector(
                CharacterMapper().word_ids(word).tolist(),
                float64(bilm.char_cnn.state_dict()),
                activation="relu",
                num_filters=2,
                num_highways=1,
            )
            for word in ["<S>", *sentence, "</S>"]
        ]
        expected = bilm_layers(
            words,
            float64(bilm.lstm.state_dict()),
            num_layers=num_layers,
            cell_clip=0.8,
            projection_clip=0.4,
            skip_connections=skip_connections,
        )
        numpy.testing.assert_allclose(layers[:, row, : len(words)].detach().numpy(), expected)


def test_a_later_word_changes_nothing_in_the_forward_half(tiny: Elmo) -> None:
    hidden = tiny.config.lstm.hidden_size
    with torch.no_grad():
        before = tiny.bilm(ids([["a", "b", "c", "d"]])).layers[:, 0]
        after = tiny.bilm(ids([["a", "b", "X", "d"]])).layers[:, 0]
    same = (before == after).all(dim=0)
    # position 0 is the sentence's begin mark, so the changed word stands at 3
    assert same[:3, :hidden].all() and same[4:, hidden:].all()
    assert not same[3:, :hidden].all() and not same[:4, hidden:].all()


def test_gradients_are_those_of_the_function() -> None:
    config = ElmoConfig(
        CharCnnConfig(2, ((1, 2), (2, 2)), 1, "tanh"), LstmConfig(3, 4, 2, 0.8, 0.4, True)
    )
    bilm = BiLm(config).double()
    for parameter in bilm.parameters():
        torch.nn.init.normal_(parameter)
    names_and_parameters = [
        (name, parameter)
        for name, parameter in bilm.named_parameters()
        # its first row is held at zero
        if name != "char_cnn.character_embedding.weight"
    ]

    # the parameters are changed in place by gradcheck, so they reach the model by themselves
    assert torch.autograd.gradcheck(
        lambda *_: bilm(ids([["ab", "c"], ["d"]])).layers,
        tuple(parameter for _, parameter in names_and_parameters),
        fast_mode=True,
        # the last bits of float64, on torch 1.12
        nondet_tol=1e-12,
    )


def test_no_sentences_and_no_tokens_have_a_shape(tiny: Elmo) -> None:
    assert tiny.bilm(torch.zeros(0, 3, 50, dtype=torch.int64)).layers.shape == (3, 0, 5, 16)
    layers, mask, _ = tiny.bilm(torch.zeros(2, 0, 50, dtype=torch.int64))
    assert layers.shape == (3, 2, 2, 16) and mask.all()


@pytest.mark.parametrize("bad", [-1, 262, 10_000])
def test_ids_out_of_range_are_an_error(tiny: Elmo, bad: int) -> None:
    character_ids = ids()
    character_ids[0, 0, 3] = bad
    with pytest.raises(ValueError, match=f"must be from 0 to 261; found {bad}"):
        tiny.bilm(character_ids)


def test_another_shape_or_type_is_an_error(tiny: Elmo) -> None:
    with pytest.raises(ValueError, match=r"\(batch, time, 50\); found \(3, 3, 49\)"):
        tiny.bilm(ids()[..., :49])
    with pytest.raises(ValueError, match=r"must be int64; found torch\.int32"):
        tiny.bilm(ids().int())


def test_a_word_after_padding_is_an_error(tiny: Elmo) -> None:
    character_ids = ids()
    character_ids[0, 1] = 0
    with pytest.raises(ValueError, match="found a token after a masked position"):
        tiny.bilm(character_ids)


ALPHABETS = [("中国é", "bytes"), ("中国abé", "code_points")]


@pytest.mark.parametrize(("alphabet", "units"), ALPHABETS)
@pytest.mark.parametrize("word", ["中", "a国é"])
def test_ids_of_another_spelling_are_refused(alphabet: str, units: str, word: str) -> None:
    cnn = CharCnnConfig(2, ((1, 2),), 0, "tanh", alphabet, units)
    bilm = BiLm(ElmoConfig(cnn, LstmConfig(3, 4, 1, None, None, False)))
    # of the alphabet, and not
    sentences = [[word, "zé", "日本", "", "<S>"]]
    assert bilm(CharacterMapper.of(cnn).batch_ids(sentences)).layers.isfinite().all()
    with pytest.raises(ValueError, match="Give the indexer the model's"):
        bilm(CharacterMapper().batch_ids(sentences))


def test_a_cut_character_is_no_other_spelling() -> None:
    cnn = CharCnnConfig(2, ((1, 2),), 0, "tanh", "中国é")
    bilm = BiLm(ElmoConfig(cnn, LstmConfig(3, 4, 1, None, None, False)))
    bilm(CharacterMapper.of(cnn).batch_ids([["a" * 47 + "è", "日" * 30, "中" * 60]]))
