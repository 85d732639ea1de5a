"""ELMo: a biLM whose layers are mixed into one or more vectors per token."""

import logging
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Optional, TypedDict, Union

import numpy
import torch
from torch import nn

from elmo_components import checkpoints
from elmo_components.caching.layer_cache import LayerCache, has_fixed_layers
from elmo_components.characters import CharacterMapper
from elmo_components.checkpoints import Checkpoint
from elmo_components.checkpoints.model_card import Author
from elmo_components.checkpoints.repository import located, save_repository
from elmo_components.config import ElmoConfig
from elmo_components.embedding.batches import BATCH_SIZE, WINDOW, embed_sentences, embed_stream
from elmo_components.modules.bilm import BiLm
from elmo_components.modules.char_cnn import CACHE_SIZE
from elmo_components.modules.lstm_state import LstmState
from elmo_components.modules.scalar_mix import ScalarMix

__all__ = ["Elmo", "ElmoOutput"]

logger = logging.getLogger(__name__)


class ElmoOutput(TypedDict):
    """
    What `Elmo` returns, with AllenNLP's keys.

    - `elmo_representations`: a list of (..., time, 2 * hidden_size), 0 where masked.
    - `mask`: (..., time), bool.
    - `state`: `LstmState` after this batch; `None` with a `LayerCache`, which stores none.
    """

    elmo_representations: list[torch.Tensor]
    mask: torch.Tensor
    state: Optional[LstmState]


