"""The classes that replace AllenNLP's ELMo, and their installation."""

import inspect
import logging
import math
from typing import Any, Optional

import torch
from allennlp.common import Params
from allennlp.data.token_indexers.elmo_indexer import ELMoTokenCharactersIndexer
from allennlp.data.token_indexers.token_indexer import IndexedTokenList, TokenIndexer
from allennlp.data.tokenizers import Token
from allennlp.data.vocabulary import Vocabulary
from allennlp.models.model import Model
from allennlp.modules.elmo import Elmo
from allennlp.modules.token_embedders.elmo_token_embedder import ElmoTokenEmbedder
from allennlp.modules.token_embedders.token_embedder import TokenEmbedder

from elmo_components.registered.drop_in.archive import STOCK_LOAD, load_model
from elmo_components.registered.drop_in.bilm import DropInBiLm
from elmo_components.registered.token_indexers.elmo_character_ids import ElmoCharacterIndexer

logger = logging.getLogger(__name__)

__all__ = [
    "DropInElmo",
    "DropInElmoIndexer",
    "DropInElmoTokenEmbedder",
    "install",
    "uninstall",
]

EMBEDDER_NAME = "elmo_token_embedder"
INDEXER_NAME = "elmo_characters"

# AllenNLP's default addresses, on which some published configurations rely.
_DEFAULTS = inspect.signature(ElmoTokenEmbedder).parameters
_OPTIONS_FILE, _WEIGHT_FILE = (_DEFAULTS[name].default for name in ("options_file", "weight_file"))


class DropInElmo(Elmo):
    """
    AllenNLP's `Elmo` on our biLM, with the same parameters, names and outputs.

    After `install`, a model that takes an `elmo: Elmo`, such as `bcn`, gets one from its
    configuration.

    # Parameters

    See AllenNLP's `Elmo`. A frozen biLM caches the vectors of words even without `vocab_to_cache`.
    """

    # as AllenNLP's constructor sets them
    _dropout: torch.nn.Dropout
    _elmo_lstm: torch.nn.Module
    _has_cached_vocab: bool
    _keep_sentence_boundaries: bool

    def __init__(
        self,
        options_file: str,
        weight_file: str,
        num_output_representations: int,
        requires_grad: bool = False,
        do_layer_norm: bool = False,
        dropout: float = 0.5,
        vocab_to_cache: Optional[list[str]] = None,
        keep_sentence_boundaries: bool = False,
        scalar_mix_parameters: Optional[list[float]] = None,
        module: Optional[torch.nn.Module] = None,
    ) -> None:
        files: Any = (options_file, weight_file)
        if module is None:
            module = DropInBiLm(*files, requires_grad=requires_grad, vocab_to_cache=vocab_to_cache)
            # AllenNLP accepts a module only without files
            files = (None, None)
        super().__init__(
            files[0],
            files[1],
            num_output_representations,
            do_layer_norm=do_layer_norm,
            dropout=dropout,
            vocab_to_cache=vocab_to_cache,  # type: ignore[arg-type]
            keep_sentence_boundaries=keep_sentence_boundaries,
            scalar_mix_parameters=scalar_mix_parameters,  # type: ignore[arg-type]
            module=module,
        )

    def forward(
        self, inputs: torch.Tensor, word_inputs: Optional[torch.Tensor] = None
    ) -> dict[str, Any]:
        """
        # Parameters

        inputs : `torch.Tensor`
            Character ids, int64, (..., time, 50), padded with 0.
        word_inputs : `Optional[torch.Tensor]`
            Indices into `vocab_to_cache`, int64, (..., time), padded with 0.

        # Returns

        `dict[str, Any]`
            "elmo_representations", a list of (..., time, get_output_dim()); "mask", (..., time).
        """
        if word_inputs is not None and not self._has_cached_vocab:
            # as AllenNLP does
            logger.warning("word_inputs are ignored without vocab_to_cache")
            word_inputs = None
        *leading, time, characters = inputs.shape
        # torch cannot infer -1 in a batch of empty texts
        batch = math.prod(leading)
        if word_inputs is not None:
            word_inputs = word_inputs.reshape(batch, time)
        output = self._elmo_lstm(inputs.reshape(batch, time, characters), word_inputs)
        mask = output["mask"]
        # (batch, time + 2, 2 * hidden_size), each
        mixes = [mix(output["activations"], mask) for mix in self._scalar_mixes]
        if not self._keep_sentence_boundaries:
            # (batch, time): two steps fewer are true, without the sentence marks
            mask = mask[:, 2:]
            mixes = [mix[:, 1:-1] * mask.unsqueeze(-1) for mix in mixes]
        return {
            "elmo_representations": [
                self._dropout(mix).reshape(*leading, *mix.shape[1:]) for mix in mixes
            ],
            "mask": mask.reshape(*leading, mask.size(1)),
        }


