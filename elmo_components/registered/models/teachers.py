"""Frozen embedders as teachers of a language model, and the cache of their vectors."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Optional

import torch
from allennlp.common import FromParams, Lazy, Registrable
from allennlp.common.checks import ConfigurationError
from allennlp.data import TextFieldTensors
from allennlp.modules.token_embedders import TokenEmbedder
from allennlp.training.metrics import Average

from elmo_components import checkpoints
from elmo_components.caching.fingerprint import digest
from elmo_components.caching.vector_file import VectorFile
from elmo_components.config import ElmoConfig
from elmo_components.pretraining.teachers import Distillation
from elmo_components.registered.models.processes import per_process
from elmo_components.registered.token_embedders.elmo import ElmoEmbedder

__all__ = ["ElmoTeacher", "EmbedderTeacher", "Teacher", "TeacherCache"]

# Settings of an embedder that say where its weights are.
PATHS = {"model_name", "pretrained_file", "weight_file", "options_file"}
NO_WEIGHTS = (
    "The teacher has no pretrained_file; AllenNLP drops it when it loads an archive. To continue "
    "a training, use its configuration with the archive as the model's pretrained_file"
)


class TeacherCache(FromParams):
    """
    Settings of the file that stores a teacher's vectors of sentences, in float16. See `VectorFile`.
    A later training with the same teacher and text may use the same file. The vectors that are not
    in the file are rounded to float16 too, so that a sentence has the same vectors in each pass.
    Sentences count as equal if the student reads the same ids: the first 48 bytes of each word, or
    what its own spelling makes of the word.

    # Parameters

    path : `str`
        The file. Processes on one machine share it; on several machines, it must be on local disks.
    max_gigabytes : `float`
        The file's largest size. Sentences beyond it are computed in each pass. A vector of 384
        numbers takes 768 bytes.
    """

    def __init__(self, path: str, max_gigabytes: float = 10.0) -> None:
        if max_gigabytes <= 0.0:
            raise ConfigurationError(f"cache.max_gigabytes must be above 0; found {max_gigabytes}")
        self._path = path
        self._max_bytes = int(max_gigabytes * 1e9)

    def open(self, embedder: TokenEmbedder, settings: Mapping[str, Any]) -> VectorFile:
        """
        Opens or creates the file for a teacher with these weights and settings.

        # Raises

        `ConfigurationError` for a file with another teacher's vectors and for a teacher with layer
        norm, `OSError` for a file that cannot be used.
        """
        if any(getattr(module, "do_layer_norm", False) for module in embedder.modules()):
            raise ConfigurationError(
                "A teacher with do_layer_norm can have no cache: its vectors depend on the batch"
            )
        model = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
        model.update(digest(list(embedder.state_dict().values())).encode())
        try:
            return VectorFile(
                Path(self._path),
                size=embedder.get_output_dim(),
                model=model.hexdigest(),
                max_bytes=self._max_bytes,
            )
        except ValueError as error:
            raise ConfigurationError(f"The teacher's cache: {error}") from error


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
    cache : `Optional[TeacherCache]`
        Where the teacher's vectors are stored, for a training of several passes over the text;
        `None` to compute them in each pass.
    """

    default_implementation = "embedder"

    def __init__(
        self,
        size: int,
        loss: str = "cosine",
        weight: float = 1.0,
        decay_steps: Optional[int] = None,
        cache: Optional[TeacherCache] = None,
    ) -> None:
        self._size = size
        self._loss = loss
        self._weight = weight
        self._decay_steps = decay_steps
        self._cache = cache
        # what a sentence's vectors and their key depend on, beside the weights
        self._settings: dict[str, Any] = {}
        self._embedder: Optional[TokenEmbedder] = None
        self._file: Optional[VectorFile] = None
        # over batches, without the weight
        self.mean_loss = Average()

    def distillation(self, config: ElmoConfig) -> Distillation:
        """Returns the loss and its trained parameters for a student of these sizes."""
        spelling = config.char_cnn
        self._settings["spelling"] = [spelling.alphabet, spelling.units, spelling.words]
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
        character_ids: torch.Tensor,
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
        character_ids : `torch.Tensor`
            int64, (batch, time, characters): the student's inputs, which identify the sentences.
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
        losses = distillation(layers, lengths, self.vectors(inputs, character_ids, lengths))
        # words with a teacher's vector
        number = torch.tensor(len(losses), device=losses.device)
        if share is None:
            loss = losses.sum() / per_process(number)
        else:
            words = (lengths - 1).clamp(min=0).sum()
            loss = losses.sum() / number.clamp(min=1) * words / share["words"]
        self.mean_loss(float(loss.detach()))
        return weight * loss

    def vectors(
        self, inputs: TextFieldTensors, character_ids: torch.Tensor, lengths: torch.Tensor
    ) -> torch.Tensor:
        """
        Returns the teacher's vectors, (batch, words, size), of a field with one indexer. See `loss`
        for the parameters.

        # Raises

        `ConfigurationError` for an embedder without weights or of another size, and for a cache
        with another teacher's vectors. `OSError` for a cache that cannot be used, `ValueError` for
        vectors that it cannot store.
        """
        (tensors,) = inputs.values()
        embedder = self._embedder
        if embedder is None:
            device = next(iter(tensors.values())).device
            # the student's random numbers must not depend on the time of building
            with torch.random.fork_rng(devices=[]):
                embedder = self._build().requires_grad_(False).eval().to(device)
            size = embedder.get_output_dim()
            if size != self._size:
                raise ConfigurationError(f"The teacher's size must be {size}; found {self._size}")
            if self._cache is not None:
                self._file = self._cache.open(embedder, self._settings)
            self._embedder = embedder
        if self._file is None:
            return self._embedded(embedder, tensors)
        # of words: without the first sentence mark
        return self._file.vectors(
            character_ids[:, 1:],
            (lengths - 1).clamp(min=0).tolist(),
            lambda rows: self._embedded(
                embedder, {name: tensor[rows] for name, tensor in tensors.items()}
            ),
        )

    @staticmethod
    def _embedded(embedder: TokenEmbedder, tensors: dict[str, torch.Tensor]) -> torch.Tensor:
        # autocast makes a transformer twice as fast, and ELMo's own kernels slower
        is_elmo = isinstance(embedder, ElmoEmbedder)
        with torch.no_grad(), torch.autocast("cpu", enabled=False) if is_elmo else nullcontext():
            return embedder(**tensors)

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
        cache: Optional[TeacherCache] = None,
    ) -> None:
        super().__init__(size, loss, weight, decay_steps, cache)
        self._lazy_embedder = embedder
        settings = embedder._params.as_dict(quiet=True)
        # the weights may have moved
        self._settings["embedder"] = {name: settings[name] for name in settings.keys() - PATHS}

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
        cache: Optional[TeacherCache] = None,
    ) -> None:
        super().__init__(size, loss, weight, decay_steps, cache)
        self._pretrained_file = pretrained_file

    def _build(self) -> TokenEmbedder:
        if self._pretrained_file is None:
            raise ConfigurationError(NO_WEIGHTS)
        options = checkpoints.load(self._pretrained_file).config.to_options()
        return ElmoEmbedder(options, pretrained_file=self._pretrained_file)
