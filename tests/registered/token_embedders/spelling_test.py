"""An embedder whose token indexer has other settings than its architecture."""

from pathlib import Path
from typing import Any

import pytest
import torch
from allennlp.common.checks import ConfigurationError
from allennlp.data import Token, Vocabulary

from elmo_components import checkpoints
from elmo_components.elmo import Elmo
from elmo_components.registered.token_embedders.elmo import ElmoEmbedder
from elmo_components.registered.token_indexers.elmo_character_ids import ElmoCharacterIndexer

MESSAGE = "does not spell words as the architecture does"


def ids_of(tokens: list[str], **settings: Any) -> torch.Tensor:
    indexer = ElmoCharacterIndexer(**settings)
    indices = indexer.tokens_to_indices([Token(token) for token in tokens], Vocabulary())
    padded = indexer.as_padded_tensor_dict(indices, {"elmo_tokens": len(tokens) + 1})
    return padded["elmo_tokens"].unsqueeze(0)


@pytest.fixture
def with_alphabet(tiny: Elmo) -> ElmoEmbedder:
    options = tiny.config.to_options()
    options["char_cnn"].update(alphabet="中é🙂8", n_characters=266)
    return ElmoEmbedder(options, requires_grad=True).eval()


@pytest.mark.parametrize("word", ["中", "x中", "🙂", "né", "18"])
def test_an_alphabet_needs_an_indexer_with_it(with_alphabet: ElmoEmbedder, word: str) -> None:
    with_alphabet(ids_of(["plain", "国", "<S>", "1"]))
    with pytest.raises(ConfigurationError, match=f"{MESSAGE}. Give it the alphabet of"):
        with_alphabet(ids_of([word]))


def test_an_indexer_with_the_alphabet_is_taken(with_alphabet: ElmoEmbedder) -> None:
    for words in (["国", "x"], ["中", "né", "18", "🙂"], ["x" * 60]):
        assert with_alphabet(ids_of(words, alphabet="中é🙂8")).shape[1] == len(words) + 1


def test_added_tokens_are_no_characters(with_alphabet: ElmoEmbedder) -> None:
    with_alphabet(ids_of(["name"], tokens_to_add={"name": ord("8")}))


@pytest.mark.parametrize("name", ["words_and_characters", "characters", "words"])
def test_code_points_need_an_indexer_by_code_points(fixtures: Path, name: str) -> None:
    path = fixtures / "models" / "many_langs" / name
    config = checkpoints.load(path).config
    embedder = ElmoEmbedder(config.to_options(), str(path)).eval()
    cnn = config.char_cnn
    settings = {"alphabet": cnn.alphabet, "units": cnn.units, "words": cnn.words}
    # first what the embedder has no character of
    for words in (["\u1234"], ["The", "bank"]):
        embedder(ids_of(words, **settings))
    with pytest.raises(ConfigurationError, match=f"{MESSAGE}. Give it the units, alphabet and"):
        ElmoEmbedder(config.to_options(), str(path))(ids_of(["The", "bank"]))
