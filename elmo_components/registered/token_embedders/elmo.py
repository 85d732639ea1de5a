"""The ELMo `TokenEmbedder`."""

import logging
from typing import Any, Optional, Union

import torch
from allennlp.common import FromParams
from allennlp.common.checks import ConfigurationError
from allennlp.data import Vocabulary
from allennlp.modules.token_embedders.token_embedder import TokenEmbedder

from elmo_components import checkpoints
from elmo_components.caching.layer_cache import LayerCache
from elmo_components.elmo import Elmo
from elmo_components.modules.char_cnn import CACHE_SIZE
from elmo_components.modules.lstm_state import LstmState, carried
from elmo_components.registered.token_embedders.architectures import read_architecture
from elmo_components.registered.token_embedders.spelling import check_spelling

__all__ = ["ElmoEmbedder", "FrozenFeatures"]

logger = logging.getLogger(__name__)


class FrozenFeatures(FromParams):
    """
    Settings of the cache of a frozen biLM's layers. See `LayerCache`.

    # Parameters

    max_gigabytes : `float`
        The cache's largest size. Sentences beyond it are computed in each epoch.
    dtype : `str`
        "float32", or "float16" for half the memory.
    path : `Optional[str]`
        Ignored, with a warning. Archives made before the cache was in memory alone may have it.
    """

    def __init__(
        self, max_gigabytes: float = 4.0, dtype: str = "float32", path: Optional[str] = None
    ) -> None:
        if path is not None:
            logger.warning("frozen_features.path is ignored: layers are cached in memory")
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

    architecture : `Union[str, Dict[str, Any]]`
        The biLM's architecture: a name such as "english" or "original", the path of a published
        `options.json`, or its contents. An archive needs no file. See `read_architecture`.
    pretrained_file : `Optional[str]`
        The biLM's weights, in any format that `Elmo.from_pretrained` reads. AllenNLP drops this
        key when it loads an archive, which has the weights. `None` for random weights.
    dropout : `float`
        The probability that an element of the mean is 0, in training.
    do_layer_norm : `bool`
        See `ScalarMix`.
    requires_grad : `bool`
        Whether the biLM is trained too. Without a `pretrained_file` it should be: a warning is
        logged for random weights that are not trained.
    projection_dim : `Optional[int]`
        The size of a learned projection of the mean; `None` for none.
    scalar_mix_parameters : `Optional[List[float]]`
        Fixed weights of the layers, before the softmax; `None` for trained ones.
    stateful : `bool`
        Whether the LSTMs' states are carried from batch to batch, row by row, as in AllenNLP's own
        ELMo. For comparison with old results only: vectors then depend on earlier batches.
    recurrent_dropout : `float`
        See `ElmoLstm`; for training the biLM too.
    precision : `str`
        "float32"; or "bfloat16" or "int8" for a frozen biLM that is faster and less exact. See
        `Elmo`.
    word_cache_size : `int`
        How many words' vectors the frozen character encoder caches; 0 for none.
    recompute_gates : `bool`
        Whether training the biLM too saves memory at the cost of time. See `Elmo`.
    frozen_features : `Optional[FrozenFeatures]`
        Caches the layers of each sentence in training, so that each is computed once; `None` to
        compute them in each epoch. For a frozen biLM without state.
    vocab : `Optional[Vocabulary]`
        Stores an architecture that is read from a file.

    # Raises

    `ConfigurationError` for an invalid architecture or settings that exclude each other;
    `CheckpointError` for weights that cannot be read or have another architecture.
    """

    # the number of weighted means that a token's vector concatenates
    num_mixes = 1

    def __init__(
        self,
        architecture: Union[str, dict[str, Any]],
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
        vocab: Optional[Vocabulary] = None,
    ) -> None:
        super().__init__()
        if frozen_features is not None and (requires_grad or stateful or recurrent_dropout > 0.0):
            raise ConfigurationError(
                "frozen_features must be null unless requires_grad and stateful are false and "
                f"recurrent_dropout is 0; found {requires_grad}, {stateful}, {recurrent_dropout}"
            )
        config = read_architecture(architecture, vocab)
        try:
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
        # until an archive's weights are loaded, or the warning is logged
        self._is_random = pretrained_file is None and not requires_grad
        self._is_spelling_known = False

    def get_output_dim(self) -> int:
        """Returns the size of a token's vector."""
        return self._output_dim

    def reset_states(self) -> None:
        """Clears the state that `stateful` carries."""
        self._state = None

    def forward(self, elmo_tokens: torch.Tensor) -> torch.Tensor:
        """
        # Parameters

        elmo_tokens : `torch.Tensor`
            int64, (..., time, 50), as `elmo_character_ids` makes them.

        # Returns

        `torch.Tensor`
            (..., time, get_output_dim()), 0 where masked before a projection.

        # Raises

        `ConfigurationError` for ids of a token indexer with other settings than the architecture's.
        """
        if not self._is_spelling_known:
            self._is_spelling_known = check_spelling(elmo_tokens, self._elmo.config.char_cnn)
        if self.training:
            # only training reads sentences again
            self._elmo.layer_cache = self._layer_cache
            if self._is_random:
                logger.warning(
                    "This elmo has random weights and is not trained. Give it a pretrained_file or "
                    "requires_grad: true"
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
