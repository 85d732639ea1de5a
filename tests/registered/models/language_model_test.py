"""Tests of the model elmo_language_model, its softmaxes and its perplexity."""

import copy
import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

import pytest
import torch
from allennlp.commands.train import train_model
from allennlp.common import Params
from allennlp.common.checks import ConfigurationError
from allennlp.data import DatasetReader, Vocabulary
from allennlp.data.data_loaders import MultiProcessDataLoader
from allennlp.evaluation import SimpleEvaluator
from allennlp.models import Model
from allennlp.models.archival import load_archive
from allennlp.nn.util import move_to_device

from elmo_components.checkpoints.architectures import ARCHITECTURES
from elmo_components.config import ElmoConfig
from elmo_components.pretraining.softmax import (
    AdaptiveSoftmax,
    FullSoftmax,
    OwnWeights,
    SampledSoftmax,
    TiedWeights,
)
from elmo_components.registered.models.language_model import ElmoLanguageModel
from tests.pretraining.language_model_test import expected_losses

ARCHITECTURE = {
    "char_cnn": {
        "activation": "relu",
        "embedding": {"dim": 4},
        "filters": [[1, 2], [3, 5]],
        "max_characters_per_token": 50,
        "n_characters": 262,
        "n_highway": 1,
    },
    "lstm": {
        "use_skip_connections": True,
        "projection_dim": 3,
        "dim": 5,
        "n_layers": 2,
        "cell_clip": 3,
        "proj_clip": 3,
    },
}
WORDS = ["</S>", "<S>", "<UNK>", "the", "cat", "dog", "sees", "a", "naïve"]
# 11 sentences, 33 words of which 3 are unknown, and a sentence of one word
TEXT = """the cat sees the dog
a dog
dog
the naïve cat sees a zebra
zebra sees
the cat
the dog sees the cat
a cat sees
the gnu
cat dog
a naïve dog
"""
SENTENCES = [line.split() for line in TEXT.splitlines()]
NUM_TARGETS = 2 * (33 + 11)


@pytest.fixture(scope="module")
def vocabulary_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vocabulary")
    (folder / "vocab.txt").write_text("".join(f"{word}\n" for word in WORDS), encoding="utf-8")
    (folder / "non_padded_namespaces.txt").write_text("vocab\n")
    return folder


@pytest.fixture(scope="module")
def vocab(vocabulary_folder: Path) -> Vocabulary:
    return Vocabulary.from_files(str(vocabulary_folder), oov_token="<UNK>")


@pytest.fixture
def corpus(tmp_path: Path) -> str:
    (tmp_path / "corpus.txt").write_text(TEXT, encoding="utf-8")
    return str(tmp_path / "corpus.txt")


def make(vocab: Vocabulary, **settings: Any) -> ElmoLanguageModel:
    params = {"type": "elmo_language_model", "architecture": ARCHITECTURE, **settings}
    # AllenNLP takes keys out of what it is given
    model = Model.from_params(Params(copy.deepcopy(params)), vocab=vocab)
    assert isinstance(model, ElmoLanguageModel)
    return model


def spread(model: ElmoLanguageModel) -> ElmoLanguageModel:
    """Draws parameters that give words very different probabilities."""
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter)
    return model


def loader(
    corpus: str, vocab: Vocabulary, batch_size: int, *, num_workers: int = 0, **reader: Any
) -> MultiProcessDataLoader:
    found = MultiProcessDataLoader(
        DatasetReader.from_params(Params({"type": "elmo_corpus", **reader})),
        corpus,
        batch_size=batch_size,
        num_workers=num_workers,
        max_instances_in_memory=64,
        quiet=True,
    )
    found.index_with(vocab)
    return found


def number(word: str) -> int:
    return WORDS.index(word if word in WORDS else "<UNK>")


def losses_of(
    model: ElmoLanguageModel, sentences: Sequence[Sequence[str]], direction: int
) -> list[tuple[int, float]]:
    """Returns each target and its loss, of sentences that are read as one stream."""
    inputs, targets = [], []
    for sentence in sentences:
        marked = ["<S>", *sentence, "</S>"]
        row = marked if direction == 0 else marked[::-1]
        inputs += row[:-1]
        targets += [number(word) for word in row[1:]]
    return list(zip(targets, expected_losses(model.language_model, inputs, targets, direction)))


