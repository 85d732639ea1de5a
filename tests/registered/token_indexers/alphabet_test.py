"""From text in Chinese to its vectors: counting, training, export and embedding by an alphabet."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from allennlp.commands.train import train_model
from allennlp.common import Params
from allennlp.common.checks import ConfigurationError
from allennlp.data import Batch, DatasetReader, Vocabulary
from allennlp.data.tokenizers import CharacterTokenizer
from allennlp.models import Model

from elmo_components.characters import CharacterMapper
from elmo_components.commands.convert import convert
from elmo_components.commands.vocabulary import count_vocabulary
from elmo_components.elmo import Elmo
from elmo_components.registered.commands import split_of
from elmo_components.registered.models.language_model import ElmoLanguageModel
from elmo_components.registered.token_embedders.elmo import ElmoEmbedder
from elmo_components.registered.token_indexers.elmo_character_ids import ElmoCharacterIndexer

# 🙂 has two units in UTF-16, and Jsonnet reads the configuration that an archive holds
TEXT = ["中国很大。", "我在中国🙂", "今天是8月3日。", "你好吗？", "我很好🙂"]
# of these the last is in no text
WORDS = ["中", "国", "🙂", "8", "<S>", "鱼"]


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("alphabet")
    (folder / "corpus.txt").write_text("\n".join(TEXT) + "\n", encoding="utf-8")
    words = folder / "words"
    count_vocabulary(
        [str(folder / "corpus.txt")], words, split=split_of("character"), alphabet_size=10
    )
    alphabet = (words / "alphabet.txt").read_text(encoding="utf-8")
    architecture = json.loads((tiny_folder / "options.json").read_text())
    architecture["char_cnn"].update(alphabet=alphabet, n_characters=272)
    indexer = {"type": "elmo_character_ids", "alphabet": alphabet}
    return {
        "dataset_reader": {
            "type": "elmo_corpus",
            "tokenizer": {"type": "character"},
            "token_indexers": {"elmo": indexer},
        },
        "train_data_path": str(folder / "corpus.txt"),
        "vocabulary": {"type": "from_files", "directory": str(words), "oov_token": "<UNK>"},
        "model": {
            "type": "elmo_language_model",
            "architecture": architecture,
            # predicts with the vectors that the character encoder has for the words
            "softmax": {"type": "full", "tied": True},
        },
        "data_loader": {"batch_size": 5},
        "trainer": {"num_epochs": 8, "optimizer": {"type": "adam", "lr": 0.01}, "cuda_device": -1},
    }


@pytest.fixture(scope="module")
def trained(config: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "model"
    torch.manual_seed(1)
    train_model(Params(copy.deepcopy(config)), str(folder))
    return folder


def test_a_language_model_learns_the_vectors_of_an_alphabet(
    trained: Path, config: dict[str, Any]
) -> None:
    before, after = (
        json.loads((trained / f"metrics_epoch_{epoch}.json").read_text())["training_loss"]
        for epoch in (0, 7)
    )
    assert after < before
    model = Model.from_archive(str(trained / "model.tar.gz"))
    assert isinstance(model, ElmoLanguageModel)
    reader = DatasetReader.from_params(Params(copy.deepcopy(config["dataset_reader"])))
    batch = Batch(reader.read(config["train_data_path"]))
    batch.index_instances(model.vocab)
    model(**batch.as_tensor_dict())["loss"].backward()
    embedding = model.language_model.bilm.char_cnn.character_embedding.weight
    assert embedding.shape[0] == 272 and embedding.grad is not None
    # each of the ten is read
    assert embedding.grad[262:].ne(0).any(dim=1).all()


def test_a_tied_softmax_reads_words_by_the_alphabet(trained: Path) -> None:
    model = Model.from_archive(str(trained / "model.tar.gz"))
    assert isinstance(model, ElmoLanguageModel)
    alphabet = model.language_model.bilm.config.char_cnn.alphabet
    words = model.vocab.get_index_to_token_vocabulary("vocab")
    expected = CharacterMapper(alphabet=alphabet).batch_ids([[words[n] for n in range(len(words))]])
    ids = model.language_model.softmax.output.character_ids
    assert torch.equal(ids, expected[0])


@pytest.mark.parametrize("destination", ["exported", "model.safetensors"])
def test_what_is_exported_embeds_as_the_embedder_does(
    trained: Path, config: dict[str, Any], tmp_path: Path, destination: str
) -> None:
    report = convert(trained, tmp_path / destination)
    is_folder = not destination.endswith(".safetensors")
    assert ("Only elmo_components reads its alphabet" in report) == is_folder
    elmo = Elmo.from_pretrained(tmp_path / destination)
    alphabet = elmo.config.char_cnn.alphabet
    assert alphabet == "".join(config["model"]["architecture"]["char_cnn"]["alphabet"].split())
    (vectors,) = elmo.embed([WORDS], layers="mean")

    architecture = config["model"]["architecture"]
    embedder = ElmoEmbedder(architecture, str(tmp_path / destination)).eval()
    indexer = ElmoCharacterIndexer(alphabet=architecture["char_cnn"]["alphabet"])
    tokens = CharacterTokenizer().tokenize("".join(WORDS).replace("<S>", "S"))
    tokens[4].text = "<S>"
    indices = indexer.tokens_to_indices(tokens, Vocabulary())
    padded = indexer.as_padded_tensor_dict(indices, {"elmo_tokens": len(WORDS)})
    # the same weight for each layer, as the mix begins
    expected = embedder(padded["elmo_tokens"].unsqueeze(0))[0]
    torch.testing.assert_close(torch.from_numpy(vectors), expected, check_dtype=True)


def test_an_architecture_of_another_number_of_characters_is_refused(
    config: dict[str, Any],
) -> None:
    settings = copy.deepcopy(config["model"])
    settings["architecture"]["char_cnn"]["n_characters"] = 262
    vocab = Vocabulary.from_params(Params(copy.deepcopy(config["vocabulary"])))
    with pytest.raises(ConfigurationError, match="n_characters must be 272; found 262"):
        Model.from_params(Params(settings), vocab=vocab)
