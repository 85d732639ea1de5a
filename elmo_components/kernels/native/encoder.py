"""The compiled character encoder: words' characters to their vectors, without gradients."""

import ctypes
import math
from collections.abc import Sequence
from typing import NamedTuple, Optional

import torch

from elmo_components.kernels.native import library
from elmo_components.kernels.native.forward import check_status
from elmo_components.kernels.native.openmp import openmp
from elmo_components.kernels.native.structures import Convolution, Encoder, HighwayLayer, Words

__all__ = ["EncoderWeights", "Linear", "PackedEncoder"]

# The most numbers in the tables of all filters: 64 MB.
MAX_TABLES = 1 << 24


class Linear(NamedTuple):
    """A linear layer."""

    # (output_size, input_size)
    weight: torch.Tensor
    # (output_size,)
    bias: torch.Tensor


class EncoderWeights(NamedTuple):
    """
    The weights of a character encoder, float32 on a CPU.

    # Parameters

    characters : `torch.Tensor`
        (num_characters, embedding_size)
    convolutions : `Sequence[tuple[torch.Tensor, torch.Tensor]]`
        The weight, (filters, embedding_size, width), and the bias, (filters,), for each width.
    highways : `Sequence[tuple[Linear, Linear]]`
        The carry gate and the transform of each highway layer.
    projection : `Optional[Linear]`
        `None` for the features after the highways.
    activation : `str`
        "relu" or "tanh".
    """

    characters: torch.Tensor
    convolutions: Sequence[tuple[torch.Tensor, torch.Tensor]]
    highways: Sequence[tuple[Linear, Linear]]
    projection: Optional[Linear]
    activation: str


