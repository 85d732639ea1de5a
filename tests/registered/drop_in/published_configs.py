"""
Configurations with ELMo that AllenNLP published, cut down: the same readers, models and trainers,
with small sizes, over a few sentences of our own. They cover the ways in which models take an ELMo.

What else differs from what was published (allennlp-models 2.10.1, `training_config/`): no word
vectors from files; validation on the training sentences; tokenizers that need no model of spaCy's;
and the checkpointer's setting under the name that AllenNLP 2.10.1 takes.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["CONFIGS"]

# word/part of speech/entity; the first word is the subject, the second one the verb
SENTENCES = [
    "Anna/NNP/I-PER lives/VBZ/O in/IN/O Bonn/NNP/I-LOC ././O",
    "Storks/NNS/O eat/VBP/O frogs/NNS/O",
    "Bonn/NNP/I-LOC lies/VBZ/O on/IN/O the/DT/O Rhine/NNP/I-LOC and/CC/O sleeps/VBZ/O ././O",
    "Rain/NN/O fell/VBD/O",
    "Siemens/NNP/I-ORG built/VBD/O a/DT/O factory/NN/O near/IN/O Linz/NNP/I-LOC ././O",
    "Nobody/NN/O knew/VBD/O why/WRB/O ?/./O",
    "Ms./NNP/O Haag/NNP/I-PER plays/VBZ/O Elianti/NNP/I-MISC ././O",
    "Birds/NNS/O sang/VBD/O naïvely/RB/O until/IN/O the/DT/O bank/NN/O opened/VBD/O",
]
TOKENS = [[token.split("/") for token in sentence.split()] for sentence in SENTENCES]
WORDS = [[word for word, _, _ in tokens] for tokens in TOKENS]

ELMO_INDEXER = {"type": "elmo_characters"}
# The size of the ELMo that is given.
ELMO_SIZE = 16

Config = dict[str, Any]


def ner_elmo(elmo: Config, folder: Path) -> Config:
    lines = ["-DOCSTART- -X- -X- O", ""]
    for tokens in TOKENS:
        lines += [f"{word} {tag} O {entity}" for word, tag, entity in tokens] + [""]
    return {
        "dataset_reader": {
            "type": "conll2003",
            "tag_label": "ner",
            "coding_scheme": "BIOUL",
            "token_indexers": {
                "tokens": {"type": "single_id", "lowercase_tokens": True},
                "token_characters": {"type": "characters", "min_padding_length": 3},
                "elmo": ELMO_INDEXER,
            },
        },
        **_data(folder / "ner.txt", "\n".join(lines)),
        "model": {
            "type": "crf_tagger",
            "label_encoding": "BIOUL",
            "dropout": 0.5,
            "include_start_end_transitions": False,
            "text_field_embedder": {
                "token_embedders": {
                    "tokens": {"type": "embedding", "embedding_dim": 5, "trainable": True},
                    "elmo": {**_embedder(elmo), "dropout": 0.0},
                    "token_characters": _characters(filters=4, width=3, activation="relu"),
                }
            },
            "encoder": _lstm(5 + ELMO_SIZE + 4, 6, num_layers=2, dropout=0.5),
            "regularizer": {"regexes": [["scalar_parameters", {"type": "l2", "alpha": 0.1}]]},
        },
        "data_loader": {"batch_size": 3},
        "trainer": {
            "optimizer": {"type": "adam", "lr": 0.001},
            "checkpointer": {"keep_most_recent_by_count": 3},
            "validation_metric": "+f1-measure-overall",
            "num_epochs": 2,
            "grad_norm": 5.0,
            "patience": 25,
        },
    }


def biattentive_classification_network_elmo(elmo: Config, folder: Path) -> Config:
    trees = [_sentiment(words, number) for number, words in enumerate(WORDS)]
    reader = {
        "type": "sst_tokens",
        "use_subtrees": True,
        "granularity": "5-class",
        "token_indexers": {"tokens": {"type": "single_id"}, "elmo": ELMO_INDEXER},
    }
    return {
        "dataset_reader": {**reader, "max_instances": 16},
        "validation_dataset_reader": {**reader, "use_subtrees": False},
        **_data(folder / "sst.txt", "\n".join(trees)),
        "model": {
            "type": "bcn",
            "text_field_embedder": {
                "token_embedders": {
                    "tokens": {"type": "embedding", "embedding_dim": 6, "trainable": False}
                }
            },
            "embedding_dropout": 0.5,
            "pre_encode_feedforward": {
                "input_dim": 6 + ELMO_SIZE,
                "num_layers": 1,
                "hidden_dims": [5],
                "activations": ["relu"],
                "dropout": [0.25],
            },
            "encoder": _lstm(5, 5),
            "integrator": _lstm(30, 5),
            "integrator_dropout": 0.1,
            "elmo": {
                **elmo,
                "do_layer_norm": False,
                "dropout": 0.0,
                "num_output_representations": 1,
            },
            "use_input_elmo": True,
            "use_integrator_output_elmo": False,
            "output_layer": {
                "input_dim": 40,
                "num_layers": 3,
                "output_dims": [20, 10, 5],
                "pool_sizes": 4,
                "dropout": [0.2, 0.3, 0.0],
            },
        },
        "data_loader": _buckets(4),
        "trainer": {
            "num_epochs": 2,
            "patience": 5,
            "grad_norm": 5.0,
            "validation_metric": "+accuracy",
            "optimizer": {"type": "adam", "lr": 0.001},
        },
    }


def bidaf_elmo(elmo: Config, folder: Path) -> Config:
    paragraphs = []
    for number, words in enumerate(WORDS):
        context = " ".join(words)
        answer = {"text": words[1], "answer_start": len(words[0]) + 1}
        question = {"id": str(number), "question": f"What of {words[0]} ?", "answers": [answer]}
        paragraphs.append({"context": context, "qas": [question]})
    return {
        "dataset_reader": {
            "type": "squad",
            "tokenizer": "letters_digits",
            "token_indexers": {
                "tokens": {"type": "single_id", "lowercase_tokens": True},
                "elmo": ELMO_INDEXER,
                "token_characters": {
                    "type": "characters",
                    "character_tokenizer": {
                        "byte_encoding": "utf-8",
                        "start_tokens": [259],
                        "end_tokens": [260],
                    },
                    "min_padding_length": 5,
                },
            },
        },
        **_data(folder / "squad.json", json.dumps({"data": [{"paragraphs": paragraphs}]})),
        "model": {
            "type": "bidaf",
            "text_field_embedder": {
                "token_embedders": {
                    "tokens": {"type": "embedding", "embedding_dim": 6, "trainable": False},
                    "elmo": {**_embedder(elmo), "dropout": 0.0},
                    "token_characters": {
                        **_characters(filters=4, width=5, embeddings=262),
                        "dropout": 0.2,
                    },
                }
            },
            "num_highway_layers": 2,
            "phrase_layer": _lstm(6 + ELMO_SIZE + 4, 5),
            "matrix_attention": {
                "type": "linear",
                "combination": "x,y,x*y",
                "tensor_1_dim": 10,
                "tensor_2_dim": 10,
            },
            "modeling_layer": _lstm(40, 5, num_layers=2, dropout=0.2),
            "span_end_encoder": _lstm(70, 5),
            "dropout": 0.2,
        },
        "data_loader": _buckets(3),
        "trainer": {
            "num_epochs": 2,
            "grad_norm": 5.0,
            "patience": 10,
            "validation_metric": "+em",
            "learning_rate_scheduler": _plateau(patience=2),
            "optimizer": {"type": "adam", "betas": [0.9, 0.9]},
        },
    }


# Each is given the settings `options_file` and `weight_file` of an ELMo, and a folder for its data.
CONFIGS: list[Callable[[Config, Path], Config]] = [
    ner_elmo,
    biattentive_classification_network_elmo,
    bidaf_elmo,
]


def _data(path: Path, text: str) -> Config:
    path.write_text(text + "\n", encoding="utf-8")
    return {"train_data_path": str(path), "validation_data_path": str(path)}


def _embedder(elmo: Config) -> Config:
    return {"type": "elmo_token_embedder", **elmo, "do_layer_norm": False}


def _lstm(input_size: int, hidden_size: int, **settings: Any) -> Config:
    return {
        "type": "lstm",
        "input_size": input_size,
        "hidden_size": hidden_size,
        "num_layers": 1,
        "bidirectional": True,
        **settings,
    }


def _characters(*, filters: int, width: int, embeddings: int = 0, activation: str = "") -> Config:
    return {
        "type": "character_encoding",
        "embedding": {"embedding_dim": 3, **({"num_embeddings": embeddings} if embeddings else {})},
        "encoder": {
            "type": "cnn",
            "embedding_dim": 3,
            "num_filters": filters,
            "ngram_filter_sizes": [width],
            **({"conv_layer_activation": activation} if activation else {}),
        },
    }


def _buckets(batch_size: int) -> Config:
    return {"batch_sampler": {"type": "bucket", "batch_size": batch_size}}


def _plateau(*, patience: int) -> Config:
    return {"type": "reduce_on_plateau", "factor": 0.5, "mode": "max", "patience": patience}


def _sentiment(words: list[str], number: int) -> str:
    """A tree that branches to the right, with a label from 0 to 4 at each node."""
    label = (number + len(words)) % 5
    if len(words) == 1:
        return f"({label} {words[0]})"
    return f"({label} ({number % 5} {words[0]}) {_sentiment(words[1:], number)})"
