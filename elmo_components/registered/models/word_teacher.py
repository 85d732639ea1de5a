"""Static word vectors as a teacher of a language model's character encoder."""

import logging
from collections.abc import Sequence
from typing import Optional

import torch
from allennlp.common import Registrable
from allennlp.common.checks import ConfigurationError
from allennlp.modules.token_embedders.embedding import EmbeddingsTextFile
from allennlp.training.metrics import Average

from elmo_components.characters import CharacterMapper
from elmo_components.config import ElmoConfig
from elmo_components.modules.char_cnn import CharCnn
from elmo_components.pretraining.teachers import WordDistillation
from elmo_components.registered.models.teachers import NO_WEIGHTS

__all__ = ["WordTeacher"]

logger = logging.getLogger(__name__)


class WordTeacher(Registrable):
    """
    Static word vectors that the character encoder also learns to predict: fastText's, GloVe's, or
    a transformer's of each word alone. Each training batch draws words of the vocabulary that have
    a vector. The vectors are no part of checkpoints and archives.

    # Parameters

    size : `int`
        The size of the vectors.
    pretrained_file : `Optional[str]`
        The vectors as text, a word and its numbers per line, in the forms and compressions that
        AllenNLP's `embedding` reads. Lines of another length are skipped, as there: some of GloVe's
        words have spaces in them. AllenNLP drops this key when it rebuilds a model from an archive,
        which can then be evaluated but not trained.
    loss, weight, words_per_batch
        See `WordDistillation`.
    """

    default_implementation = "word_vectors"

    def __init__(
        self,
        size: int,
        pretrained_file: Optional[str] = None,
        loss: str = "cosine",
        weight: float = 1.0,
        words_per_batch: int = 1024,
    ) -> None:
        self._size = size
        self._pretrained_file = pretrained_file
        self._loss = loss
        self._weight = weight
        self._words_per_batch = words_per_batch
        self._words: Sequence[str] = ()
        # (words, characters) and (words, size), of the words with a vector, once they are needed
        self._ids: Optional[torch.Tensor] = None
        self._vectors = torch.empty(0)
        # over batches, without the weight
        self.mean_loss = Average()

    def distillation(self, config: ElmoConfig, words: Sequence[str]) -> WordDistillation:
        """Returns the loss, of `words`, and its trained parameters for a student of these sizes."""
        self._words = words
        return WordDistillation(
            config.lstm.hidden_size,
            self._size,
            loss=self._loss,
            weight=self._weight,
            words_per_batch=self._words_per_batch,
        )

    def loss(self, distillation: WordDistillation, char_cnn: CharCnn) -> torch.Tensor:
        """
        Returns the weighted mean of the losses of words that are drawn, and counts it.

        # Raises

        `ConfigurationError` for a file without any of the words, or of another size.
        """
        if self._ids is None:
            self._read(char_cnn, distillation.head.weight.device)
        assert self._ids is not None
        loss = distillation(char_cnn, self._ids, self._vectors).mean()
        self.mean_loss(float(loss.detach()))
        return distillation.weight * loss

    def _read(self, char_cnn: CharCnn, device: torch.device) -> None:
        if self._pretrained_file is None:
            raise ConfigurationError(NO_WEIGHTS)
        wanted, vectors = set(self._words), {}
        skipped: dict[str, int] = {}
        with EmbeddingsTextFile(self._pretrained_file) as file:
            for line in file:
                word, *numbers = line.rstrip().split(" ")
                if word not in wanted:
                    continue
                if len(numbers) != self._size:
                    skipped.setdefault(word, len(numbers))
                    continue
                vectors[word] = torch.tensor([float(number) for number in numbers])
        if skipped:
            word, size = next(iter(skipped.items()))
            if not vectors:
                raise ConfigurationError(
                    f"word_teacher's size must be {size}, which {self._pretrained_file} has for "
                    f"{word!r}; found {self._size}"
                )
            logger.warning(
                "%s: lines without %d numbers are skipped, such as one of %r, which has %d",
                self._pretrained_file,
                self._size,
                word,
                size,
            )
        if not vectors:
            raise ConfigurationError(
                f"{self._pretrained_file} has no vector of any word of the vocabulary"
            )
        mapper = CharacterMapper.of(char_cnn.config)
        self._ids = mapper.batch_ids([list(vectors)])[0].to(device)
        self._vectors = torch.stack(list(vectors.values())).to(device)


WordTeacher.register("word_vectors")(WordTeacher)
