"""Words to their vectors: `CharCnn` beside AllenNLP's `_ElmoCharacterEncoder`, the same weights."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from allennlp.modules.elmo import _ElmoCharacterEncoder
from side_by_side import SHAPES, take_turns

from elmo_components.characters import BOS_TOKEN, EOS_TOKEN, CharacterMapper
from elmo_components.checkpoints.bilm_tf.format import save
from elmo_components.checkpoints.checkpoint import Checkpoint
from elmo_components.config import ElmoConfig, LstmConfig
from elmo_components.modules.bilm import BiLm
from elmo_components.modules.char_cnn import CharCnn

WORDS = 1000


def measure(sentences: Sequence[list[str]], repeats: int) -> list[dict[str, Any]]:
    """Returns, for the first thousand words, a row for each shape, forward and backward too."""
    words = [word for sentence in sentences for word in sentence][:WORDS]
    ids = CharacterMapper().batch_ids([words])
    # AllenNLP's encoder adds the sentence marks itself
    marked = CharacterMapper().batch_ids([[BOS_TOKEN, *words, EOS_TOKEN]])
    rows = []
    for name, config in SHAPES.items():
        ours, theirs = _encoders(config)

        def forward_theirs(theirs: _ElmoCharacterEncoder = theirs) -> torch.Tensor:
            return theirs(ids)["token_embedding"]

        def forward_ours(ours: CharCnn = ours) -> torch.Tensor:
            return ours(marked)

        with torch.no_grad():
            difference = (forward_ours() - forward_theirs()).abs().max()
            forward = take_turns({"allennlp": forward_theirs, "ours": forward_ours}, repeats)
        training = take_turns(
            {
                "allennlp": lambda: forward_theirs().sum().backward(),
                "ours": lambda: forward_ours().sum().backward(),
            },
            repeats,
        )
        for seconds, title in ((forward, "forward"), (training, "forward and backward")):
            rows.append(
                {
                    "case": f"{name}, character encoder {title}, {len(words)} running words",
                    "unit": "words/s",
                    "allennlp": len(words) / seconds["allennlp"],
                    "ours": len(words) / seconds["ours"],
                    "largest_difference": float(difference),
                }
            )
    return rows


def _encoders(config: ElmoConfig) -> tuple[CharCnn, _ElmoCharacterEncoder]:
    # the file must have an LSTM, which nothing here uses
    size = config.lstm.hidden_size
    config = ElmoConfig(config.char_cnn, LstmConfig(size, 1, 1, None, None, False))
    bilm = BiLm(config, word_cache_size=0)
    with tempfile.TemporaryDirectory() as folder:
        save(Checkpoint(config, bilm.state_dict()), Path(folder))
        theirs = _ElmoCharacterEncoder(
            f"{folder}/options.json", f"{folder}/weights.hdf5", requires_grad=True
        )
    return bilm.char_cnn, theirs
