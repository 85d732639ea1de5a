"""An architecture with which spaCy's own tagger, parser and entity recognizer train on ELMo."""

from collections.abc import Callable
from typing import Any, Optional

import numpy
from spacy import registry
from spacy.tokens import Doc
from thinc.api import ArgsKwargs, Model, PyTorchShim, torch2xp, xp2torch
from thinc.types import Floats2d

from elmo_components.embedding.batches import BATCH_SIZE
from elmo_components.integrations.spacy.forks import use_one_thread_in_a_fork
from elmo_components.integrations.spacy.mixed_elmo import MixedElmo
from elmo_components.integrations.spacy.sentences import sentences_of

__all__ = ["elmo_tok2vec"]


@registry.architectures("elmo_components.ElmoTok2Vec.v1")
def elmo_tok2vec(
    model: str = "english",
    width: Optional[int] = None,
    trainable: bool = False,
    dropout: float = 0.5,
    batch_size: int = BATCH_SIZE,
    cache_gigabytes: float = 2.0,
) -> Model[list[Doc], list[Floats2d]]:
    """
    Returns a Thinc model: each token's vector is a learned mean of ELMo's layers.

    The checkpoint is read by `nlp.initialize`, and so by `spacy train`. A saved pipeline contains
    the weights and needs no other file. Tokens of white space have a vector of zeros. See
    `sentences_of` for what ELMo takes for a sentence.

    Registered as a spaCy architecture with name "elmo_components.ElmoTok2Vec.v1".

    # Parameters

    model : `str`
        A checkpoint. See `Elmo.from_pretrained`.
    width : `Optional[int]`
        The size of a learned projection of the mean; `None` for the mean itself, of ELMo's size.
        Needed where other layers have to know the size, as in `spacy.Tok2VecListener.v1`.
    trainable : `bool`
        Whether to train the biLM too. The mean and the projection are always trained.
    dropout : `float`
        In training, the probability that an element of the mean is 0.
    batch_size : `int`
        The number of sentences computed at once; fewer if they have more than 62 tokens.
    cache_gigabytes : `float`
        For a frozen biLM: the memory for the layers of sentences, from the first training step on,
        so that each is computed once; 0 for none. See `LayerCache`.

    # Raises

    `ValueError` for a number out of range.
    """
    if width is not None and width < 1:
        raise ValueError(f"width must be 1 or more, or null; found {width}")
    module = MixedElmo(
        width,
        trainable=trainable,
        dropout=dropout,
        batch_size=batch_size,
        cache_gigabytes=cache_gigabytes,
    )
    return Model(
        "elmo_tok2vec",
        _forward,
        init=_init,
        dims={"nO": width},
        attrs={"checkpoint": model},
        shims=[PyTorchShim(module)],
    )


def _init(model: Model, X: Any = None, Y: Any = None) -> None:
    module = model.shims[0]._model
    if module.elmo is None:
        module.load(model.attrs["checkpoint"])
    model.set_dim("nO", module.output_size)


def _forward(
    model: Model, docs: list[Doc], is_train: bool
) -> tuple[list[Floats2d], Callable[[list[Floats2d]], list[Doc]]]:
    use_one_thread_in_a_fork()
    shim = model.shims[0]
    sentences: list[list[str]] = []
    # for each document the indices of the tokens that have a vector
    places = []
    for doc in docs:
        found = sentences_of(doc)
        sentences += [[doc[index].text for index in sentence] for sentence in found]
        places.append(model.ops.asarray1i([index for sentence in found for index in sentence]))
    vectors = [model.ops.alloc2f(len(doc), shim._model.output_size) for doc in docs]
    if not sentences:
        return vectors, lambda grads: []
    # (words of all documents, size)
    output, backpropagate = shim(ArgsKwargs(args=(sentences,), kwargs={}), is_train)
    rows: Any = torch2xp(output)
    ends = numpy.cumsum([len(place) for place in places]).tolist()
    for vector, place, end in zip(vectors, places, ends):
        vector[place] = rows[end - len(place) : end]

    def backward(grads: list[Floats2d]) -> list[Doc]:
        grad = model.ops.xp.concatenate([one[place] for one, place in zip(grads, places)])
        tensors = xp2torch(model.ops.asarray2f(grad))
        backpropagate(ArgsKwargs(args=((output,),), kwargs={"grad_tensors": tensors}))
        return []

    return vectors, backward
