"""Tests of the architecture "elmo_components.ElmoTok2Vec.v1"."""

import shutil
from pathlib import Path
from typing import Any

import numpy
import pytest
import spacy
import torch
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from thinc.api import Adam, Model

from elmo_components.caching.layer_cache import LayerCache
from elmo_components.checkpoints import CheckpointError
from elmo_components.elmo import Elmo
from elmo_components.integrations.spacy.mixed_elmo import MixedElmo
from elmo_components.integrations.spacy.tok2vec import elmo_tok2vec

NLP = spacy.blank("en")
TEXTS = ["Ana saw Oslo .", "", " \n ", "Oslo saw\n Ana", "x"]
TAGGED = [("Ana saw Oslo", "N V N"), ("the dog barks", "D N V"), ("dogs bark .", "N V P")]


def docs(*texts: str) -> list[Doc]:
    return [NLP.make_doc(text) for text in texts]


def made(tiny_folder: Path, **settings: Any) -> Model:
    """A model without dropout, with the tiny biLM."""
    model = elmo_tok2vec(str(tiny_folder), **{"dropout": 0.0, **settings})
    model.initialize(X=docs("Ana"))
    return model


def module_of(model: Model) -> MixedElmo:
    return model.shims[0]._model


def gradients(model: Model) -> dict[str, torch.Tensor]:
    """The gradients of the sum of all vectors, weighted by their place."""
    vectors, backpropagate = model.begin_update(docs(*TEXTS))
    module = module_of(model)
    module.zero_grad()
    backpropagate([weights(one) for one in vectors])
    return {
        name: one.grad.clone() for name, one in module.named_parameters() if one.grad is not None
    }


def weights(vectors: numpy.ndarray) -> numpy.ndarray:
    return numpy.arange(vectors.size, dtype=numpy.float32).reshape(vectors.shape) / 10


def test_an_untrained_mean_is_the_mean_of_all_layers(tiny_folder: Path, tiny: Elmo) -> None:
    model = made(tiny_folder, batch_size=2)
    vectors = model.predict(docs(*TEXTS))
    assert [one.shape for one in vectors] == [(len(doc), 16) for doc in docs(*TEXTS)]
    words = [["Ana", "saw", "Oslo", "."], ["Oslo", "saw", "Ana"]]
    first, second = tiny.embed(words, layers="mean")
    numpy.testing.assert_allclose(vectors[0], first, atol=1e-6)
    numpy.testing.assert_allclose(vectors[3][[0, 1, 3]], second, atol=1e-6)
    # white space
    assert not vectors[3][2].any() and not vectors[2].any()
    assert model.get_dim("nO") == 16


