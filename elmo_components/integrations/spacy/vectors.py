"""A spaCy pipe that gives tokens, spans and documents ELMo's contextual vectors."""

import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Optional, Union

import numpy
from spacy.tokens import Doc

from elmo_components import checkpoints
from elmo_components.checkpoints import Checkpoint
from elmo_components.checkpoints.names import SHIPPED
from elmo_components.elmo import Elmo
from elmo_components.embedding.batches import BATCH_SIZE
from elmo_components.embedding.selection import VectorChoice
from elmo_components.integrations.spacy.forks import use_one_thread_in_a_fork
from elmo_components.integrations.spacy.hooks import set_hooks
from elmo_components.integrations.spacy.sentences import sentences_of, windows

__all__ = ["ElmoVectors"]

FILE = "elmo.safetensors"

Layers = Union[int, str, list[float]]
Exclude = Iterable[str]


class ElmoVectors:
    """
    A spaCy pipe that sets `doc.tensor` to ELMo's vectors, float32 of shape (tokens, size), and the
    document's hooks, so that `token.vector`, `span.similarity` and the like are contextual.

    A token of white space has a vector of zeros. See `sentences_of` for what is a sentence, and
    `set_hooks` for the hooks. The checkpoint is read at the first use. A saved pipeline contains
    it, unless it is one that comes with this package.

    # Parameters

    model : `str`
        A checkpoint. See `Elmo.from_pretrained`. A path that does not exist is an error at the
        first use only: a saved pipeline brings its own copy.
    name : `str`
        The pipe's name in its pipeline.
    layers : `Union[int, str, List[float]]`
        "mean" of all layers; "top"; the number of one layer, where 0 is the character encoder's;
        or one weight per layer for their weighted sum.
    batch_size : `int`
        The number of sentences computed at once; fewer if they have more than 62 tokens.
    precision : `str`
        "float32", "bfloat16" or "int8". See `Elmo`.
    device : `str`
        PyTorch's name of the device to compute on. Vectors are on the CPU.

    # Raises

    `ValueError` for a setting out of range, `CheckpointError` for a file that is no checkpoint.
    """

    def __init__(
        self,
        model: str = "english",
        *,
        name: str = "elmo",
        layers: Layers = "mean",
        batch_size: int = BATCH_SIZE,
        precision: str = "float32",
        device: str = "cpu",
    ) -> None:
        if layers == "all":
            raise ValueError(
                'layers must select one vector per token: "mean", "top", the number of a layer, '
                'or one weight per layer; found "all"'
            )
        if batch_size < 1:
            raise ValueError(f"batch_size must be 1 or more; found {batch_size}")
        self.name = name
        self._model = model
        self._choice = VectorChoice(tuple(layers) if isinstance(layers, list) else layers)
        self._batch_size = batch_size
        self._precision = precision
        self._device = device
        self._elmo: Optional[Elmo] = None
        # whether it has the weights of `from_disk`, and not those of `model`
        self._was_read = False
        if os.path.exists(model):
            checkpoints.identify(model)

    def __call__(self, doc: Doc) -> Doc:
        """Sets one document's vectors and hooks, and returns it."""
        self._embed([doc])
        return doc

    def pipe(self, stream: Iterable[Doc], *, batch_size: int = 128) -> Iterator[Doc]:
        """Embeds a stream of documents, and reads at most `batch_size` of them ahead."""
        for docs in windows(stream, batch_size=batch_size):
            self._embed(docs)
            yield from docs

    @property
    def elmo(self) -> Elmo:
        """The model, which is loaded if it was not yet."""
        return self._load(self._model) if self._elmo is None else self._elmo

    def to_disk(self, path: Union[str, os.PathLike], *, exclude: Exclude = ()) -> None:
        """Writes the checkpoint into the folder `path`, unless it comes with this package."""
        Path(path).mkdir(parents=True, exist_ok=True)
        if self._was_read or self._model not in SHIPPED:
            bilm = self.elmo.bilm
            checkpoints.save(Checkpoint(bilm.config, bilm.state_dict()), Path(path, FILE))

    def from_disk(self, path: Union[str, os.PathLike], *, exclude: Exclude = ()) -> "ElmoVectors":
        """Reads what `to_disk` wrote."""
        self._was_read = Path(path, FILE).exists()
        if self._was_read:
            self._load(str(Path(path, FILE)))
        else:
            self._elmo = None
        return self

    def to_bytes(self, *, exclude: Exclude = ()) -> bytes:
        """Returns the bytes of the checkpoint; none if it comes with this package."""
        with tempfile.TemporaryDirectory() as folder:
            self.to_disk(folder)
            path = Path(folder, FILE)
            return path.read_bytes() if path.exists() else b""

    def from_bytes(self, data: bytes, *, exclude: Exclude = ()) -> "ElmoVectors":
        """Reads what `to_bytes` returned."""
        with tempfile.TemporaryDirectory() as folder:
            if data:
                Path(folder, FILE).write_bytes(data)
            return self.from_disk(folder)

    def _load(self, checkpoint: str) -> Elmo:
        elmo = Elmo.from_pretrained(checkpoint, precision=self._precision)
        self._choice.check(elmo.config.num_layers)
        self._elmo = elmo.to(self._device)
        return self._elmo

    def _embed(self, docs: list[Doc]) -> None:
        use_one_thread_in_a_fork()
        places = [(doc, indices) for doc in docs for indices in sentences_of(doc)]
        elmo = self.elmo
        for doc in docs:
            # (tokens, size)
            doc.tensor = numpy.zeros((len(doc), elmo.config.output_size), dtype=numpy.float32)
            set_hooks(doc)
        sentences = ([doc[index].text for index in indices] for doc, indices in places)
        found = elmo.embed_stream(
            sentences, layers=self._choice.embedded, batch_size=self._batch_size
        )
        for (doc, indices), vectors in zip(places, found):
            doc.tensor[indices] = self._choice.choose(vectors)