class Elmo(nn.Module):
    """
    Embeddings from a language model: for each token, weighted means of the layers of a biLM.

    Peters et al. 2018. A sentence's vectors depend on that sentence alone.

    # Parameters

    config : `ElmoConfig`
        The sizes of the biLM.
    num_output_representations : `int`
        The number of differently weighted means to return.
    dropout : `float`
        In training, the probability that an element of a mean is 0.
    do_layer_norm : `bool`
        See `ScalarMix`.
    scalar_mix_parameters : `Optional[Sequence[float]]`
        Fixed weights before the softmax, one per layer; `None` for trained ones.
    keep_sentence_boundaries : `bool`
        Whether to return the vectors of the sentence marks before and after each sentence too.
    requires_grad : `bool`
        Whether to train the biLM, and not only the mix.
    recurrent_dropout : `float`
        See `ElmoLstm`.
    precision : `str`
        "float32"; or, for a frozen biLM, "bfloat16" or "int8" for the LSTMs, used where it is
        faster on this machine. Weights stay float32.
    word_cache_size : `int`
        How many word vectors the frozen character encoder caches; 0 for none. At the published size
        a word takes 2 kB.
    recompute_gates : `bool`
        Whether the backward pass through a trained biLM recomputes the gates, which saves memory
        and takes time. See `ElmoLstm`.
    layer_cache : `Optional[LayerCache]`
        For a frozen biLM: a cache, so that the layers of each sentence without a state are computed
        once. The mixes can still be trained.

    # Raises

    `ValueError` for a number out of range, and for a trained biLM with a precision other than
    "float32" or with a layer cache.
    """

    def __init__(
        self,
        config: ElmoConfig,
        *,
        num_output_representations: int = 1,
        dropout: float = 0.5,
        do_layer_norm: bool = False,
        scalar_mix_parameters: Optional[Sequence[float]] = None,
        keep_sentence_boundaries: bool = False,
        requires_grad: bool = False,
        recurrent_dropout: float = 0.0,
        precision: str = "float32",
        word_cache_size: int = CACHE_SIZE,
        recompute_gates: bool = False,
        layer_cache: Optional[LayerCache] = None,
    ) -> None:
        super().__init__()
        if requires_grad and precision != "float32":
            raise ValueError(
                f"precision must be float32 where requires_grad is true; found {precision!r}"
            )
        if layer_cache is not None and (requires_grad or recurrent_dropout > 0.0):
            raise ValueError(
                "With a layer_cache requires_grad must be false and recurrent_dropout 0; "
                f"found {requires_grad} and {recurrent_dropout}"
            )
        number = num_output_representations
        if number < 1:
            raise ValueError(f"num_output_representations must be 1 or more; found {number}")
        weights = scalar_mix_parameters
        self.config = config
        self.keep_sentence_boundaries = keep_sentence_boundaries
        self.bilm = BiLm(
            config,
            recurrent_dropout=recurrent_dropout,
            precision=precision,
            word_cache_size=word_cache_size,
            recompute_gates=recompute_gates,
        ).requires_grad_(requires_grad)
        self.scalar_mixes = nn.ModuleList(
            ScalarMix(config.num_layers, do_layer_norm=do_layer_norm, fixed_weights=weights)
            for _ in range(number)
        )
        self.dropout = nn.Dropout(dropout)
        self.layer_cache = layer_cache
        self._characters = CharacterMapper.of(config.char_cnn)

    @classmethod
    def from_pretrained(
        cls,
        path: Union[str, os.PathLike],
        *,
        options: Union[Mapping, str, os.PathLike, None] = None,
        num_output_representations: int = 1,
        dropout: float = 0.5,
        do_layer_norm: bool = False,
        scalar_mix_parameters: Optional[Sequence[float]] = None,
        keep_sentence_boundaries: bool = False,
        requires_grad: bool = False,
        recurrent_dropout: float = 0.0,
        precision: str = "float32",
        word_cache_size: int = CACHE_SIZE,
        recompute_gates: bool = False,
        layer_cache: Optional[LayerCache] = None,
        revision: Optional[str] = None,
        token: Union[bool, str, None] = None,
        local_files_only: bool = False,
    ) -> "Elmo":
        """
        Returns an ELMo with the biLM stored at `path`, in evaluation mode.

        # Parameters

        path : `Union[str, os.PathLike]`
            A .safetensors file of this package, an HDF5 file of weights, a folder with options and
            weights, or an AllenNLP archive; an `https://` address of one of these; or a name:
            "english", "german" or "chinese", which come with the package, or AllenNLP's "small",
            "medium", "original", "original-5.5b", "pubmed" or "portuguese", which are downloaded
            once; or a repository on the Hugging Face Hub, "organisation/name" or
            "hf://organisation/name".
        options : `Union[Mapping, str, os.PathLike, None]`
            The contents, or the path, of the `options.json` of HDF5 weights or of an archive
            without it; `None` if it is next to them.
        revision, token, local_files_only
            For a repository; see `from_hub`. The other parameters are the constructor's.

        # Raises

        `FileNotFoundError`, or `CheckpointError` that lists everything wrong with the file; for a
        repository also the errors of `integrations.hub.download`.
        """
        config = None
        if isinstance(options, Mapping):
            config = ElmoConfig.from_options(options)
        elif options is not None:
            config = checkpoints.read_options(options)
        place = located(path, revision=revision, token=token, local_files_only=local_files_only)
        checkpoint = checkpoints.load(place, config)
        elmo = cls(
            checkpoint.config,
            num_output_representations=num_output_representations,
            dropout=dropout,
            do_layer_norm=do_layer_norm,
            scalar_mix_parameters=scalar_mix_parameters,
            keep_sentence_boundaries=keep_sentence_boundaries,
            requires_grad=requires_grad,
            recurrent_dropout=recurrent_dropout,
            precision=precision,
            word_cache_size=word_cache_size,
            recompute_gates=recompute_gates,
            layer_cache=layer_cache,
        )
        elmo.load_checkpoint(checkpoint)
        return elmo.eval()

    def save_pretrained(
        self,
        folder: Union[str, os.PathLike],
        *,
        dtype: torch.dtype = torch.float32,
        languages: Sequence[str] = (),
        license: Optional[str] = None,
        description: str = "",
    ) -> None:
        """
        Writes the biLM into a folder for `from_pretrained` or the Hugging Face Hub: `config.json`,
        `model.safetensors`, and a model card, `README.md`, unless it exists. It does not save the
        scalar mixes, which belong to a task's model: save its `state_dict`.

        # Parameters

        dtype : `torch.dtype`
            float32; or float16, which halves the file and rounds the values.
        languages, license, description
            For the card; see `model_card.Author`.

        # Raises

        `CheckpointError` for values that cannot be stored and for parametrized modules;
        `FileExistsError` for a folder with the `config.json` of something else, such as a training;
        `NotADirectoryError` for a file; `TypeError` for a string in place of `languages`.
        """
        if not all(mix.is_initial for mix in self.scalar_mixes):
            logger.warning("The scalar mixes, which were trained, are not saved in %s", folder)
        if isinstance(languages, str):
            raise TypeError(f"languages must be a list of codes; found {languages!r}")
        author = Author(tuple(languages), license, description)
        checkpoint = Checkpoint(self.config, self.bilm.state_dict())
        save_repository(checkpoint, Path(folder), author=author, dtype=dtype)

    def load_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Copies a checkpoint's tensors into the biLM. See `BiLm.load_checkpoint`."""
        self.bilm.load_checkpoint(checkpoint)

    def forward(self, character_ids: torch.Tensor, state: Optional[LstmState] = None) -> ElmoOutput:
        """
        # Parameters

        character_ids : `torch.Tensor`
            int64, (..., time, 50), padded with 0, without sentence marks.
        state : `Optional[LstmState]`
            Each sentence's initial state, from an earlier output; `None` for zeros.

        # Raises

        `ValueError` for ids out of range or for another alphabet or other units, a wrong shape, or
        a word after padding.
        """
        if character_ids.dim() < 2:
            raise ValueError(
                f"Character ids must be of shape (..., time, {self.config.char_cnn.ids_per_word}); "
                f"found {tuple(character_ids.shape)}"
            )
        *leading, time, characters = character_ids.shape
        # no -1: there may be no words
        sentences = character_ids.reshape(math.prod(leading), time, characters)
        if self.layer_cache is not None and state is None and has_fixed_layers(self.bilm):
            layers, mask = self.layer_cache.layers(sentences, self.bilm)
        else:
            layers, mask, state = self.bilm(sentences, state)
        # (batch, time + 2, 2 * hidden_size), each
        mixes = [scalar_mix(layers, mask) for scalar_mix in self.scalar_mixes]
        if not self.keep_sentence_boundaries:
            # (batch, time), without both marks
            mask = mask[:, 2:]
            mixes = [mix[:, 1:-1] * mask.unsqueeze(-1) for mix in mixes]
        return {
            "elmo_representations": [
                self.dropout(mix).reshape(*leading, *mix.shape[1:]) for mix in mixes
            ],
            "mask": mask.reshape(*leading, mask.size(1)),
            "state": state,
        }

    def embed(
        self,
        sentences: Sequence[Sequence[str]],
        *,
        layers: str = "all",
        batch_size: int = BATCH_SIZE,
        tokens_to_add: Optional[Mapping[str, int]] = None,
    ) -> list[numpy.ndarray]:
        """
        Embeds tokenised sentences, without dropout, in batches of sentences of similar length.

        # Parameters

        sentences : `Sequence[Sequence[str]]`
            Each a sequence of tokens; it may be empty.
        layers : `str`
            "all", "mean" (all layers weighted equally) or "top".
        batch_size : `int`
            The number of sentences computed at once; fewer if they have more than 62 tokens.
        tokens_to_add : `Optional[Mapping[str, int]]`
            As for the indexer that the model was trained with. See `CharacterMapper`.

        # Returns

        `list[numpy.ndarray]`
            For each sentence float32 of shape (num_layers, tokens, 2 * hidden_size) for "all",
            else (tokens, 2 * hidden_size).
        """
        mapper = self._mapper(tokens_to_add)
        return embed_sentences(self.bilm, mapper, sentences, layers=layers, batch_size=batch_size)

    def embed_stream(
        self,
        sentences: Iterable[Sequence[str]],
        *,
        layers: str = "all",
        batch_size: int = BATCH_SIZE,
        window: int = WINDOW,
        tokens_to_add: Optional[Mapping[str, int]] = None,
    ) -> Iterator[numpy.ndarray]:
        """
        Embeds a corpus of any size while it is read, in bounded memory.

        An error in reading is raised after the vectors of the sentences before it.

        # Parameters

        sentences : `Iterable[Sequence[str]]`
            As for `embed`, and read once.
        layers, batch_size, tokens_to_add
            See `embed`.
        window : `int`
            About how many tokens are read ahead, to batch sentences of similar length.
        """
        return embed_stream(
            self.bilm,
            self._mapper(tokens_to_add),
            sentences,
            layers=layers,
            batch_size=batch_size,
            window=window,
        )

    def _mapper(self, tokens_to_add: Optional[Mapping[str, int]]) -> CharacterMapper:
        if not tokens_to_add:
            return self._characters
        return CharacterMapper.of(self.config.char_cnn, tokens_to_add=tokens_to_add)
