"""Tests of registered/encoder.py in the language models of allennlp-models and their embedders."""

import json
import math
from pathlib import Path
from typing import Any

import allennlp_models.lm  # noqa: F401
import pytest
import torch
from allennlp.commands.train import train_model
from allennlp.common import Params
from allennlp.models.archival import load_archive
from allennlp.modules import TokenEmbedder
from allennlp.modules.elmo import batch_to_ids

import elmo_components.registered  # noqa: F401
from elmo_components.characters import BOS_TOKEN, EOS_TOKEN

HIDDEN_SIZE = 6
EMBEDDERS = {
    "bidirectional-language-model": "bidirectional_lm_token_embedder",
    "language_model": "language_model_token_embedder",
}
SENTENCES = ["the cat sat on the mat .", "a dog ran home .", "the dog saw a cat .", "it sat ."]
# Of different lengths, with words that no vocabulary has.
TEXT = [["the", "zebra", "sat", "on", "a", "dog"], ["it", "ran", "."]]


def config(folder: Path, model: str, indexer: str) -> dict[str, Any]:
    """A configuration as allennlp-models' users write it, but for the contextualizer's type."""
    return {
        "dataset_reader": {
            "type": "simple_language_modeling",
            "tokenizer": {"type": "just_spaces"},
            "token_indexers": {
                "tokens": {"type": "single_id"},
                "token_characters": {"type": indexer},
            },
            "start_tokens": [BOS_TOKEN],
            "end_tokens": [EOS_TOKEN],
        },
        "train_data_path": str(folder / "text.txt"),
        "validation_data_path": str(folder / "text.txt"),
        "model": {
            "type": model,
            **({"bidirectional": True} if model == "language_model" else {}),
            "text_field_embedder": {
                "token_embedders": {
                    "tokens": {"type": "empty"},
                    "token_characters": {
                        "type": "character_encoding",
                        "embedding": {"num_embeddings": 262, "embedding_dim": 4},
                        "encoder": {
                            "type": "cnn-highway",
                            "embedding_dim": 4,
                            "filters": [[1, 4], [2, 6]],
                            "num_highway": 1,
                            "projection_dim": HIDDEN_SIZE,
                        },
                    },
                }
            },
            "contextualizer": {
                "type": "elmo_lstm",
                "input_size": HIDDEN_SIZE,
                "hidden_size": HIDDEN_SIZE,
                "cell_size": 10,
                "cell_clip": 3.0,
                "projection_clip": 3.0,
            },
        },
        "data_loader": {"batch_size": 4, "shuffle": True},
        "trainer": {"num_epochs": 1, "optimizer": {"type": "adam", "lr": 0.05}},
    }


@pytest.fixture(
    scope="module",
    params=[
        ("bidirectional-language-model", "elmo_characters"),
        ("language_model", "elmo_character_ids"),
    ],
    ids=lambda param: "-".join(param),
)
def trained(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, str]:
    """The folder that an epoch of training wrote, and the embedder that is for it."""
    model, indexer = request.param
    folder = tmp_path_factory.mktemp("contextualizer")
    (folder / "text.txt").write_text("\n".join(SENTENCES * 30) + "\n")
    torch.manual_seed(1)
    train_model(Params(config(folder, model, indexer)), str(folder / "trained"))
    return folder / "trained", EMBEDDERS[model]


def make_embedder(trained: tuple[Path, str], **changes: object) -> TokenEmbedder:
    """The embedder of the archive, which in evaluation mode is deterministic."""
    folder, name = trained
    archive = str(folder / "model.tar.gz")
    return TokenEmbedder.from_params(
        Params({"type": name, "archive_file": archive, **changes})
    ).eval()


def test_an_epoch_lowers_the_loss(trained: tuple[Path, str]) -> None:
    metrics = json.loads((trained[0] / "metrics.json").read_text())
    words = {word for sentence in SENTENCES for word in sentence.split()}
    # evenly over the words, the sentence marks and the unknown word
    untrained = math.log(len(words) + 3)
    assert metrics["training_loss"] < untrained
    assert metrics["validation_loss"] < min(metrics["training_loss"], 0.8 * untrained)


def test_an_embedder_mixes_all_the_contextualizer_s_layers(trained: tuple[Path, str]) -> None:
    embedder = make_embedder(trained)
    assert embedder.get_output_dim() == 2 * HIDDEN_SIZE
    vectors = embedder(batch_to_ids(TEXT))
    assert vectors.shape == (2, 6, 2 * HIDDEN_SIZE)
    assert not vectors[1, 3:].any()

    # from the archive as it is, which gives the top layer alone
    model = load_archive(str(trained[0] / "model.tar.gz")).model.eval()
    for row, words in enumerate(TEXT):
        marked = batch_to_ids([[BOS_TOKEN, *words, EOS_TOKEN]])
        embedded = model._text_field_embedder({"token_characters": {"elmo_tokens": marked}})
        contextualizer = model._contextualizer
        layers, _ = contextualizer._lstm(embedded, torch.ones(marked.shape[:2], dtype=torch.bool))
        torch.testing.assert_close(contextualizer(embedded), layers[-1])
        # (1, time + 2, 2 * hidden_size), an even mixture of three layers
        expected = (torch.cat([embedded, embedded], dim=-1) + layers[0] + layers[1]) / 3.0
        torch.testing.assert_close(vectors[row, : len(words)], expected[0, 1:-1])


def test_no_half_peeks(trained: tuple[Path, str]) -> None:
    embedder = make_embedder(trained)
    changed = [[*TEXT[0][:3], "under", *TEXT[0][4:]], TEXT[1]]
    before, after = (embedder(batch_to_ids(text)) for text in (TEXT, changed))
    same = (before == after)[0]
    forward, backward = same[:, :HIDDEN_SIZE], same[:, HIDDEN_SIZE:]
    assert forward[:3].all() and not forward[3:].all(dim=1).any()
    assert backward[4:].all() and not backward[:4].all(dim=1).any()
    # and no sentence sees another
    assert torch.equal(before[1], after[1])


def test_an_embedder_fine_tunes_the_contextualizer_where_asked_to(
    trained: tuple[Path, str],
) -> None:
    frozen = make_embedder(trained)
    assert not any(part.requires_grad for part in frozen._lm.parameters())
    embedder = make_embedder(trained, requires_grad=True)
    embedder(batch_to_ids(TEXT)).square().sum().backward()
    parameters = dict(embedder.named_parameters())
    assert [name for name, part in parameters.items() if part.grad is None] == []
    assert any("_contextualizer" in name for name in parameters)