class PackedEncoder:
    """
    A character encoder with packed weights; later changes of the weights have no effect.

    A filter's score is a sum of products of its columns with characters' vectors. These products
    are computed once, for all characters.

    # Parameters

    has_tables : `bool`
        Whether it computes the convolutions. It does not where the products of all characters would
        take more than 64 MB or are not finite.

    # Raises

    `ValueError` for weights that are not float32, not on the CPU, or do not fit each other.
    """

    @torch.no_grad()
    def __init__(self, weights: EncoderWeights) -> None:
        _check(weights)
        self._functions = library.functions()
        self._instructions = library.find().instructions
        # what the addresses below point to
        self._memory: list[torch.Tensor] = []
        tables = self._tables(weights)
        self.has_tables = bool(tables)
        convolutions = [
            Convolution(weight.size(2), weight.size(0), tables[place] if tables else None)
            for place, (weight, _) in enumerate(weights.convolutions)
        ]
        self._widest = max(weight.size(2) for weight, _ in weights.convolutions)
        self._num_filters = sum(weight.size(0) for weight, _ in weights.convolutions)
        projection = weights.projection
        self._hidden_size = self._num_filters if projection is None else projection.weight.size(0)
        highways = [
            HighwayLayer(
                self._packed_highway(carry.weight, transform.weight),
                self._copied(carry.bias),
                self._copied(transform.bias),
            )
            for carry, transform in weights.highways
        ]
        self._encoder = Encoder(
            instructions=self._instructions,
            num_characters=weights.characters.size(0),
            num_filters=self._num_filters,
            hidden_size=self._hidden_size,
            tanh=weights.activation == "tanh",
            num_convolutions=len(convolutions),
            num_highways=len(highways),
            convolutions=(Convolution * len(convolutions))(*convolutions),
            filter_bias=self._address(
                torch.cat([bias.detach() for _, bias in weights.convolutions])
            ),
            highways=(HighwayLayer * len(highways))(*highways),
        )
        if projection is not None:
            self._encoder.projection = self._packed_projection(projection.weight)
            self._encoder.projection_bias = self._copied(projection.bias)

    def vectors(self, ids: torch.Tensor) -> torch.Tensor:
        """
        Returns words' vectors, (words, hidden_size).

        # Parameters

        ids : `torch.Tensor`
            Integers, (words, characters): as many as the widest filter has, or more.

        # Raises

        `ValueError` for ids out of range, for shorter words, and without tables. `MemoryError`.
        """
        words, characters = ids.shape
        if not self.has_tables or characters < self._widest:
            raise ValueError(
                f"Words must have {self._widest} ids or more, and there must be tables"
            )
        if words and not 0 <= ids.min() <= ids.max() < self._encoder.num_characters:
            raise ValueError(f"Ids must be from 0 to {self._encoder.num_characters - 1}")
        ids = ids.to(torch.int16).contiguous()
        return self._compute(Words(words, characters, ids.data_ptr(), None))

    def vectors_of_maxima(self, maxima: torch.Tensor) -> torch.Tensor:
        """
        Returns words' vectors, (words, hidden_size).

        # Parameters

        maxima : `torch.Tensor`
            float32, (words, filters): the filters' maxima over positions, without bias.

        # Raises

        `ValueError` for another shape or type. `MemoryError`.
        """
        if maxima.dtype != torch.float32 or maxima.shape[1:] != (self._num_filters,):
            raise ValueError(f"Maxima must be float32, of {self._num_filters} filters")
        maxima = maxima.detach().contiguous()
        return self._compute(Words(maxima.size(0), 0, None, maxima.data_ptr()))

    def _compute(self, words: Words) -> torch.Tensor:
        # (words, hidden_size)
        outputs = _floats(words.words, self._hidden_size)
        words.outputs = outputs.data_ptr()
        encoder = Encoder.from_buffer_copy(self._encoder)
        encoder.threads, encoder.openmp = torch.get_num_threads(), openmp()
        check_status(self._functions.elmo_encode(ctypes.byref(encoder), ctypes.byref(words)))
        return outputs

    def _tables(self, weights: EncoderWeights) -> list[int]:
        """Returns the address of each convolution's table, or none if they are not used."""
        columns = self._functions.elmo_encoder_columns(self._instructions)
        size = sum(
            weight.size(2) * math.ceil(weight.size(0) / columns) * columns
            for weight, _ in weights.convolutions
        )
        if size * weights.characters.size(0) > MAX_TABLES:
            return []
        tables = []
        for weight, _ in weights.convolutions:
            # (width, num_characters, filters)
            products = weights.characters @ weight.permute(2, 1, 0)
            padded = torch.nn.functional.pad(products, (0, -weight.size(0) % columns))
            # (panels, width, num_characters, columns)
            tables.append(torch.stack(padded.split(columns, dim=2)))
        if not all(table.isfinite().all() for table in tables):
            return []
        return [self._address(table) for table in tables]

    def _packed_highway(self, carry: torch.Tensor, transform: torch.Tensor) -> int:
        pack, size = self._functions.elmo_pack_highway, carry.size(0)
        # contiguous copies must outlive the call
        carry, transform = carry.contiguous(), transform.contiguous()
        addresses = carry.data_ptr(), transform.data_ptr()
        packed = _floats(pack(self._instructions, size, *addresses, None))
        pack(self._instructions, size, *addresses, packed.data_ptr())
        return self._address(packed)

    def _packed_projection(self, weight: torch.Tensor) -> int:
        pack, weight = self._functions.elmo_pack_projection, weight.contiguous()
        arguments = self._instructions, *weight.shape, weight.data_ptr()
        packed = _floats(pack(*arguments, None))
        pack(*arguments, packed.data_ptr())
        return self._address(packed)

    def _copied(self, tensor: torch.Tensor) -> int:
        return self._address(tensor.detach().clone(memory_format=torch.contiguous_format))

    def _address(self, tensor: torch.Tensor) -> int:
        self._memory.append(tensor)
        return tensor.data_ptr()


def _floats(*shape: int) -> torch.Tensor:
    """Returns memory for the library's numbers, whatever torch's default type and device."""
    return torch.empty(*shape, dtype=torch.float32, device="cpu")


def _check(weights: EncoderWeights) -> None:
    """The library reads memory by these sizes."""
    embedding_size = weights.characters.size(1)
    size = sum(weight.size(0) for weight, _ in weights.convolutions)
    expected: list[tuple[torch.Tensor, tuple[int, ...]]] = [
        (weights.characters, (weights.characters.size(0), embedding_size))
    ]
    for weight, bias in weights.convolutions:
        number, _, width = weight.shape
        expected += [(weight, (number, embedding_size, width)), (bias, (number,))]
    for linear in (linear for pair in weights.highways for linear in pair):
        expected += [(linear.weight, (size, size)), (linear.bias, (size,))]
    if weights.projection is not None:
        hidden_size = weights.projection.weight.size(0)
        expected += [
            (weights.projection.weight, (hidden_size, size)),
            (weights.projection.bias, (hidden_size,)),
        ]
    for tensor, shape in expected:
        if tensor.shape != shape or tensor.dtype != torch.float32 or tensor.device.type != "cpu":
            raise ValueError(
                f"A weight must be float32 of shape {shape} on the CPU; found {tensor.dtype} of "
                f"shape {tuple(tensor.shape)} on {tensor.device}"
            )
