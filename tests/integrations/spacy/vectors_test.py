"""Tests of the pipe "elmo", its hooks and what it takes for a sentence."""

import importlib.util
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy
import pytest
import spacy
from spacy.language import Language
from spacy.tokens import Doc, Span, Token

import elmo_components.integrations.spacy.factories  # noqa: F401
from elmo_components.checkpoints import CheckpointError
from elmo_components.elmo import Elmo
from elmo_components.integrations import spacy as package
from elmo_components.integrations.spacy import sentences
from elmo_components.integrations.spacy.hooks import set_hooks
from elmo_components.integrations.spacy.sentences import sentences_of, windows
from tests.conftest import ROOT

TEXTS = ["Ana saw Oslo .", "", " \n ", "Oslo saw\n Ana", "x", "a b c d e f g"]


def pipeline(model: Path, **settings: Any) -> Language:
    nlp = spacy.blank("en")
    nlp.add_pipe("elmo", config={"model": str(model), **settings})
    return nlp


@pytest.fixture
def nlp(tiny_folder: Path) -> Language:
    return pipeline(tiny_folder)


def test_a_row_of_the_tensor_is_elmo_s_vector(nlp: Language, tiny: Elmo) -> None:
    doc = nlp("Ana saw Oslo .")
    (expected,) = tiny.embed([["Ana", "saw", "Oslo", "."]], layers="mean")
    assert doc.tensor.dtype == numpy.float32
    numpy.testing.assert_allclose(doc.tensor, expected, atol=1e-6)
    numpy.testing.assert_array_equal(doc[2].vector, doc.tensor[2])


@pytest.mark.parametrize("layers", ["mean", "top", 0, 2, [0.5, 0.25, 0.0]])
def test_layers_are_selected(layers: Any, tiny_folder: Path, tiny: Elmo) -> None:
    doc = pipeline(tiny_folder, layers=layers)("Ana saw Oslo")
    (every,) = tiny.embed([["Ana", "saw", "Oslo"]])
    weights = {"mean": [1 / 3] * 3, "top": [0, 0, 1], 0: [1, 0, 0], 2: [0, 0, 1]}
    chosen = layers if isinstance(layers, list) else weights[layers]
    expected = sum(weight * layer for weight, layer in zip(chosen, every))
    numpy.testing.assert_allclose(doc.tensor, expected, atol=1e-6)


def test_a_stream_equals_its_documents_in_their_order(nlp: Language) -> None:
    expected = [nlp(text).tensor for text in TEXTS]
    for settings in ({}, {"batch_size": 2}, {"n_process": 2}):
        with warnings.catch_warnings():
            # that hooks are lost between processes
            warnings.filterwarnings("ignore", message=r"\[W109\]")
            docs = list(nlp.pipe(TEXTS, **settings))
        assert [doc.text for doc in docs] == TEXTS
        for doc, tensor in zip(docs, expected):
            numpy.testing.assert_allclose(doc.tensor, tensor, atol=1e-6)


