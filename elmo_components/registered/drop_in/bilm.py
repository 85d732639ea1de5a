"""A replacement of AllenNLP's biLM: its parameters, its files and its carried state."""

import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Optional, Union, cast

import torch
from allennlp.common.checks import ConfigurationError
from allennlp.common.file_utils import cached_path
from allennlp.modules.token_embedders.embedding import Embedding
from allennlp.nn.util import add_sentence_boundary_token_ids
from torch import nn

from elmo_components.characters import CharacterMapper
from elmo_components.checkpoints.bilm_tf.format import load_weights
from elmo_components.checkpoints.untrusted.json_text import read_json_file
from elmo_components.config import ElmoConfig
from elmo_components.modules.bilm import BiLm, BiLmOutput
from elmo_components.modules.lstm_state import LstmState, carried
from elmo_components.registered.drop_in.archive import config_in, weights_to_come
from elmo_components.registered.drop_in.parameters import (
    draw_as_allennlp,
    in_allennlp_form,
    register_parameters,
)

logger = logging.getLogger(__name__)

__all__ = ["STATEFUL", "DropInBiLm"]

# The environment variable that turns AllenNLP's carried state on ("1") or off ("0", the default).
STATEFUL = "ELMO_STATEFUL"


class DropInBiLm(nn.Module):
    """
    Replaces AllenNLP's `_ElmoBiLm`, with the same parameters under the same names.

    State dicts load in both directions bit for bit, and regular expressions over names match the
    same parameters. In `Model.load`, `weight_file` is not read, because the archive has the
    weights; if it lacks them, the first call reads the file. If `options_file` cannot be read
    there, the sizes come from the archive's weights, with a warning.

    # Parameters

    options_file : `str`
        The path or address of the biLM's options.
    weight_file : `str`
        The path or address of its weights.
    requires_grad : `bool`
        Whether the biLM is trained too.
    vocab_to_cache : `Optional[list[str]]`
        Words whose vectors are cached, for calls with `word_inputs`.

    # Raises

    `ConfigurationError` for unreadable or invalid options, and for an `ELMO_STATEFUL` other than 0
    and 1; `CheckpointError` for weights of another architecture.
    """

    # It computes with this module's parameters. As a submodule it would give them second names.
    _bilm: BiLm

    def __init__(
        self,
        options_file: str,
        weight_file: str,
        *,
        requires_grad: bool = False,
        vocab_to_cache: Optional[list[str]] = None,
    ) -> None:
        super().__init__()
        config = _read_config(options_file)
        # AllenNLP's attribute: the number of mixed layers
        self.num_layers = config.num_layers
        self._requires_grad = requires_grad
        self._vocab_to_cache = vocab_to_cache or []
        # the file to read at the first call, unless a state dict is loaded before
        self._unread_weights: Optional[str] = None
        draw_as_allennlp(config)
        if weights_to_come() is None:
            bilm = _read(weight_file, config)
        else:
            self._unread_weights = weight_file
            bilm = _new(config)
        self.__dict__["_bilm"] = bilm.requires_grad_(requires_grad)
        self._token_embedder = nn.Module()
        self._word_embedding = self._word_table() if self._vocab_to_cache else None
        self._elmo_lstm = _CarriedState(is_stateful())
        register_parameters(self, bilm)

    def get_output_dim(self) -> int:
        """Returns the size of a token's vector in each layer."""
        return self._bilm.config.output_size

    def forward(
        self, inputs: torch.Tensor, word_inputs: Optional[torch.Tensor] = None
    ) -> dict[str, Union[torch.Tensor, list[torch.Tensor]]]:
        """
        # Parameters

        inputs : `torch.Tensor`
            Character ids, int64, (batch, time, 50).
        word_inputs : `Optional[torch.Tensor]`
            Indices into `vocab_to_cache`, int64, (batch, time), 0 for padding. If one is out of
            range, the whole batch is computed from `inputs`, as in AllenNLP.

        # Returns

        `dict[str, Union[torch.Tensor, list[torch.Tensor]]]`
            "activations", each layer's (batch, time + 2, get_output_dim()), and "mask",
            (batch, time + 2), both with the sentence marks.
        """
        if self._unread_weights is not None:
            self._load(_read(self._unread_weights, self._bilm.config))
        state = self._elmo_lstm.of(len(inputs))
        table = self._word_embedding
        if table is not None and word_inputs is not None and _are_in(word_inputs, table):
            output = self._from_words(table(word_inputs), word_inputs, state)
        else:
            output = self._bilm(inputs, state)
        self._elmo_lstm.update(output.state)
        return {"activations": list(output.layers), "mask": output.mask}

    def _from_words(
        self, words: torch.Tensor, word_inputs: torch.Tensor, state: Optional[LstmState]
    ) -> BiLmOutput:
        # (2, hidden_size)
        marks = self._bilm.char_cnn(self._bilm.mark_ids(words.device))
        is_word = cast(torch.BoolTensor, word_inputs > 0)
        # (batch, time + 2, hidden_size)
        tokens, _ = add_sentence_boundary_token_ids(words, is_word, marks[0], marks[1])
        # (batch, time + 2)
        _, mask = add_sentence_boundary_token_ids(word_inputs, is_word, 1, 1)
        # (num_layers + 1, batch, time + 2, 2 * hidden_size)
        layers, state = self._bilm.lstm(tokens, mask, state, include_inputs=True)
        return BiLmOutput(layers, mask, state)

    def _word_table(self) -> Embedding:
        if self._unread_weights is None:
            # (words, characters)
            ids = CharacterMapper().batch_ids([self._vocab_to_cache])[0]
            ids = ids.to(next(self._bilm.parameters()).device)
            with torch.no_grad():
                # (words, hidden_size)
                vectors = self._bilm.char_cnn(ids)
        else:
            # (words, hidden_size), to be overwritten
            vectors = torch.zeros(len(self._vocab_to_cache), self._bilm.config.lstm.hidden_size)
        return Embedding(
            num_embeddings=len(vectors),
            embedding_dim=vectors.size(1),
            weight=vectors,
            trainable=self._requires_grad,
            # the first word is padding, and its vector becomes 0
            padding_index=0,
        )

    def _load(self, bilm: BiLm) -> None:
        self._unread_weights = None
        self._bilm.load_state_dict(bilm.state_dict())
        if self._word_embedding is not None:
            self._word_embedding.weight.data.copy_(self._word_table().weight)

    def _load_from_state_dict(
        self, state_dict: Mapping[str, Any], prefix: str, *arguments: Any, **settings: Any
    ) -> None:
        if all(prefix + name in state_dict for name, _ in self.named_parameters()):
            self._unread_weights = None
        super()._load_from_state_dict(state_dict, prefix, *arguments, **settings)

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> "DropInBiLm":
        super()._apply(fn)
        # its buffers; its parameters are this module's, and `super` moved them
        self._bilm._apply(fn)
        return self