class DropInElmoTokenEmbedder(ElmoTokenEmbedder):
    """
    AllenNLP's `ElmoTokenEmbedder` on our biLM.

    `install` registers it as a `TokenEmbedder` with name "elmo_token_embedder".

    # Parameters

    See AllenNLP's `ElmoTokenEmbedder`, and `DropInElmo` for `vocab_to_cache`.
    """

    def __init__(
        self,
        options_file: str = _OPTIONS_FILE,
        weight_file: str = _WEIGHT_FILE,
        do_layer_norm: bool = False,
        dropout: float = 0.5,
        requires_grad: bool = False,
        projection_dim: Optional[int] = None,
        vocab_to_cache: Optional[list[str]] = None,
        scalar_mix_parameters: Optional[list[float]] = None,
    ) -> None:
        # not AllenNLP's constructor, which reads its own biLM
        TokenEmbedder.__init__(self)
        self._elmo = DropInElmo(
            options_file,
            weight_file,
            1,
            do_layer_norm=do_layer_norm,
            dropout=dropout,
            requires_grad=requires_grad,
            vocab_to_cache=vocab_to_cache,
            scalar_mix_parameters=scalar_mix_parameters,
        )
        self.output_dim = projection_dim or self._elmo.get_output_dim()
        self._projection = None  # type: ignore[assignment]
        if projection_dim:
            self._projection = torch.nn.Linear(self._elmo.get_output_dim(), projection_dim)


class DropInElmoIndexer(ELMoTokenCharactersIndexer):
    """
    AllenNLP's `ELMoTokenCharactersIndexer`, with ids from `ElmoCharacterIndexer`.

    `install` registers it as a `TokenIndexer` with name "elmo_characters".

    # Parameters

    See AllenNLP's `ELMoTokenCharactersIndexer`.
    """

    def __init__(
        self,
        namespace: str = "elmo_characters",
        tokens_to_add: Optional[dict[str, int]] = None,
        token_min_padding_length: int = 0,
    ) -> None:
        super().__init__(namespace, tokens_to_add or {}, token_min_padding_length)
        self._ours = ElmoCharacterIndexer(tokens_to_add, token_min_padding_length)

    def tokens_to_indices(self, tokens: list[Token], vocabulary: Vocabulary) -> IndexedTokenList:
        """Returns, under "elmo_tokens", a sequence with the ids of each token. See `WordIds`."""
        return self._ours.tokens_to_indices(tokens, vocabulary)

    def get_empty_token_list(self) -> IndexedTokenList:
        """Returns the indices of no tokens, which pad lists of texts."""
        return self._ours.get_empty_token_list()

    def as_padded_tensor_dict(
        self, tokens: IndexedTokenList, padding_lengths: dict[str, int]
    ) -> dict[str, torch.Tensor]:
        """Returns, under "elmo_tokens", an int64 tensor of shape (padding length, 50)."""
        return self._ours.as_padded_tensor_dict(tokens, padding_lengths)


def install() -> None:
    """
    Makes AllenNLP build these classes for "elmo_token_embedder", "elmo_characters" and a model's
    `Elmo` in configurations and archives.
    """
    logger.info(
        "AllenNLP's elmo_token_embedder, elmo_characters, Elmo.from_params and Model.load are "
        "replaced by elmo_components.drop_in"
    )
    TokenEmbedder.register(EMBEDDER_NAME, exist_ok=True)(DropInElmoTokenEmbedder)
    TokenIndexer.register(INDEXER_NAME, exist_ok=True)(DropInElmoIndexer)
    Elmo.from_params = classmethod(_from_params)  # type: ignore[assignment,method-assign]
    Model.load = classmethod(load_model)  # type: ignore[assignment,method-assign]


def uninstall() -> None:
    """Undoes `install`."""
    TokenEmbedder.register(EMBEDDER_NAME, exist_ok=True)(ElmoTokenEmbedder)
    TokenIndexer.register(INDEXER_NAME, exist_ok=True)(ELMoTokenCharactersIndexer)
    if "from_params" in vars(Elmo):
        del Elmo.from_params
    Model.load = STOCK_LOAD  # type: ignore[method-assign]


def _from_params(cls: type[Elmo], params: Params, **settings: Any) -> Elmo:
    """`Elmo.from_params`, which AllenNLP calls for a model's `elmo: Elmo`."""
    target = DropInElmo if cls is Elmo else cls
    # the method that `install` replaces
    return super(Elmo, target).from_params(params, **settings)
