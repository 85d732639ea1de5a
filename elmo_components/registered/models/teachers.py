"""The teachers that a configuration of a language model may name."""

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Optional

import torch
from allennlp.common import Lazy, Registrable
from allennlp.common.checks import ConfigurationError
from allennlp.data import TextFieldTensors
from allennlp.modules.token_embedders import TokenEmbedder
from allennlp.modules.token_embedders.embedding import EmbeddingsTextFile
from allennlp.training.metrics import Average

from elmo_components import checkpoints
from elmo_components.characters import CharacterMapper
from elmo_components.config import ElmoConfig
from elmo_components.modules.char_cnn import CharCnn
from elmo_components.pretraining.teachers import Distillation, WordDistillation
from elmo_components.registered.models.processes import per_process
from elmo_components.registered.token_embedders.elmo import ElmoEmbedder

__all__ = ["ElmoTeacher", "EmbedderTeacher", "Teacher", "WordTeacher"]

NO_WEIGHTS = (
    "The teacher has no pretrained_file; AllenNLP drops it when it loads an archive. To continue "
    "a training, use its configuration with the archive as the model's pretrained_file"
)


class Teacher(Registrable):
    """
    A frozen embedder, and the settings of the distillation. The embedder is built at the first
    training batch. It is no submodule of the model: checkpoints and archives do not contain its
    weights, and loading them does not need the teacher.

    # Parameters

    size : `int`
        The size of the teacher's vectors.
    loss, weight, decay_steps
        See `Distillation`.
    """

    default_implementation = "embedder"

    def __init__(
        self,
        size: int,
        loss: str = "cosine",
        weight: float = 1.0,
        decay_steps: Optional[int] = None,
    ) -> None:
        self._size = size
        self._loss = loss
        self._weight = weight
        self._decay_steps = decay_steps
        self._embedder: Optional[TokenEmbedder] = None
        # over batches, without the weight
        self.mean_loss = Average()

    def distillation(self, config: ElmoConfig) -> Distillation:
        """Returns the loss and its trained parameters for a student of these sizes."""
        return Distillation(
            config,
            self._size,
            loss=self._loss,
            weight=self._weight,
            decay_steps=self._decay_steps,
        )

    def loss(
        self,
        distillation: Distillation,
        layers: Sequence[torch.Tensor],
        lengths: torch.Tensor,
        inputs: Optional[TextFieldTensors],
        share: Optional[dict[str, torch.Tensor]] = None,
    ) -> torch.Tensor:
        """
        Returns the weighted mean of the losses of a training batch, and counts it. Of several
        shares of a batch, the mean of the losses is the batch's loss.

        # Parameters

        distillation, layers, lengths
            See `Distillation.forward`.
        inputs : `Optional[TextFieldTensors]`
            The sentences' words, by the reader's `teacher_indexer`.
        share : `Optional[Dict[str, torch.Tensor]]`
            See `ElmoLanguageModel.forward`.

        # Raises

        `ConfigurationError` without inputs, and as `vectors` does.
        """
        if inputs is None:
            raise ConfigurationError(
                "A language model with a teacher needs teacher_inputs in training. Give the reader "
                "elmo_corpus the teacher's teacher_indexer"
            )
        weight = distillation.weight
        distillation.steps += 1 if share is None else int(share["ends_step"])
        if weight == 0.0:
            # DistributedDataParallel needs a gradient of every parameter
            return torch.stack([part.sum() for part in distillation.parameters()]).sum() * 0.0
        losses = distillation(layers, lengths, self.vectors(inputs))
        # words with a teacher's vector
        number = torch.tensor(len(losses), device=losses.device)
        if share is None:
            loss = losses.sum() / per_process(number)
        else:
            words = (lengths - 1).clamp(min=0).sum()
            loss = losses.sum() / number.clamp(min=1) * words / share["words"]
        self.mean_loss(float(loss.detach()))
        return weight * loss

    def vectors(self, inputs: TextFieldTensors) -> torch.Tensor:
        """
        Returns the teacher's vectors, (batch, words, size), of a field with one indexer.

        # Raises

        `ConfigurationError` for an embedder without weights or of another size.
        """
        (tensors,) = inputs.values()
        if self._embedder is None:
            # the student's random numbers must not depend on the time of building
            with torch.random.fork_rng():
                self._embedder = self._build().requires_grad_(False).eval()
            size = self._embedder.get_output_dim()
            if size != self._size:
                raise ConfigurationError(f"The teacher's size must be {size}; found {self._size}")
            self._embedder.to(next(iter(tensors.values())).device)
        # autocast makes a transformer twice as fast, and ELMo's own kernels slower
        is_elmo = isinstance(self._embedder, ElmoEmbedder)
        with torch.no_grad(), torch.autocast("cpu", enabled=False) if is_elmo else nullcontext():
            return self._embedder(**tensors)

    def _build(self) -> TokenEmbedder:
        raise NotImplementedError