def expected_metrics(
    model: ElmoLanguageModel, streams: Sequence[Sequence[Sequence[str]]]
) -> dict[str, float]:
    """Returns the metrics of streams of sentences, every target counted once."""
    both = [
        [pair for stream in streams for pair in losses_of(model, stream, direction)]
        for direction in range(2)
    ]
    every = [*both[0], *both[1]]
    assert len(every) == NUM_TARGETS
    known = [pair for pair in every if pair[0] != WORDS.index("<UNK>")]

    def perplexity(pairs: list[tuple[int, float]]) -> float:
        return math.exp(sum(loss for _, loss in pairs) / len(pairs))

    return {
        "perplexity": perplexity(every),
        "forward_perplexity": perplexity(both[0]),
        "backward_perplexity": perplexity(both[1]),
        "known_words_perplexity": perplexity(known),
        # 3 words, in both directions
        "unknown_words": 6 / NUM_TARGETS,
    }


@pytest.mark.parametrize(("batch_size", "num_workers"), [(4, 0), (11, 0), (3, 2)])
def test_perplexity_counts_each_token_of_all_batches_once(
    corpus: str, vocab: Vocabulary, batch_size: int, num_workers: int
) -> None:
    model = spread(make(vocab))
    batches = loader(corpus, vocab, batch_size, num_workers=num_workers)
    found = SimpleEvaluator()(model, batches)
    found.pop("loss", None)
    assert found == pytest.approx(
        expected_metrics(model, [[sentence] for sentence in SENTENCES]), rel=1e-4
    )


@pytest.mark.parametrize("unroll_steps", [1, 4, 100])
def test_a_stream_in_cuts_is_one_long_run(
    corpus: str, vocab: Vocabulary, unroll_steps: int
) -> None:
    model = spread(make(vocab))
    settings = {"packing": "streams", "num_streams": 1, "unroll_steps": unroll_steps}
    batches = loader(corpus, vocab, 1, **settings)
    # a second run begins anew
    for _ in range(2):
        found = SimpleEvaluator()(model, batches)
        found.pop("loss", None)
        assert found == pytest.approx(expected_metrics(model, [SENTENCES]), rel=1e-4)


def test_evaluation_between_two_batches_leaves_training_its_streams(
    corpus: str, vocab: Vocabulary
) -> None:
    model = spread(make(vocab))
    settings = {"packing": "streams", "num_streams": 2, "unroll_steps": 4}
    first, second, *_ = loader(corpus, vocab, 2, **settings)
    model(**first)
    expected = model(**second)["loss"]
    model(**first)
    SimpleEvaluator()(model, loader(corpus, vocab, 4))
    SimpleEvaluator()(model, loader(corpus, vocab, 3, **{**settings, "num_streams": 3}))
    model.train()
    torch.testing.assert_close(model(**second)["loss"], expected)


def test_the_loss_is_the_mean_over_both_directions_targets(corpus: str, vocab: Vocabulary) -> None:
    model = spread(make(vocab))
    (batch,) = loader(corpus, vocab, 11)
    output = model(**batch)
    metrics = expected_metrics(model, [[sentence] for sentence in SENTENCES])
    assert float(output["loss"].detach()) == pytest.approx(math.log(metrics["perplexity"]), 1e-4)
    assert output["token_losses"].shape == (11, 7, 2)
    assert int((output["token_losses"] > 0).sum()) == NUM_TARGETS
    output["loss"].backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


KINDS: list[tuple[Optional[dict[str, Any]], type, Optional[type]]] = [
    (None, FullSoftmax, OwnWeights),
    ({"type": "full"}, FullSoftmax, OwnWeights),
    ({"type": "full", "tied": True}, FullSoftmax, TiedWeights),
    ({"type": "sampled", "num_samples": 4}, SampledSoftmax, OwnWeights),
    ({"type": "sampled", "num_samples": 4, "sparse": True}, SampledSoftmax, OwnWeights),
    ({"type": "sampled", "num_samples": 4, "tied": True}, SampledSoftmax, TiedWeights),
    ({"type": "adaptive", "cutoffs": [4], "div_value": 1.0}, AdaptiveSoftmax, None),
]


