"""ELMo: a biLM whose layers are mixed into one or more vectors a token."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Optional, TypedDict, Union

import numpy
import torch
from torch import nn

from elmo_components import checkpoints
from elmo_components.caching.layer_cache import LayerCache, has_fixed_layers
from elmo_components.characters import CharacterMapper
from elmo_components.checkpoints import Checkpoint
from elmo_components.config import ElmoConfig
from elmo_components.embedding.batches import WINDOW, embed_sentences, embed_stream
from elmo_components.modules.bilm import BiLm
from elmo_components.modules.char_cnn import CACHE_SIZE
from elmo_components.modules.lstm import LstmState
from elmo_components.modules.scalar_mix import ScalarMix

__all__ = ["Elmo", "ElmoOutput"]

# Words computed at once where they are no sentence.
WORDS = 1024


class ElmoOutput(TypedDict):
    """
    What `Elmo` returns, under the keys of AllenNLP's.

    - `elmo_representations`: a list of (..., time, 2 * hidden_size), 0 where masked;
    - `mask`: (..., time), bool;
    - `state`: `LstmState`, to go on from where this batch ended; `None` where layers came from a
      `LayerCache`, which keeps none.
    """

    elmo_representations: list[torch.Tensor]
    mask: torch.Tensor
    state: Optional[LstmState]


class Elmo(nn.Module):
    """
    Embeddings from a language model (Peters et al. 2018): for each token, weighted means of the
    layers of a biLM. A sentence's vectors depend on that sentence alone.

    # Parameters

    config : `ElmoConfig`
        The biLM's sizes.
    num_output_representations : `int`
        How many differently weighted means to return.
    dropout : `float`
        The probability that an element of a mean is 0, in training.
    do_layer_norm : `bool`
        See `ScalarMix`.
    scalar_mix_parameters : `Optional[Sequence[float]]`
        Fixed weights, before the softmax, one a layer; `None` for trained ones.
    keep_sentence_boundaries : `bool`
        Whether the vectors of the sentence marks are kept, one before each sentence and one after.
    requires_grad : `bool`
        Whether the biLM is trained too, and not the mix alone.
    recurrent_dropout : `float`
        See `ElmoLstm`.
    precision : `str`
        "float32"; or, for a frozen biLM, "bfloat16" or "int8": the least that will do in the LSTMs,
        computed by what is fastest on this machine among what is precise enough. Weights stay
        float32.
    word_cache_size : `int`
        How many words' vectors the character encoder keeps while it is frozen; 0 for none. At the
        published size a word takes 2 kB.
    recompute_gates : `bool`
        For a biLM that is trained: whether its backward pass computes the gates anew, which spares
        memory and costs time. See `ElmoLstm`.
    layer_cache : `Optional[LayerCache]`
        For a frozen biLM: where the layers of sentences without a state are kept, so that each is
        computed once; `None` to compute them each time. The mixes are trained all the same.

    # Raises

    `ValueError` for a number out of range, and for a light precision, or a cache of layers, of a
    biLM that is trained.
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
                "Layers can be kept only while they do not change: requires_grad must be false and "
                f"recurrent_dropout 0; found {requires_grad} and {recurrent_dropout}"
            )
        if num_output_representations < 1:
            raise ValueError(
                f"num_output_representations must be 1 or more; found {num_output_representations}"
            )
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
            ScalarMix(
                config.num_layers,
                do_layer_norm=do_layer_norm,
                fixed_weights=scalar_mix_parameters,
            )
            for _ in range(num_output_representations)
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
        precision: str = "float32",
        word_cache_size: int = CACHE_SIZE,
        layer_cache: Optional[LayerCache] = None,
    ) -> "Elmo":
        """
        Returns an ELMo with the biLM that is stored at `path`, in evaluation mode.

        # Parameters

        path : `Union[str, os.PathLike]`
            A .safetensors file of this package, an HDF5 file of weights, a folder that holds
            options and weights, or an AllenNLP archive; an `https://` address of one of these; or a
            name: "english", which comes with the package, or AllenNLP's "small", "medium",
            "original", "original-5.5b", "pubmed" or "portuguese", which are downloaded once.
        options : `Union[Mapping, str, os.PathLike, None]`
            The contents of the `options.json` of HDF5 weights or of an archive that does not say
            them, or where it is; `None` when it stands beside them.

        The other parameters are the constructor's.

        # Raises

        `FileNotFoundError`, or `CheckpointError` that lists everything wrong with the file.
        """
        config = None
        if isinstance(options, Mapping):
            config = ElmoConfig.from_options(options)
        elif options is not None:
            config = checkpoints.read_options(options)
        checkpoint = checkpoints.load(path, config)
        elmo = cls(
            checkpoint.config,
            num_output_representations=num_output_representations,
            dropout=dropout,
            do_layer_norm=do_layer_norm,
            scalar_mix_parameters=scalar_mix_parameters,
            keep_sentence_boundaries=keep_sentence_boundaries,
            requires_grad=requires_grad,
            precision=precision,
            word_cache_size=word_cache_size,
            layer_cache=layer_cache,
        )
        elmo.load_checkpoint(checkpoint)
        return elmo.eval()

    def load_checkpoint(self, checkpoint: Checkpoint) -> None:
        """
        Copies a checkpoint's tensors, but for a softmax, into the biLM.

        # Raises

        `CheckpointError` that lists every name missing or left over and every other shape.
        """
        self.bilm.load_checkpoint(checkpoint)

    def forward(self, character_ids: torch.Tensor, state: Optional[LstmState] = None) -> ElmoOutput:
        """
        # Parameters

        character_ids : `torch.Tensor`
            int64, (..., time, 50), padded with 0, without sentence marks.
        state : `Optional[LstmState]`
            Where each sentence goes on from; `None`, for zeros, makes its vectors its own alone.

        # Raises

        `ValueError` for ids out of range, a wrong shape, or a word after padding.
        """
        *leading, time, characters = character_ids.shape
        sentences = character_ids.reshape(-1, time, characters)
        if self.layer_cache is not None and state is None and has_fixed_layers(self.bilm):
            layers, mask = self.layer_cache.layers(sentences, self.bilm)
        else:
            layers, mask, state = self.bilm(sentences, state)
        # (batch, time + 2, 2 * hidden_size), each
        mixes = [scalar_mix(layers, mask) for scalar_mix in self.scalar_mixes]
        if not self.keep_sentence_boundaries:
            # (batch, time): true for two steps fewer, as both marks go
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
        batch_size: int = 32,
    ) -> list[numpy.ndarray]:
        """
        Embeds tokenised sentences, without dropout, in batches of sentences of like length.

        # Parameters

        sentences : `Sequence[Sequence[str]]`
            Each a sequence of tokens; it may be empty.
        layers : `str`
            "all", "mean" (all layers weighted alike) or "top".
        batch_size : `int`
            How many sentences are computed at once; fewer of those beyond 62 tokens.

        # Returns

        `list[numpy.ndarray]`
            For each sentence float32 of shape (num_layers, tokens, 2 * hidden_size) for "all",
            else (tokens, 2 * hidden_size).
        """
        return embed_sentences(
            self.bilm, self._characters, sentences, layers=layers, batch_size=batch_size
        )

    def remember(self, words: Sequence[str]) -> None:
        """
        Computes words' vectors, which the character encoder keeps for later where it is frozen and
        on a CPU: as many as `word_cache_size`. What is embedded stays the same.
        """
        with torch.no_grad():
            for start in range(0, len(words), WORDS):
                ids = self._characters.batch_ids([words[start : start + WORDS]])
                self.bilm.char_cnn(ids.to(next(self.bilm.parameters()).device))

    def embed_stream(
        self,
        sentences: Iterable[Sequence[str]],
        *,
        layers: str = "all",
        batch_size: int = 32,
        window: int = WINDOW,
    ) -> Iterator[numpy.ndarray]:
        """
        Embeds a corpus of any size as it is read: the vectors of `embed`, one sentence after the
        other, in memory that does not grow.

        An error in reading comes through after the vectors of the sentences before it.

        # Parameters

        sentences : `Iterable[Sequence[str]]`
            As for `embed`, and read once.
        layers : `str`
            See `embed`.
        batch_size : `int`
            See `embed`.
        window : `int`
            About how many tokens are read ahead, to find sentences of like length among them.

        # Returns

        `Iterator[numpy.ndarray]`
        """
        return embed_stream(
            self.bilm,
            self._characters,
            sentences,
            layers=layers,
            batch_size=batch_size,
            window=window,
        )
