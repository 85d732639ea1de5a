"""The ELMo `TokenEmbedder`."""

import logging
from typing import Any, Optional

import torch
from allennlp.common import FromParams
from allennlp.common.checks import ConfigurationError
from allennlp.modules.token_embedders.token_embedder import TokenEmbedder

from elmo_components import checkpoints
from elmo_components.caching.layer_cache import LayerCache
from elmo_components.config import ElmoConfig
from elmo_components.elmo import Elmo
from elmo_components.modules.char_cnn import CACHE_SIZE
from elmo_components.modules.lstm import LstmState, carried

__all__ = ["ElmoEmbedder", "FrozenFeatures"]

logger = logging.getLogger(__name__)


class FrozenFeatures(FromParams):
    """
    How the layers of a frozen biLM are kept from epoch to epoch. See `LayerCache`.

    # Parameters

    max_gigabytes : `float`
        How much is kept at most; what comes beyond that is computed each time. Memory is taken as
        sentences come.
    dtype : `str`
        "float32", or "float16" for half the room.
    """

    def __init__(self, max_gigabytes: float = 4.0, dtype: str = "float32") -> None:
        try:
            self.layer_cache = LayerCache(int(max_gigabytes * 1e9), dtype=dtype)
        except ValueError as error:
            raise ConfigurationError(f"frozen_features: {error}") from error


@TokenEmbedder.register("elmo")
class ElmoEmbedder(TokenEmbedder):
    """
    Embeds tokens with ELMo: a weighted mean of a biLM's layers.

    Registered as a `TokenEmbedder` with name "elmo".

    # Parameters

    architecture : `Dict[str, Any]`
        The biLM's numbers, in the form of a published `options.json`; Jsonnet imports such a file
        in place. They stand in the configuration so that an archive needs no other file.
    pretrained_file : `Optional[str]`
        The biLM's weights, in any format that `Elmo.from_pretrained` reads. AllenNLP drops this
        key when it rebuilds a model from an archive, which has the weights. `None` for random
        weights.
    dropout : `float`
        The probability that an element of the mean is 0, in training.
    do_layer_norm : `bool`
        See `ScalarMix`.
    requires_grad : `bool`
        Whether the biLM is trained too. Without a `pretrained_file` it should be: training on top
        of random weights that stay as they are is warned of.
    projection_dim : `Optional[int]`
        The size of a learned projection of the mean; `None` for none.
    scalar_mix_parameters : `Optional[List[float]]`
        Fixed weights of the layers, before the softmax; `None` for trained ones.
    stateful : `bool`
        Whether each sentence goes on from the state in which the sentence in its place of the last
        batch ended, as AllenNLP's own ELMo does. For comparison with old results only: vectors
        then depend on what was embedded before.
    recurrent_dropout : `float`
        See `ElmoLstm`; for training the biLM too.
    precision : `str`
        "float32"; or "bfloat16" or "int8" for a frozen biLM that is faster and less exact. See
        `Elmo`.
    word_cache_size : `int`
        How many words' vectors the frozen character encoder keeps from batch to batch; 0 for none.
    recompute_gates : `bool`
        Whether training the biLM too spares memory at the cost of time. See `Elmo`.
    frozen_features : `Optional[FrozenFeatures]`
        Whether, and how, the layers of each sentence are computed once and kept, from the first
        batch in training on, so that a model that is only used keeps nothing; `None` to compute
        them each time. For a frozen biLM without state.

    # Raises

    `ConfigurationError` for an architecture that cannot be, or settings that exclude each other;
    `CheckpointError` for a file that cannot be read or does not hold it.
    """

    # how many differently weighted means a token's vector has, one after the other
    num_mixes = 1

    def __init__(
        self,
        architecture: dict[str, Any],
        pretrained_file: Optional[str] = None,
        dropout: float = 0.5,
        do_layer_norm: bool = False,
        requires_grad: bool = False,
        projection_dim: Optional[int] = None,
        scalar_mix_parameters: Optional[list[float]] = None,
        stateful: bool = False,
        recurrent_dropout: float = 0.0,
        precision: str = "float32",
        word_cache_size: int = CACHE_SIZE,
        recompute_gates: bool = False,
        frozen_features: Optional[FrozenFeatures] = None,
    ) -> None:
        super().__init__()
        if frozen_features is not None and (requires_grad or stateful or recurrent_dropout > 0.0):
            raise ConfigurationError(
                "frozen_features must be null unless requires_grad and stateful are false and "
                f"recurrent_dropout is 0; found {requires_grad}, {stateful}, {recurrent_dropout}"
            )
        try:
            config = ElmoConfig.from_options(architecture)
            self._elmo = Elmo(
                config,
                num_output_representations=self.num_mixes,
                dropout=dropout,
                do_layer_norm=do_layer_norm,
                scalar_mix_parameters=scalar_mix_parameters,
                requires_grad=requires_grad,
                recurrent_dropout=recurrent_dropout,
                precision=precision,
                word_cache_size=word_cache_size,
                recompute_gates=recompute_gates,
            )
        except ValueError as error:
            raise ConfigurationError(str(error)) from error
        if pretrained_file is not None:
            self._elmo.load_checkpoint(checkpoints.load(pretrained_file, config))
        self._projection = (
            None if projection_dim is None else torch.nn.Linear(config.output_size, projection_dim)
        )
        mean_size = config.output_size if projection_dim is None else projection_dim
        self._output_dim = self.num_mixes * mean_size
        self._stateful = stateful
        self._state: Optional[LstmState] = None
        self._layer_cache = None if frozen_features is None else frozen_features.layer_cache
        # until an archive's weights are loaded, or the warning is given
        self._is_random = pretrained_file is None and not requires_grad

    def get_output_dim(self) -> int:
        """Returns the size of a token's vector."""
        return self._output_dim

    def reset_states(self) -> None:
        """Forgets the state that `stateful` carries."""
        self._state = None

    def forward(self, elmo_tokens: torch.Tensor) -> torch.Tensor:
        """
        # Parameters

        elmo_tokens : `torch.Tensor`
            int64, (..., time, 50), as `elmo_character_ids` makes them.

        # Returns

        `torch.Tensor`
            (..., time, get_output_dim()), 0 where masked before a projection.
        """
        if self.training:
            # only where sentences are trained on, do they come again
            self._elmo.layer_cache = self._layer_cache
            if self._is_random:
                logger.warning(
                    "this elmo has random weights and is not trained: give it a pretrained_file, "
                    "or requires_grad: true"
                )
                self._is_random = False
        state = None
        if self._state is not None:
            state = self._state.for_batch(elmo_tokens.shape[:-2].numel())
        output = self._elmo(elmo_tokens, state)
        if self._stateful and output["state"] is not None:
            self._state = carried(self._state, output["state"])
        # (..., time, 2 * hidden_size), each
        means = output["elmo_representations"]
        if self._projection is not None:
            # (..., time, projection_dim), each
            means = [self._projection(mean) for mean in means]
        # (..., time, get_output_dim())
        return means[0] if self.num_mixes == 1 else torch.cat(means, dim=-1)

    def _load_from_state_dict(self, *arguments: Any, **settings: Any) -> None:
        super()._load_from_state_dict(*arguments, **settings)
        self._is_random = False
