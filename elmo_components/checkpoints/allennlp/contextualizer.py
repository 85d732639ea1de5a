"""
The numbers of a biLM that allennlp-models' language model trained with the contextualizer
`elmo_lstm`, where its other parts compute what ELMo's do.
"""

from collections.abc import Mapping
from typing import Any

from elmo_components.checkpoints.checkpoint import CheckpointError
from elmo_components.config import ElmoConfig

__all__ = ["contextualizer_config"]

CONTEXTUALIZER = "elmo_lstm"
CHARACTER_ENCODER = "cnn-highway"
# Those that give words the ids that ELMo reads.
INDEXERS = ("elmo_character_ids", "elmo_characters")
# What ELMo puts before and after each sentence, as the reader writes it.
MARKS = {"start_tokens": ["<S>"], "end_tokens": ["</S>"]}


def contextualizer_config(settings: Mapping[str, Any]) -> ElmoConfig:
    """
    Returns the numbers that an archive's configuration has for the contextualizer and for the
    character encoder below it.

    # Raises

    `CheckpointError` that lists every part that ELMo has not, or has otherwise.
    """
    model, reader = _section(settings, "model"), _section(settings, "dataset_reader")
    lstm = _section(model, "contextualizer")
    embedders = {
        name: embedder
        for name, embedder in _section(
            _section(model, "text_field_embedder"), "token_embedders"
        ).items()
        if isinstance(embedder, Mapping) and embedder.get("type") != "empty"
    }
    if lstm.get("type") != CONTEXTUALIZER or len(embedders) != 1:
        raise CheckpointError(
            f"the configuration must be that of a language model with the contextualizer "
            f"{CONTEXTUALIZER!r} over one embedder of characters; found the contextualizer "
            f"{lstm.get('type')!r} over {', '.join(embedders) or 'none'}. A model that took its "
            "biLM from another archive does not say its numbers: take that archive"
        )
    ((name, embedder),) = embedders.items()
    encoder = _section(embedder, "encoder")
    problems = _lost(embedder, encoder, _section(_section(reader, "token_indexers"), name), reader)
    if problems:
        raise CheckpointError(
            "its language model is not an ELMo, whose vectors would be others: "
            + "; ".join(problems)
        )
    hidden_size = lstm.get("hidden_size")
    return ElmoConfig.from_options(
        {
            "lstm": {
                "projection_dim": hidden_size,
                "dim": lstm.get("cell_size") or hidden_size,
                "n_layers": lstm.get("num_layers", 2),
                "cell_clip": lstm.get("cell_clip"),
                "proj_clip": lstm.get("projection_clip"),
                "use_skip_connections": lstm.get("skip_connections", True),
            },
            "char_cnn": {
                "activation": encoder.get("activation", "relu"),
                "embedding": {"dim": encoder.get("embedding_dim")},
                "filters": encoder.get("filters"),
                "n_highway": encoder.get("num_highway"),
                "alphabet": _section(_section(reader, "token_indexers"), name).get("alphabet", ""),
            },
        }
    )


def _lost(
    embedder: Mapping[str, Any],
    encoder: Mapping[str, Any],
    indexer: Mapping[str, Any],
    reader: Mapping[str, Any],
) -> list[str]:
    """Returns, in words, what of the model ELMo has not."""
    problems = []
    if embedder.get("type") != "character_encoding" or encoder.get("type") != CHARACTER_ENCODER:
        problems.append(
            f"its words come from a {embedder.get('type')!r} with the encoder "
            f"{encoder.get('type')!r}, not from {CHARACTER_ENCODER!r}"
        )
    if encoder.get("do_layer_norm"):
        problems.append("its character encoder ends in a layer norm")
    location = encoder.get("projection_location", "after_highway")
    if location != "after_highway":
        problems.append(f"its character encoder projects {location}, not after_highway")
    if indexer.get("type") not in INDEXERS:
        problems.append(
            f"its characters have the ids of {indexer.get('type')!r}, not of {INDEXERS[0]!r}"
        )
    if indexer.get("tokens_to_add"):
        problems.append("its tokens_to_add have ids of their own")
    problems += [
        f"its reader has {reader.get(key)!r} for {key}, not {mark!r}"
        for key, mark in MARKS.items()
        if reader.get(key) != mark
    ]
    return problems


def _section(settings: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    section = settings.get(name)
    return section if isinstance(section, Mapping) else {}
