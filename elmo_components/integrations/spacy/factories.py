"""Registers the pipes with spaCy, which imports this module with its first pipeline."""

from importlib import import_module
from importlib.util import find_spec
from typing import Any, Optional, Union

from spacy.language import Language

from elmo_components.embedding.batches import BATCH_SIZE
from elmo_components.integrations.spacy.vectors import ElmoVectors

__all__ = ["make_tagger", "make_vectors"]

# A module that needs AllenNLP. It is imported by name when the pipe is made, because spaCy imports
# every entry point, and must work without AllenNLP.
TAGGER = "elmo_components.registered.spacy_tagger"


@Language.factory(
    "elmo",
    assigns=["doc.tensor"],
    default_config={
        "model": "english",
        "layers": "mean",
        "batch_size": BATCH_SIZE,
        "precision": "float32",
        "device": "cpu",
    },
)
def make_vectors(
    nlp: Language,
    name: str,
    model: str,
    layers: Union[int, str, list[float]],
    batch_size: int,
    precision: str,
    device: str,
) -> ElmoVectors:
    """
    Returns a pipe that sets contextual vectors. See `ElmoVectors`.

    Registered as a spaCy factory with name "elmo".
    """
    return ElmoVectors(
        model,
        name=name,
        layers=layers,
        batch_size=batch_size,
        precision=precision,
        device=device,
    )


@Language.factory(
    "elmo_tagger",
    assigns=["doc.ents", "token.ent_iob", "token.ent_type", "token.tag", "token.pos"],
    default_config={"archive": None, "batch_size": BATCH_SIZE, "cuda_device": -1},
    default_score_weights={"ents_f": 1.0, "ents_p": 0.0, "ents_r": 0.0, "tag_acc": None},
)
def make_tagger(
    nlp: Language, name: str, archive: Optional[str], batch_size: int, cuda_device: int
) -> Any:
    """
    Returns a pipe that runs an AllenNLP tagger. See `ElmoTagger`.

    Registered as a spaCy factory with name "elmo_tagger".

    # Raises

    `ModuleNotFoundError` without AllenNLP.
    """
    if find_spec("allennlp") is None:
        raise ModuleNotFoundError(
            'The pipe "elmo_tagger" needs AllenNLP. Install it as README.md says under "Install"',
            name="allennlp",
        )
    make = import_module(TAGGER).ElmoTagger
    return make(archive, name=name, batch_size=batch_size, cuda_device=cuda_device)
