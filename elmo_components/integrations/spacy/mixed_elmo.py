"""A PyTorch module whose state contains ELMo's architecture, for spaCy to save and load."""

import json
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, Optional

import torch
from torch import nn

from elmo_components import checkpoints
from elmo_components.caching.layer_cache import LayerCache
from elmo_components.characters import CharacterMapper
from elmo_components.config import ElmoConfig
from elmo_components.elmo import Elmo
from elmo_components.embedding.batches import batches_by_length

__all__ = ["MixedElmo"]


class MixedElmo(nn.Module):
    """
    Sentences to one vector per word: a learned mean of ELMo's layers, projected or not.

    A new one has no biLM. `load` reads it from a checkpoint, and `load_state_dict` makes one of the
    architecture that the state contains.

    # Parameters

    width : `Optional[int]`
        The size of the projection; `None` for none. The other parameters are those of
        `elmo_tok2vec`.

    # Raises

    `ValueError` for a number out of range.
    """

    # the architecture as JSON in UTF-8, or nothing
    architecture: torch.Tensor

    def __init__(
        self,
        width: Optional[int],
        *,
        trainable: bool,
        dropout: float,
        batch_size: int,
        cache_gigabytes: float,
    ) -> None:
        super().__init__()
        if batch_size < 1:
            raise ValueError(f"batch_size must be 1 or more; found {batch_size}")
        if not 0.0 <= dropout < 1.0:
            raise ValueError(f"dropout must be at least 0 and below 1; found {dropout}")
        if cache_gigabytes < 0.0:
            raise ValueError(f"cache_gigabytes must be 0 or more; found {cache_gigabytes}")
        self.elmo: Optional[Elmo] = None
        self.projection: Optional[nn.Linear] = None
        self.register_buffer("architecture", torch.zeros(0, dtype=torch.uint8))
        self._width = width
        self._trainable = trainable
        self._dropout = dropout
        self._batch_size = batch_size
        size = int(cache_gigabytes * 1e9)
        self._layer_cache = LayerCache(size) if size and not trainable else None

    @property
    def output_size(self) -> int:
        """
        The size of a word's vector.

        # Raises

        `ValueError` without a biLM.
        """
        if self._width is not None:
            return self._width
        return self._loaded().config.output_size

    def load(self, checkpoint: str) -> None:
        """Reads a biLM. See `Elmo.from_pretrained`."""
        read = checkpoints.load(checkpoint)
        self._build(read.config).load_checkpoint(read)

    def forward(self, sentences: Sequence[Sequence[str]]) -> torch.Tensor:
        """
        # Parameters

        sentences : `Sequence[Sequence[str]]`
            At least one, and each of at least one word.

        # Returns

        `torch.Tensor`
            (words, output_size): of all sentences in their order.
        """
        elmo = self._loaded()
        if self.training:
            # only training reads sentences again
            elmo.layer_cache = self._layer_cache
        characters = CharacterMapper.of(elmo.config.char_cnn)
        lengths = [len(sentence) for sentence in sentences]
        starts = [0, *accumulate(lengths)]
        batches, rows = [], []
        for chosen in batches_by_length(lengths, self._batch_size):
            ids = characters.batch_ids([sentences[place] for place in chosen])
            output = elmo(ids.to(self.architecture.device))
            # (words of the batch, 2 * hidden_size)
            batches.append(output["elmo_representations"][0][output["mask"]])
            rows += [row for place in chosen for row in range(starts[place], starts[place + 1])]
        # (words, 2 * hidden_size), in the order of the sentences
        vectors = torch.cat(batches)[torch.tensor(rows).argsort().to(self.architecture.device)]
        return vectors if self.projection is None else self.projection(vectors)

    def _loaded(self) -> Elmo:
        if self.elmo is None:
            raise ValueError(
                "This ElmoTok2Vec has no weights yet. Call nlp.initialize(), train the pipeline "
                "with `spacy train`, or load a saved one"
            )
        return self.elmo

    def _build(self, config: ElmoConfig) -> Elmo:
        device = self.architecture.device
        self.elmo = Elmo(config, dropout=self._dropout, requires_grad=self._trainable).to(device)
        if self._width is not None:
            self.projection = nn.Linear(config.output_size, self._width).to(device)
        data = json.dumps(config.to_options()).encode()
        self.architecture = torch.tensor(list(data), dtype=torch.uint8, device=device)
        return self.elmo

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *arguments: Any
    ) -> None:
        # torch calls this before it loads the modules that are made here
        found = state_dict.get(f"{prefix}architecture")
        if (
            found is not None
            and len(found)
            and not torch.equal(found.cpu(), self.architecture.cpu())
        ):
            options = json.loads(bytes(found.tolist()))
            self._build(ElmoConfig.from_options(options))
        super()._load_from_state_dict(state_dict, prefix, *arguments)