@pytest.mark.parametrize(("softmax", "kind", "output"), KINDS, ids=lambda value: str(value))
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_each_kind_of_softmax_trains_and_is_evaluated(
    softmax: Optional[dict[str, Any]],
    kind: type,
    output: Optional[type],
    precision: str,
    corpus: str,
    vocab: Vocabulary,
) -> None:
    model = make(vocab, softmax=softmax, precision=precision, dropout=0.1)
    built = model.language_model.softmax
    assert type(built) is kind
    if output is not None:
        assert type(built.output) is output
    (batch,) = loader(corpus, vocab, 11)
    model(**batch)["loss"].backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.dtype == torch.float32, name
        sparse = softmax is not None and softmax.get("sparse", False) and "softmax" in name
        assert parameter.grad.is_sparse == (sparse and name.endswith("weight"))
    model.get_metrics(reset=True)
    # twice, since the character encoder keeps words' vectors
    first, second = (SimpleEvaluator()(model, loader(corpus, vocab, 4)) for _ in range(2))
    assert first == second
    exact = make(vocab, softmax=softmax, dropout=0.1)
    exact.load_state_dict(model.state_dict())
    # evaluation is float32's
    assert first == SimpleEvaluator()(exact, loader(corpus, vocab, 4))


def trained_dtype(model: ElmoLanguageModel, batch: dict[str, Any], device: str) -> torch.dtype:
    """Returns the dtype of a product in the middle of a training step."""
    found = []
    softmax = model.language_model.softmax
    handle = softmax.register_forward_pre_hook(
        lambda *_: found.append(torch.ones(2, 2, device=device) @ torch.ones(2, 2, device=device))
    )
    model.to(device).train()(**move_to_device(batch, torch.device(device)))
    handle.remove()
    return found[0].dtype


@pytest.mark.parametrize(
    "device",
    [
        "cpu",
        pytest.param(
            "cuda",
            marks=[
                pytest.mark.gpu,
                pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
            ],
        ),
    ],
)
def test_bfloat16_trains_with_products_of_bfloat16(
    device: str, corpus: str, vocab: Vocabulary
) -> None:
    (batch,) = loader(corpus, vocab, 11)
    for precision, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        assert trained_dtype(make(vocab, precision=precision), batch, device) == dtype
    # the trainer's `use_amp` stays in force
    with torch.autocast(device, dtype=torch.bfloat16):
        assert trained_dtype(make(vocab), batch, device) == torch.bfloat16


@pytest.mark.parametrize(
    ("packing", "softmax"),
    [("sentences", {"type": "full", "tied": True}), ("streams", KINDS[3][0])],
)
def test_a_model_from_an_archive_has_the_perplexity_that_training_found(
    packing: str, softmax: dict[str, Any], corpus: str, vocabulary_folder: Path, tmp_path: Path
) -> None:
    reader: dict[str, Any] = {"type": "elmo_corpus", "packing": packing}
    if packing == "streams":
        reader.update(num_streams=2, unroll_steps=5)
    batches = {"batch_size": 2, "max_instances_in_memory": 64}
    params = {
        "dataset_reader": {**reader, "shuffle_seed": 1},
        "validation_dataset_reader": reader,
        "train_data_path": corpus,
        "validation_data_path": corpus,
        "vocabulary": {
            "type": "from_files",
            "directory": str(vocabulary_folder),
            "oov_token": "<UNK>",
        },
        "model": {
            "type": "elmo_language_model",
            "architecture": ARCHITECTURE,
            "softmax": softmax,
            "dropout": 0.1,
        },
        "data_loader": batches,
        "trainer": {
            "num_epochs": 1,
            "optimizer": {"type": "adam", "lr": 0.01},
            "validation_metric": "-perplexity",
            "cuda_device": -1,
        },
    }
    folder = tmp_path / "run"
    trained = train_model(Params(copy.deepcopy(params)), str(folder))
    archive = load_archive(folder / "model.tar.gz")
    model, vocab = archive.model, archive.model.vocab
    for (name, one), other in zip(model.state_dict().items(), trained.state_dict().values()):
        assert torch.equal(one, other), name
    evaluated = loader(corpus, vocab, 2, **{key: reader[key] for key in reader if key != "type"})
    found = SimpleEvaluator()(model, evaluated)
    metrics = Params.from_file(str(folder / "metrics.json")).as_dict(quiet=True)
    for name in ("perplexity", "known_words_perplexity", "unknown_words"):
        assert found[name] == pytest.approx(metrics[f"best_validation_{name}"], rel=1e-6)


