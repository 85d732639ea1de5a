"""Writes the card of a checkpoint: the README.md of its repository on the Hugging Face Hub."""

import json
from dataclasses import dataclass
from typing import Optional

import torch

from elmo_components.checkpoints.checkpoint import Checkpoint

__all__ = ["Author", "model_card"]

# https://huggingface.co/docs/hub/model-cards#model-card-metadata
HEADER = {
    "library_name": "elmo_components",
    "pipeline_tag": "feature-extraction",
    "tags": ["elmo", "pytorch", "safetensors"],
}
EMPTY = "<!-- Your text: the training data, the intended use, the limits, results. -->"


@dataclass(frozen=True)
class Author:
    """
    What only the author of a checkpoint knows.

    # Parameters

    languages : `tuple[str, ...]`
        Their ISO 639-1 codes, such as "en".
    license : `Optional[str]`
        Its identifier on the Hub, such as "apache-2.0".
    description : `str`
        Markdown text: the training data, the intended use, the limits.
    """

    languages: tuple[str, ...] = ()
    license: Optional[str] = None
    description: str = ""


def model_card(
    checkpoint: Checkpoint, author: Author, *, file_size: int, dtype: torch.dtype
) -> str:
    """
    Returns a model card in Markdown, with the Hub's metadata at its head.

    # Parameters

    file_size : `int`
        The size of `model.safetensors` in bytes.
    """
    config = checkpoint.config
    number = sum(tensor.numel() for tensor in checkpoint.tensors.values())
    rows = {
        "layers": f"{config.num_layers}: the character encoder and {config.lstm.num_layers} LSTM "
        "layers in each direction",
        "vector of a token": f"{config.output_size} numbers per layer",
        "LSTM": f"cell_size {config.lstm.cell_size}, hidden_size {config.lstm.hidden_size}",
        "character encoder": f"{config.char_cnn.num_filters} filters, "
        f"highway layers: {config.char_cnn.num_highway_layers}, reads {_units(checkpoint)}",
        "parameters": f"{number:,}",
        "file": f"{file_size / 1e6:,.1f} MB in {str(dtype).rpartition('.')[2]}",
    }
    table = "\n".join(f"| {name} | {value} |" for name, value in rows.items())
    return f"""{_header(author)}
# ELMo

A bidirectional language model over characters (Peters et al. 2018, *Deep contextualized word
representations*). It gives each token vectors that depend on its sentence.

{author.description.strip() or EMPTY}

## Sizes

| | |
|---|---|
{table}

## Use

```python
from elmo_components import Elmo

# this repository's name on the Hub, or the path of its folder
elmo = Elmo.from_pretrained("organisation/name")
layers = elmo.embed([["A", "sentence", "in", "tokens"]])[0]
print(layers.shape)  # ({config.num_layers}, 4, {config.output_size})
```

In an AllenNLP configuration, the embedder `elmo` takes the same name as `pretrained_file`.
"""


def _header(author: Author) -> str:
    fields = dict(HEADER)
    if author.languages:
        fields["language"] = list(author.languages)
    if author.license is not None:
        fields["license"] = author.license
    # a JSON value is a YAML value
    lines = [f"{name}: {json.dumps(value)}" for name, value in fields.items()]
    return "\n".join(["---", *lines, "---"])


def _units(checkpoint: Checkpoint) -> str:
    cnn = checkpoint.config.char_cnn
    alphabet = f", with an alphabet of {len(cnn.alphabet):,} characters" if cnn.alphabet else ""
    words = f", with a table of {cnn.num_words:,} words" if cnn.words else ""
    return f"{cnn.units.replace('_', ' ')}{alphabet}{words}"
