"""Pipelines that label text as "elmo_tagger" does, by simple rules."""

from typing import Any

import spacy
from spacy.tokens import Doc, Span, Token

__all__ = ["entity_pipeline", "tag_pipeline"]


def entity_pipeline() -> Any:
    """Every "Ada" and "Bob" is a person, with probability 0.75."""
    return _pipeline("people")


def tag_pipeline() -> Any:
    """Every token has the tag "X", with probability 0.5."""
    return _pipeline("tags")


def _pipeline(name: str) -> Any:
    for extended in (Span, Token):
        extended.set_extension("elmo_score", default=None, force=True)
    pipeline = spacy.blank("en")
    pipeline.add_pipe(f"elmo_test_{name}")
    return pipeline


@spacy.Language.component("elmo_test_people")
def people(doc: Doc) -> Doc:
    places = [token.i for token in doc if token.text in ("Ada", "Bob")]
    doc.ents = [Span(doc, place, place + 1, label="person") for place in places]
    for span in doc.ents:
        span._.elmo_score = 0.75
    return doc


@spacy.Language.component("elmo_test_tags")
def tags(doc: Doc) -> Doc:
    for token in doc:
        token.tag_ = "X"
        token._.elmo_score = 0.5
    return doc