def test_gradients_are_those_of_elmo(tiny_folder: Path) -> None:
    found = gradients(made(tiny_folder, trainable=True))
    elmo = Elmo.from_pretrained(tiny_folder, dropout=0.0, requires_grad=True).train()
    loss = torch.zeros(())
    vectors = made(tiny_folder).predict(docs(*TEXTS))
    for doc, one in zip(docs(*TEXTS), vectors):
        words = [token.i for token in doc if not token.is_space]
        if words:
            ids = elmo._characters.batch_ids([[doc[place].text for place in words]])
            (output,) = elmo(ids)["elmo_representations"]
            loss = loss + (output[0] * torch.from_numpy(weights(one)[words])).sum()
    loss.backward()
    expected = {name: one.grad for name, one in elmo.named_parameters() if one.grad is not None}
    assert found.keys() == {f"elmo.{name}" for name in expected}
    for name, grad in expected.items():
        torch.testing.assert_close(found[f"elmo.{name}"], grad, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("trainable", [False, True])
def test_training_changes_what_is_trained(trainable: bool, tiny_folder: Path) -> None:
    model = made(tiny_folder, trainable=trainable, width=3)
    before = {name: one.clone() for name, one in module_of(model).state_dict().items()}
    gradients(model)
    model.finish_update(Adam(0.01))
    after = module_of(model).state_dict()
    changed = {name.split(".")[1] for name, one in after.items() if not one.equal(before[name])}
    # the layers' mean and the projection's weights, and the biLM
    assert changed == {"scalar_mixes", "weight", "bias"} | ({"bilm"} if trainable else set())


def test_the_layers_of_a_sentence_are_computed_once_in_training(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = made(tiny_folder)
    model.predict(docs(*TEXTS))
    # texts to predict for are new ones
    assert module_of(model).elmo.layer_cache is None
    expected = gradients(model)
    assert len(module_of(model).elmo.layer_cache) == 3
    vectors = model.predict(docs(*TEXTS))
    with monkeypatch.context() as patch:
        patch.setattr(LayerCache, "_computed", None)
        again = gradients(model)
        cached = model.predict(docs(*TEXTS))
    for name, grad in expected.items():
        torch.testing.assert_close(again[name], grad)
    for one, other in zip(vectors, cached):
        numpy.testing.assert_array_equal(one, other)
    without = made(tiny_folder, cache_gigabytes=0)
    assert gradients(without).keys() == expected.keys()
    assert module_of(without).elmo.layer_cache is None


def test_weights_are_saved_with_the_architecture(tiny_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_folder, tmp_path / "mine")
    model = made(tmp_path / "mine", width=5)
    gradients(model)
    model.finish_update(Adam(0.01))
    shutil.rmtree(tmp_path / "mine")
    loaded = elmo_tok2vec(str(tmp_path / "mine"), width=5, dropout=0.0)
    loaded.from_bytes(model.to_bytes())
    for one, other in zip(loaded.predict(docs(*TEXTS)), model.predict(docs(*TEXTS))):
        numpy.testing.assert_array_equal(one, other)
    # a trained one is not read from its checkpoint again
    loaded.initialize(X=docs("Ana"))
    loaded.from_bytes(loaded.to_bytes())
    copied = model.copy()
    numpy.testing.assert_array_equal(copied.predict(docs("Ana"))[0], loaded.predict(docs("Ana"))[0])


def tagger(model: dict[str, Any], *, listener: bool) -> Language:
    nlp = spacy.blank("en")
    tok2vec: dict[str, Any] = model
    if listener:
        nlp.add_pipe("tok2vec", config={"model": model})
        tok2vec = {"@architectures": "spacy.Tok2VecListener.v1", "width": model["width"]}
    architecture = {"@architectures": "spacy.Tagger.v2", "tok2vec": tok2vec}
    nlp.add_pipe("tagger", config={"model": architecture})
    return nlp


@pytest.mark.parametrize(("listener", "width"), [(False, None), (False, 12), (True, 12)])
def test_spacy_s_tagger_learns(
    listener: bool, width: Any, tiny_folder: Path, tmp_path: Path
) -> None:
    architecture = {
        "@architectures": "elmo_components.ElmoTok2Vec.v1",
        "model": str(tiny_folder),
        "width": width,
        "dropout": 0.0,
    }
    nlp = tagger(architecture, listener=listener)
    examples = [
        Example(nlp.make_doc(text), Doc(nlp.vocab, words=text.split(), tags=tags.split()))
        for text, tags in TAGGED
    ]
    optimizer = nlp.initialize(lambda: examples)
    # with a listener spaCy applies a gradient one step late
    optimizer.learn_rate = 0.005
    for _ in range(250):
        nlp.update(examples, sgd=optimizer)
    found = [[token.tag_ for token in nlp(text)] for text, _ in TAGGED]
    assert found == [tags.split() for _, tags in TAGGED]
    nlp.to_disk(tmp_path / "saved")
    loaded = spacy.load(tmp_path / "saved")
    assert [[token.tag_ for token in doc] for doc in loaded.pipe(dict(TAGGED))] == found
    assert loaded("").text == ""


def test_a_model_without_weights_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"no weights yet\. Call nlp\.initialize\(\)"):
        elmo_tok2vec("english").predict(docs("Ana"))


def test_a_wrong_checkpoint_is_an_error_when_it_is_read(fixtures: Path) -> None:
    with pytest.raises(CheckpointError, match="is of no known format"):
        elmo_tok2vec(str(fixtures / "README.md")).initialize(X=docs("Ana"))
    with pytest.raises(FileNotFoundError, match="englsh"):
        elmo_tok2vec("englsh").initialize(X=docs("Ana"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"width": 0}, "width must be 1 or more, or null; found 0"),
        ({"dropout": 1.0}, "dropout must be at least 0 and below 1"),
        ({"batch_size": 0}, "batch_size must be 1 or more"),
        ({"cache_gigabytes": -1.0}, "cache_gigabytes must be 0 or more"),
    ],
)
def test_a_wrong_setting_is_an_error(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        elmo_tok2vec("english", **settings)