def test_an_architecture_may_be_a_name_or_a_file(vocab: Vocabulary, tmp_path: Path) -> None:
    file = tmp_path / "options.json"
    file.write_text(json.dumps(ARCHITECTURE), encoding="utf-8")
    own = copy.deepcopy(vocab)
    model = make(own, architecture=str(file))
    assert model.language_model.bilm.config == ElmoConfig.from_options(ARCHITECTURE)
    # an archive's vocabulary stores the numbers, so that it does not need the file
    file.unlink()
    assert make(own, architecture=str(file)).to_checkpoint().config == model.to_checkpoint().config
    assert make(vocab, architecture="english").to_checkpoint().config == ARCHITECTURES["english"]
    with pytest.raises(ConfigurationError, match=r"one of english, german, .* found 'englsh'"):
        make(vocab, architecture="englsh")


def test_a_batch_of_another_size_than_the_streams_is_an_error(
    corpus: str, vocab: Vocabulary
) -> None:
    settings = {"packing": "streams", "num_streams": 4, "unroll_steps": 2}
    for size, found in ((8, "[0, 1, 2, 3, 0, 1, 2, 3]"), (3, "[3, 0, 1]"), (2, "[2, 3]")):
        with pytest.raises(
            ConfigurationError, match=re.escape(f"found {found}. Set the data loader")
        ):
            SimpleEvaluator()(make(vocab), loader(corpus, vocab, size, **settings))
    # where no stream is known, the number of rows still is
    batch = next(iter(loader(corpus, vocab, 4, **settings)))
    batch.pop("stream")
    model = make(vocab)
    with pytest.raises(ConfigurationError, match="4 rows cannot continue a batch of 0 rows"):
        model(**{**batch, "continues": torch.ones(4, dtype=torch.bool)})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"precision": "float16"}, "must be one of float32, bfloat16; found 'float16'"),
        ({"dropout": 1.0}, "dropout must be at least 0 and below 1; found 1.0"),
        ({"architecture": {**ARCHITECTURE, "lstm": {}}}, "lstm.projection_dim is missing"),
        ({"target_namespace": "words"}, "no words in the namespace 'words'.*`elmo vocabulary"),
        ({"softmax": {"type": "sampled"}}, "below the 9 words of the vocabulary; found 8192"),
        (
            {"softmax": {"type": "sampled", "num_samples": 4, "tied": True, "sparse": True}},
            "tied weights has no sparse gradients",
        ),
        ({"softmax": {"type": "adaptive", "cutoffs": [9]}}, "adaptive softmax cannot be built"),
    ],
)
def test_what_cannot_be_is_an_error(
    settings: dict[str, Any], message: str, vocab: Vocabulary
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make(vocab, **settings)


def test_a_vocabulary_without_the_unknown_word_is_an_error(vocabulary_folder: Path) -> None:
    # as `from_files` reads it where `oov_token` was forgotten
    vocab = Vocabulary.from_files(str(vocabulary_folder))
    with pytest.raises(ConfigurationError, match=r"@@UNKNOWN@@.*oov_token"):
        make(vocab)


def test_a_reader_without_the_architectures_alphabet_is_an_error(
    corpus: str, vocab: Vocabulary
) -> None:
    characters = {**ARCHITECTURE["char_cnn"], "n_characters": 264, "alphabet": "ïc"}
    model = make(vocab, architecture={**ARCHITECTURE, "char_cnn": characters})
    indexer = {"type": "elmo_character_ids", "alphabet": "ïc"}
    for batch in loader(corpus, vocab, 4, token_indexers={"elmo": indexer}):
        assert model(**batch)["loss"] > 0
    model = make(vocab, architecture={**ARCHITECTURE, "char_cnn": characters})
    with pytest.raises(ConfigurationError, match="does not spell words as the architecture does"):
        for batch in loader(corpus, vocab, 4):
            model(**batch)
