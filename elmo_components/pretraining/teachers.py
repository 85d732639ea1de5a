"""Distillation: a biLM also learns to predict a frozen teacher's vectors of words."""

from collections.abc import Sequence
from typing import Optional

import torch
from torch import nn

from elmo_components.config import ElmoConfig
from elmo_components.modules.scalar_mix import ScalarMix

__all__ = ["LOSSES", "Distillation", "WordDistillation"]

LOSSES = ("cosine", "squared_error")


class Distillation(nn.Module):
    """
    A linear head that predicts a teacher's vector of each word from a mix of the student's layers.
    Sentence marks have no teacher's vector and are left out. After training only the student's biLM
    is used, not the mix and the head.

        predicted = W · mix(layers) + b
        cosine:        1 - cos(predicted, teacher)
        squared_error: mean over elements of (predicted - teacher)²

    # Parameters

    config : `ElmoConfig`
        The student's sizes.
    teacher_size : `int`
        The size of the teacher's vectors.
    loss : `str`
        "cosine" or "squared_error".
    weight : `float`
        The factor of this loss in its sum with the biLM's loss, which is in nats per word.
    decay_steps : `Optional[int]`
        The number of optimizer steps over which the weight falls linearly to 0, or of batches with
        another data loader than "elmo_global_batches"; `None` for a
        constant weight.

    # Raises

    `ValueError` for an unknown loss, or a number out of range.
    """

    # int64, (): the number of training steps so far; a buffer, so that a resumed training continues
    steps: torch.Tensor

    def __init__(
        self,
        config: ElmoConfig,
        teacher_size: int,
        *,
        loss: str = "cosine",
        weight: float = 1.0,
        decay_steps: Optional[int] = None,
    ) -> None:
        super().__init__()
        if loss not in LOSSES:
            raise ValueError(f"loss must be one of {', '.join(LOSSES)}; found {loss!r}")
        if teacher_size < 1 or weight <= 0.0 or (decay_steps is not None and decay_steps < 1):
            raise ValueError(
                "The teacher's size and decay_steps must be at least 1, and the weight above 0; "
                f"found {teacher_size}, {decay_steps} and {weight}"
            )
        self.loss = loss
        self.initial_weight = weight
        self.decay_steps = decay_steps
        self.mix = ScalarMix(config.num_layers)
        self.head = nn.Linear(config.output_size, teacher_size)
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    @property
    def weight(self) -> float:
        """The weight of the loss at the current step."""
        if self.decay_steps is None:
            return self.initial_weight
        return self.initial_weight * max(0.0, 1.0 - int(self.steps) / self.decay_steps)

    def forward(
        self, layers: Sequence[torch.Tensor], lengths: torch.Tensor, teacher: torch.Tensor
    ) -> torch.Tensor:
        """
        Returns the loss of each word, (words,). Words whose teacher's vector is 0 are left out:
        transformers give it to words without word pieces.

        # Parameters

        layers : `Sequence[torch.Tensor]`
            A `Prediction`'s, (2, batch, time, hidden_size) each. Each row is a whole sentence with
            its first sentence mark, in each direction's reading order.
        lengths : `torch.Tensor`
            int64, (batch,): the number of inputs of each row, one more than its words.
        teacher : `torch.Tensor`
            (batch, time - 1, teacher_size): the teacher's vectors of the words, in their order.

        # Raises

        `ValueError` for teacher's vectors of another shape.
        """
        batch, time = layers[0].shape[1:3]
        expected = (batch, time - 1, self.head.out_features)
        if teacher.shape != expected:
            raise ValueError(
                f"The teacher's vectors must be of shape (batch, words, size), here {expected}; "
                f"found {tuple(teacher.shape)}"
            )
        # (batch, time - 1)
        mask = torch.arange(time - 1, device=lengths.device) < (lengths - 1).unsqueeze(1)
        # (words,), both: word i is input i + 1 forward, and input length - 1 - i backward
        rows, places = (mask & (teacher != 0).any(dim=-1)).nonzero(as_tuple=True)
        steps = (places + 1, lengths[rows] - 1 - places)
        # (num_layers, 1, words, 2 * hidden_size)
        words = torch.stack(
            [
                torch.cat([half[rows, step] for half, step in zip(layer, steps)], dim=-1)
                for layer in layers
            ]
        ).unsqueeze(1)
        # (words, teacher_size), both
        predicted = self.head(self.mix(words, mask)[0])
        return _losses(self.loss, predicted, teacher[rows, places])


class WordDistillation(nn.Module):
    """
    A linear head that predicts a word's static vector from the character encoder's vector of it.
    In each training batch it reads words drawn from all that have one, so that rare words, which
    running text would hardly show, count as much as frequent ones. After training the head is not
    used.

        predicted = W · char_cnn(word) + b, and losses as in `Distillation`

    # Parameters

    hidden_size : `int`
        The size of the character encoder's vectors.
    teacher_size : `int`
        The size of the static vectors.
    loss : `str`
        "cosine" or "squared_error".
    weight : `float`
        The factor of this loss in its sum with the biLM's loss, which is in nats per word.
    words_per_batch : `int`
        How many words are drawn for a batch, with repetition.

    # Raises

    `ValueError` for an unknown loss, or a number out of range.
    """

    def __init__(
        self,
        hidden_size: int,
        teacher_size: int,
        *,
        loss: str = "cosine",
        weight: float = 1.0,
        words_per_batch: int = 1024,
    ) -> None:
        super().__init__()
        if loss not in LOSSES:
            raise ValueError(f"loss must be one of {', '.join(LOSSES)}; found {loss!r}")
        if teacher_size < 1 or weight <= 0.0 or words_per_batch < 1:
            raise ValueError(
                "The vectors' size and words_per_batch must be at least 1, and the weight above 0; "
                f"found {teacher_size}, {words_per_batch} and {weight}"
            )
        self.loss = loss
        self.weight = weight
        self.words_per_batch = words_per_batch
        self.head = nn.Linear(hidden_size, teacher_size)

    def forward(
        self, char_cnn: nn.Module, character_ids: torch.Tensor, teacher: torch.Tensor
    ) -> torch.Tensor:
        """
        Returns the losses of words that it draws, (words_per_batch,).

        # Parameters

        char_cnn : `nn.Module`
            The student's character encoder.
        character_ids : `torch.Tensor`
            int64, (words, characters): all words that have a static vector.
        teacher : `torch.Tensor`
            (words, teacher_size): these vectors.
        """
        drawn = torch.randint(len(teacher), (self.words_per_batch,), device=teacher.device)
        predicted = self.head(char_cnn(character_ids[drawn]))
        return _losses(self.loss, predicted, teacher[drawn])


def _losses(loss: str, predicted: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Returns the loss of each of the last dimension's vectors."""
    predicted, teacher = predicted.float(), teacher.float()
    if loss == "cosine":
        return 1.0 - nn.functional.cosine_similarity(predicted, teacher, dim=-1)
    return (predicted - teacher).square().mean(dim=-1)