@Teacher.register("embedder")
class EmbedderTeacher(Teacher):
    """
    Any `TokenEmbedder`, such as "pretrained_transformer_mismatched". The reader's `teacher_indexer`
    must be the embedder's.

    Registered as a `Teacher` with name "embedder".
    """

    def __init__(
        self,
        embedder: Lazy[TokenEmbedder],
        size: int,
        loss: str = "cosine",
        weight: float = 1.0,
        decay_steps: Optional[int] = None,
    ) -> None:
        super().__init__(size, loss, weight, decay_steps)
        self._lazy_embedder = embedder

    def _build(self) -> TokenEmbedder:
        embedder = self._lazy_embedder.construct()
        if isinstance(embedder, ElmoEmbedder) and embedder._is_random:
            raise ConfigurationError(NO_WEIGHTS)
        return embedder


@Teacher.register("elmo")
class ElmoTeacher(Teacher):
    """
    An ELMo of any checkpoint: the mean of its layers. The reader's `teacher_indexer` must be
    "elmo_character_ids", with the checkpoint's alphabet where it has one.

    Registered as a `Teacher` with name "elmo".

    # Parameters

    pretrained_file : `Optional[str]`
        The biLM, in any format that `Elmo.from_pretrained` reads. AllenNLP drops this key when it
        rebuilds a model from an archive, which can then be evaluated but not trained.
    """

    def __init__(
        self,
        size: int,
        pretrained_file: Optional[str] = None,
        loss: str = "cosine",
        weight: float = 1.0,
        decay_steps: Optional[int] = None,
    ) -> None:
        super().__init__(size, loss, weight, decay_steps)
        self._pretrained_file = pretrained_file

    def _build(self) -> TokenEmbedder:
        if self._pretrained_file is None:
            raise ConfigurationError(NO_WEIGHTS)
        options = checkpoints.load(self._pretrained_file).config.to_options()
        return ElmoEmbedder(options, pretrained_file=self._pretrained_file)


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
        AllenNLP's `embedding` reads. AllenNLP drops this key when it rebuilds a model from an
        archive, which can then be evaluated but not trained.
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
        with EmbeddingsTextFile(self._pretrained_file) as file:
            for line in file:
                word, *numbers = line.rstrip().split(" ")
                if word not in wanted:
                    continue
                if len(numbers) != self._size:
                    raise ConfigurationError(
                        f"word_teacher's size must be {len(numbers)}, which "
                        f"{self._pretrained_file} has for {word!r}; found {self._size}"
                    )
                vectors[word] = torch.tensor([float(number) for number in numbers])
        if not vectors:
            raise ConfigurationError(
                f"{self._pretrained_file} has no vector of any word of the vocabulary"
            )
        mapper = CharacterMapper.of(char_cnn.config)
        self._ids = mapper.batch_ids([list(vectors)])[0].to(device)
        self._vectors = torch.stack(list(vectors.values())).to(device)


WordTeacher.register("word_vectors")(WordTeacher)
