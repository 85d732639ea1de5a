"""Lets tokens, spans and documents of spaCy take their vectors from the document's tensor."""

from typing import Any, Union

import numpy
from spacy.tokens import Doc, Span, Token

__all__ = ["set_hooks"]


def set_hooks(doc: Doc) -> Doc:
    """
    Makes `vector`, `has_vector`, `vector_norm` and `similarity` of a document, its spans and its
    tokens contextual: a token's vector is its row of `doc.tensor`, and that of a span or document
    is the mean over its tokens without white space.

    The pipe "elmo" calls this. spaCy loses hooks where it copies a document through bytes, as with
    `nlp.pipe(n_process=2)`, and warns of it; call this on such documents again.

    # Returns

    `Doc`
        The same document.

    # Raises

    `ValueError` for a document without a tensor.
    """
    if doc.tensor.ndim != 2 or len(doc.tensor) != len(doc):
        raise ValueError(
            f"doc.tensor must have a row for each of {len(doc)} tokens; found the shape "
            f'{doc.tensor.shape}. Run the pipe "elmo" on the document first'
        )
    doc.user_token_hooks.update(
        vector=_token_vector, has_vector=_has_vector, vector_norm=_norm, similarity=_similarity
    )
    # spaCy takes a span's norm from its vector
    doc.user_span_hooks.update(vector=_mean_vector, has_vector=_has_vector, similarity=_similarity)
    doc.user_hooks.update(
        vector=_mean_vector, has_vector=_has_vector, vector_norm=_norm, similarity=_similarity
    )
    return doc


def _token_vector(token: Token) -> numpy.ndarray:
    """Returns (size,)."""
    return token.doc.tensor[token.i]


def _mean_vector(tokens: Union[Doc, Span]) -> numpy.ndarray:
    """Returns (size,)."""
    tensor = tokens.doc.tensor
    rows = [token.i for token in tokens if not token.is_space]
    return tensor[rows].mean(axis=0) if rows else numpy.zeros(tensor.shape[1], tensor.dtype)


def _has_vector(of: Union[Doc, Span, Token]) -> bool:
    return bool(of.vector.any())


def _norm(of: Union[Doc, Token]) -> float:
    return float(numpy.linalg.norm(numpy.asarray(of.vector)))


def _similarity(one: Union[Doc, Span, Token], other: Any) -> float:
    """Returns the cosine of both vectors; 0 if one has no vector."""
    first, second = numpy.asarray(one.vector), numpy.asarray(other.vector)
    if first.shape != second.shape:
        raise ValueError(
            f"Vectors must be of one size to compare them; found {first.shape} and "
            f'{second.shape}. Run the pipe "elmo" on both documents'
        )
    norms = numpy.linalg.norm(first) * numpy.linalg.norm(second)
    return float(numpy.dot(first, second) / norms) if norms else 0.0
