"""Tests of registered/models/word_teacher.py, and of the language model that learns from one."""

from pathlib import Path
from typing import Any

import pytest
from allennlp.commands.train import train_model
from allennlp.common import Params
from allennlp.common.checks import ConfigurationError
from allennlp.data import Vocabulary
from allennlp.models.archival import load_archive

from tests.registered.models.language_model_test import corpus as corpus
from tests.registered.models.language_model_test import loader, make
from tests.registered.models.language_model_test import vocab as vocab
from tests.registered.models.language_model_test import vocabulary_folder as vocabulary_folder
from tests.registered.models.teachers_test import configuration


def word_teacher(folder: Path, **settings: Any) -> dict[str, Any]:
    """Static vectors of two words of the corpus, and of one that the vocabulary does not have."""
    path = folder / "vectors.txt"
    # the entry "cat cat cat" has spaces in it, as some of GloVe's have
    lines = ["4 2", "cat 1.0 0.5", "fuchs 3 4", "cat cat cat 5 6", "naïve -1 2e-1"]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return {"pretrained_file": str(path), "size": 2, **settings}


def test_static_vectors_teach_the_character_encoder(
    corpus: str, vocab: Vocabulary, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = word_teacher(tmp_path, weight=3.0, words_per_batch=8)
    model = make(vocab, word_teacher=settings)
    (batch,) = loader(corpus, vocab, 11)
    output = model(**batch)
    own = output["token_losses"].sum() / (output["token_losses"] > 0).sum()
    metrics = model.get_metrics(reset=True)
    assert output["loss"].item() == pytest.approx(
        float(own) + 3 * metrics["word_teacher_loss"], 1e-5
    )
    assert "teacher_loss" not in metrics
    assert "lines without 2 numbers are skipped, such as one of 'cat', which has 4" in caplog.text
    assert model._word_teacher._vectors.tolist() == [[1.0, 0.5], [-1.0, pytest.approx(0.2)]]
    output["loss"].backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    # perplexity alone in evaluation
    model.eval()
    model(**batch)
    assert "word_teacher_loss" not in model.get_metrics()


def test_an_archive_needs_no_static_vectors(
    corpus: str, vocabulary_folder: Path, tmp_path: Path
) -> None:
    configured = configuration(corpus, vocabulary_folder, None)
    configured["model"]["word_teacher"] = word_teacher(tmp_path)
    train_model(Params(configured), str(tmp_path / "model"))
    (tmp_path / "vectors.txt").unlink()
    model = load_archive(tmp_path / "model" / "model.tar.gz").model
    (batch,) = loader(corpus, model.vocab, 11)
    assert model.eval()(**batch)["loss"] > 0
    with pytest.raises(ConfigurationError, match="no pretrained_file; AllenNLP drops"):
        model.train()(**batch)


def test_static_vectors_that_cannot_teach_are_an_error(
    corpus: str, vocab: Vocabulary, tmp_path: Path
) -> None:
    (batch,) = loader(corpus, vocab, 11)
    with pytest.raises(ConfigurationError, match=r"size must be 2, which .* for 'cat'; found 3"):
        make(vocab, word_teacher=word_teacher(tmp_path, size=3))(**batch)
    others = word_teacher(tmp_path)
    (tmp_path / "vectors.txt").write_text("fuchs 1 2\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="no vector of any word of the vocabulary"):
        make(vocab, word_teacher=others)(**batch)
    with pytest.raises(ConfigurationError, match="words_per_batch must be at least 1"):
        make(vocab, word_teacher={**others, "words_per_batch": 0})
