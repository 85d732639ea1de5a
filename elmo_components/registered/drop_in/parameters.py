"""AllenNLP's parameters of a biLM: names, shapes, values and order."""

from typing import cast

import torch
from torch import nn

from elmo_components.config import ElmoConfig
from elmo_components.kernels import Linear
from elmo_components.modules.bilm import BiLm
from elmo_components.modules.direction import Direction
from elmo_components.modules.highway import Highway

__all__ = ["draw_as_allennlp", "in_allennlp_form", "register_parameters"]

# The gates of an LSTM, and the products that each is a sum of.
GATES = 4
PRODUCTS = 2


def _names(config: ElmoConfig) -> list[tuple[str, str]]:
    """
    Returns our name and AllenNLP's for each parameter of a biLM `in_allennlp_form`, in the order of
    AllenNLP's `_ElmoBiLm`.
    """
    encoder = "_token_embedder"
    pairs = [("char_cnn.character_embedding.weight", f"{encoder}._char_embedding_weights")]
    modules = [
        (f"char_cnn.convolutions.{index}", f"{encoder}.char_conv_{index}")
        for index in range(len(config.char_cnn.filters))
    ]
    modules += [
        (f"char_cnn.highways.{index}", f"{encoder}._highways._layers.{index}")
        for index in range(config.char_cnn.num_highway_layers)
    ]
    if config.char_cnn.num_filters != config.lstm.hidden_size:
        modules.append(("char_cnn.projection", f"{encoder}._projection"))
    for ours, theirs in modules:
        pairs += [(f"{ours}.{part}", f"{theirs}.{part}") for part in ("weight", "bias")]
    for layer in range(config.lstm.num_layers):
        for direction in ("forward", "backward"):
            ours, theirs = (
                f"lstm.{direction}_layers.{layer}",
                f"_elmo_lstm.{direction}_layer_{layer}",
            )
            pairs += [
                (f"{ours}.input_weight", f"{theirs}.input_linearity.weight"),
                (f"{ours}.recurrent_weight", f"{theirs}.state_linearity.weight"),
                (f"{ours}.bias", f"{theirs}.state_linearity.bias"),
            ]
            if config.lstm.cell_size != config.lstm.hidden_size:
                pairs.append((f"{ours}.projection_weight", f"{theirs}.state_projection.weight"))
    return pairs


def in_allennlp_form(bilm: BiLm) -> BiLm:
    """
    Returns the biLM with its highways and biases in AllenNLP's form, so that its parameters equal
    AllenNLP's bit for bit. Its output does not change.
    """
    cnn = bilm.char_cnn
    cnn.highways = nn.ModuleList(_JoinedHighway(cast(Highway, layer)) for layer in cnn.highways)
    with torch.no_grad():
        for direction in (*bilm.lstm.forward_layers, *bilm.lstm.backward_layers):
            # AllenNLP adds TensorFlow's 1 to the forget gate's bias when it loads a file
            assert isinstance(direction, Direction)
            direction.bias.chunk(4)[1].add_(direction.forget_bias)
            direction.forget_bias = 0.0
    return bilm


def register_parameters(home: nn.Module, bilm: BiLm) -> None:
    """Registers the parameters of a biLM `in_allennlp_form` in `home`, under AllenNLP's names."""
    for ours, theirs in _names(bilm.config):
        *path, last = theirs.split(".")
        module = home
        for part in path:
            if part not in module._modules:
                module.add_module(part, nn.Module())
            module = module.get_submodule(part)
        module.register_parameter(last, bilm.get_parameter(ours))


def draw_as_allennlp(config: ElmoConfig) -> None:
    """
    Draws the random numbers that AllenNLP's biLM constructor draws.

    Then the rest of a model has AllenNLP's initial weights and dropout for the same seed.
    """
    cnn, lstm = config.char_cnn, config.lstm
    for width, number in cnn.filters:
        nn.Conv1d(cnn.embedding_size, number, width)
    for _ in range(cnn.num_highway_layers):
        nn.Linear(cnn.num_filters, 2 * cnn.num_filters)
    nn.Linear(cnn.num_filters, lstm.hidden_size)
    for _ in range(2 * lstm.num_layers):
        nn.Linear(lstm.hidden_size, GATES * lstm.cell_size, bias=False)
        nn.Linear(lstm.hidden_size, GATES * lstm.cell_size)
        nn.Linear(lstm.cell_size, lstm.hidden_size, bias=False)
        # `block_orthogonal` draws a normal number for each of a gate's weights
        for _ in range(PRODUCTS * GATES):
            torch.empty(lstm.cell_size, lstm.hidden_size).normal_()


class _JoinedHighway(nn.Linear):
    """
    AllenNLP's highway layer: one product for both halves, and the gate's sign reversed.

        g = sigmoid(second half)
        y = g * x + (1 - g) * relu(first half)
    """

    def __init__(self, highway: Highway) -> None:
        size = highway.carry.in_features
        super().__init__(size, 2 * size)
        with torch.no_grad():
            self.weight.copy_(torch.cat([highway.transform.weight, -highway.carry.weight]))
            self.bias.copy_(torch.cat([highway.transform.bias, -highway.carry.bias]))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Returns the layer's output, of the same shape as `inputs`: (..., size)."""
        # (..., size), both
        transform, gate = super().forward(inputs).chunk(2, dim=-1)
        transform = torch.relu(transform)
        # the equation with one multiplication less
        return transform + torch.sigmoid(gate) * (inputs - transform)

    def linears(self) -> tuple[Linear, Linear]:
        """See `Highway`."""
        (transform, gate), (transform_bias, gate_bias) = self.weight.chunk(2), self.bias.chunk(2)
        return Linear(-gate, -gate_bias), Linear(transform, transform_bias)