class _CarriedState(nn.Module):
    """
    Replaces AllenNLP's `ElmoLstm`: has its parameters and its carried state.

    # Parameters

    stateful : `bool`
        Whether each row starts from the same row's last state in the previous batch. User code may
        set this attribute of AllenNLP's.
    """

    def __init__(self, stateful: bool) -> None:
        super().__init__()
        self.stateful = stateful
        self._state: Optional[LstmState] = None

    def reset_states(self) -> None:
        """Resets the state to zeros."""
        self._state = None

    def of(self, batch: int) -> Optional[LstmState]:
        """Returns the initial state of a batch; `None` for zeros."""
        if not self.stateful or self._state is None:
            return None
        return self._state.for_batch(batch)

    def update(self, state: LstmState) -> None:
        """Stores the state after a batch."""
        self._state = carried(self._state, state) if self.stateful else None


def is_stateful() -> bool:
    """
    Returns whether `ELMO_STATEFUL` turns AllenNLP's carried state on.

    # Raises

    `ConfigurationError` if it is neither 0 nor 1.
    """
    value = os.environ.get(STATEFUL) or "0"
    if value not in ("0", "1"):
        raise ConfigurationError(f"{STATEFUL} must be 0 or 1; found {value!r}")
    return value == "1"


def _are_in(places: torch.Tensor, table: Embedding) -> bool:
    return places.numel() == 0 or int(places.max()) < table.num_embeddings


def _read_config(options_file: str) -> ElmoConfig:
    weights = weights_to_come()
    try:
        options = read_json_file(Path(cached_path(options_file)))
    # ValueError: invalid JSON, or neither a path nor an address
    except (OSError, ValueError) as error:
        if weights is None:
            raise ConfigurationError(
                f"options_file must be readable JSON; {options_file} is not: {error}. Only a model "
                "from an archive may lack it"
            ) from error
        logger.warning(
            "options_file %s cannot be read (%s). ELMo's sizes come from the archive's weights, "
            "the other settings from the published ELMos: cell_clip 3, proj_clip 3, activation "
            "relu, skip connections",
            options_file,
            error,
        )
        return config_in(weights)
    try:
        return ElmoConfig.from_options(options)
    except ValueError as error:
        raise ConfigurationError(f"{options_file}: {error}") from error


def _new(config: ElmoConfig) -> BiLm:
    # keeps the generator's state, which `draw_as_allennlp` set
    with torch.random.fork_rng(devices=[]):
        return in_allennlp_form(BiLm(config))


def _read(weight_file: str, config: ElmoConfig) -> BiLm:
    try:
        path = Path(cached_path(weight_file))
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"weight_file must be readable; {weight_file} is not: {error}. Only a model from an "
            "archive with ELMo's weights may lack it"
        ) from error
    checkpoint = load_weights(path, config)
    with torch.random.fork_rng(devices=[]):
        bilm = BiLm(config)
        bilm.load_checkpoint(checkpoint)
        return in_allennlp_form(bilm)