def test_two_processes_do_not_hang_after_one_has_used_threads(tiny_folder: Path) -> None:
    code = f"""
import spacy, torch
import elmo_components.integrations.spacy.factories
torch.set_num_threads(2)
nlp = spacy.blank("en")
nlp.add_pipe("elmo", config={{"model": {str(tiny_folder)!r}}})
# enough for PyTorch to start its threads
nlp("a " * 40)
torch.randn(600, 600) @ torch.randn(600, 600)
(torch.randn(1000000) + 1).exp()
docs = list(nlp.pipe(["a " * 40] * 4, n_process=2))
assert [len(doc.tensor) for doc in docs] == [40] * 4
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, cwd=ROOT, timeout=60)


def test_similarity_is_contextual(nlp: Language) -> None:
    first, second = nlp("Ana saw Oslo"), nlp("Oslo saw Ana")
    pairs: list[tuple[Any, Any]] = [
        (first[0], second[2]),
        (first[0:1], second[2:3]),
        (first[1:3], second[0:2]),
        (first, second),
        (first, second[1]),
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for one, other in pairs:
            cosine = one.vector @ other.vector / (one.vector_norm * other.vector_norm)
            assert one.similarity(other) == pytest.approx(cosine, abs=1e-6)
            # spaCy says 1 for the same word in another context
            assert one.similarity(other) < 0.9999
            assert one.similarity(one) == pytest.approx(1.0)
            assert one.has_vector and one.vector_norm > 0


def test_the_vector_of_a_span_is_the_mean_of_its_words(nlp: Language) -> None:
    doc = nlp("Ana  saw Oslo")
    assert [token.is_space for token in doc] == [False, True, False, False]
    assert not doc[1].has_vector and not doc[1].vector.any() and doc[1].vector_norm == 0.0
    assert doc[0].similarity(doc[1]) == 0.0
    numpy.testing.assert_allclose(doc[0:3].vector, doc.tensor[[0, 2]].mean(axis=0))
    numpy.testing.assert_allclose(doc.vector, doc.tensor[[0, 2, 3]].mean(axis=0))
    # as if it were not there
    numpy.testing.assert_allclose(doc.tensor[[0, 2, 3]], nlp("Ana saw Oslo").tensor, atol=1e-6)


@pytest.mark.parametrize("text", ["", " \n "])
def test_a_document_without_words_has_no_vector(nlp: Language, text: str) -> None:
    doc = nlp(text)
    assert doc.tensor.shape == (len(doc), 16) and not doc.tensor.any()
    assert doc.vector.shape == (16,) and not doc.has_vector and doc.vector_norm == 0.0
    assert doc.similarity(doc) == 0.0


def test_words_need_no_tokenizer(nlp: Language, tiny: Elmo) -> None:
    doc = nlp.get_pipe("elmo")(Doc(nlp.vocab, words=["New York", "'s", "我在"]))
    (expected,) = tiny.embed([["New York", "'s", "我在"]], layers="mean")
    numpy.testing.assert_allclose(doc.tensor, expected, atol=1e-6)


def test_sentences_are_embedded_separately(tiny_folder: Path) -> None:
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    nlp.add_pipe("elmo", config={"model": str(tiny_folder)})
    doc = nlp("Ana saw. Oslo saw.")
    numpy.testing.assert_allclose(doc.tensor[3:], nlp("Oslo saw.").tensor, atol=1e-6)
    whole = pipeline(tiny_folder)("Ana saw. Oslo saw.")
    assert numpy.abs(whole.tensor - doc.tensor).max() > 0.01
    assert sentences_of(doc) == [[0, 1, 2], [3, 4, 5]]
    assert sentences_of(whole) == [[0, 1, 2, 3, 4, 5]]


def test_a_long_sentence_is_divided_with_a_warning(
    nlp: Language, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sentences, "MAX_TOKENS", 4)
    doc = nlp("a b c d e f g h i")
    assert sentences_of(doc) == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    assert "A sentence of 9 tokens is divided into 3" in caplog.text
    numpy.testing.assert_allclose(doc.tensor[3:6], nlp("d e f").tensor, atol=1e-6)


def test_few_long_documents_are_read_ahead(nlp: Language, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sentences, "WINDOW", 5)
    docs = [nlp.make_doc(text) for text in ("a b c d e f", "", "a", "b", "c d e f", "a")]
    read = list(windows(docs, batch_size=3))
    assert [len(window) for window in read] == [1, 3, 2]
    assert [doc for window in read for doc in window] == docs
    assert list(windows([], batch_size=3)) == []


def test_a_saved_pipeline_has_its_checkpoint(tiny_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_folder, tmp_path / "mine")
    nlp = pipeline(tmp_path / "mine", layers="top")
    nlp.to_disk(tmp_path / "saved")
    expected = nlp("Ana saw Oslo").tensor
    shutil.rmtree(tmp_path / "mine")
    shutil.move(tmp_path / "saved", tmp_path / "moved")
    loaded = spacy.load(tmp_path / "moved")
    numpy.testing.assert_allclose(loaded("Ana saw Oslo").tensor, expected, atol=1e-6)
    loaded.to_disk(tmp_path / "moved")
    again = pipeline(tmp_path / "mine", layers="top").from_bytes(loaded.to_bytes())
    numpy.testing.assert_allclose(again("Ana saw Oslo").tensor, expected, atol=1e-6)


def test_weights_that_were_read_are_saved_whatever_the_pipe_s_model(
    nlp: Language, tmp_path: Path
) -> None:
    nlp.to_disk(tmp_path / "saved")
    expected = nlp("Ana saw Oslo").tensor
    usual = spacy.blank("en")
    pipe = usual.add_pipe("elmo")
    pipe.from_disk(tmp_path / "saved" / "elmo")
    usual.to_disk(tmp_path / "again")
    loaded = spacy.load(tmp_path / "again")
    numpy.testing.assert_allclose(loaded("Ana saw Oslo").tensor, expected, atol=1e-6)
    # and a folder without weights is of the model in the box
    (tmp_path / "empty").mkdir()
    pipe.from_disk(tmp_path / "empty")
    assert usual("Ana saw Oslo").tensor.shape == (3, 512)


def test_the_model_in_the_box_is_saved_by_its_name(tmp_path: Path) -> None:
    nlp = spacy.blank("en")
    nlp.add_pipe("elmo")
    nlp.to_disk(tmp_path / "saved")
    assert list((tmp_path / "saved" / "elmo").iterdir()) == []
    loaded = spacy.load(tmp_path / "saved").from_bytes(nlp.to_bytes())
    assert loaded("The bank").tensor.shape == (2, 512)


def test_hooks_can_be_set_again(nlp: Language) -> None:
    doc = nlp("Ana saw Oslo saw")
    read = Doc(nlp.vocab).from_bytes(doc.to_bytes(exclude=["user_hooks"]))
    assert read[1].similarity(read[3]) == 1.0
    assert set_hooks(read) is read
    assert read[1].similarity(read[3]) == pytest.approx(doc[1].similarity(doc[3]))
    with pytest.raises(ValueError, match='Run the pipe "elmo" on the document first'):
        set_hooks(nlp.make_doc("Ana"))


def test_vectors_of_other_sizes_are_not_compared(nlp: Language) -> None:
    english = spacy.blank("en")
    english.add_pipe("elmo")
    one: Span = nlp("Ana saw")[0:1]
    other: Token = english("Ana saw")[0]
    with pytest.raises(ValueError, match=r"found \(16,\) and \(512,\)"):
        one.similarity(other)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"layers": "all"}, "layers must select one vector per token"),
        ({"layers": "middle"}, "layers must be one of"),
        ({"layers": 3}, "layer must be from 0 to 2"),
        ({"layers": [1.0]}, "There must be 3 weights"),
        ({"batch_size": 0}, "batch_size must be 1 or more; found 0"),
        ({"precision": "int4"}, "precision"),
    ],
)
def test_a_wrong_setting_is_an_error(settings: Any, message: str, tiny_folder: Path) -> None:
    with pytest.raises(ValueError, match=message):
        pipeline(tiny_folder, **settings)("Ana")


def test_a_wrong_checkpoint_is_an_error(fixtures: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="is of no known format"):
        pipeline(fixtures / "README.md")
    with pytest.raises(FileNotFoundError, match="englsh"):
        pipeline(Path("englsh"))("Ana")
    archive = pipeline(fixtures / "before" / "tagger.tar.gz")
    assert archive("Ana").tensor.any()


def test_without_spacy_an_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'elmo_components\[spacy\]'"):
        exec(compile(Path(str(package.__file__)).read_text(), "__init__.py", "exec"), {})
