"""A class for Ray Data that adds ELMo's vectors to a data set's rows."""

import math
import os
from collections.abc import Iterator, Sequence
from typing import Any, Optional, Union

import numpy
import torch

from elmo_components.characters import CharacterMapper
from elmo_components.corpora.work import arrays_of, bilm_of
from elmo_components.elmo import Elmo
from elmo_components.embedding.batches import BATCH_SIZE, embed_stream
from elmo_components.embedding.readers import sentence_of
from elmo_components.embedding.records import FIELDS, chosen_field
from elmo_components.embedding.selection import VectorChoice
from elmo_components.embedding.settings import EmbedSettings
from elmo_components.embedding.tables import vector_columns, vector_fields
from elmo_components.integrations.ray_data.session import import_ray
from elmo_components.modules.bilm import BiLm
from elmo_components.pretraining.tokenization import WHITE_SPACE, split_of

__all__ = ["ElmoBatchEmbedder", "SharedElmo"]


class SharedElmo:
    """
    A model in Ray's object store, which all actors of a machine share.

    # Parameters

    model : `Union[str, os.PathLike, Elmo]`
        What `Elmo.from_pretrained` takes, or an ELMo.
    precision : `str`
        See `Elmo`; for an ELMo, its own.

    # Raises

    The errors of `Elmo.from_pretrained`, and `ValueError` without Ray.
    """

    def __init__(self, model: Union[str, os.PathLike, Elmo], *, precision: str = "float32") -> None:
        elmo = (
            model if isinstance(model, Elmo) else Elmo.from_pretrained(model, precision=precision)
        )
        self.config = elmo.config
        self.precision = elmo.bilm.lstm.precision
        self._weights = import_ray().put(arrays_of(elmo.bilm))

    def load(self) -> BiLm:
        """Returns the model, frozen, whose weights are those in the object store."""
        arrays = import_ray().get(self._weights)
        return bilm_of(arrays, config=self.config, precision=self.precision)


class ElmoBatchEmbedder:
    """
    Adds the vectors of sentences to tables: a class for actors of `ray.data.Dataset.map_batches`.

    An actor loads the model once. A sentence's vectors do not depend on the batch, up to rounding.

    # Parameters

    model : `Union[str, os.PathLike, SharedElmo]`
        The model. A `SharedElmo` is in memory once on each machine; of a name or a path each actor
        reads its own.
    choice : `VectorChoice`
        Which vectors to add.
    column : `Optional[str]`
        The column of sentences: lists of tokens, or strings. `None` for the first that exists of
        "tokens", "sentence" and "text".
    tokenizer : `str`
        What splits strings: "just_spaces", "character", or "spacy_blank" for spaCy's rules for
        English; JSON for another language: `{"type": "spacy_blank", "language": "de"}`.
    output_column : `str`
        The name of the new column. See `vector_fields`.
    tensors : `bool`
        With pooling, whether the new column has Arrow's type `fixed_shape_tensor`, of shape
        (size,), or (num_layers, size) for all layers, and not lists.
    precision : `str`
        See `Elmo`; for a `SharedElmo`, its own.
    batch_size : `int`
        See `Elmo.embed`.
    threads : `int`
        How many threads compute; give `map_batches` the same `num_cpus`.
    device : `str`
        "cpu", or "cuda" for the GPU that Ray gives the actor.

    # Raises

    `ValueError` for unknown names and numbers out of range, and for tensors without pooling.
    """

    def __init__(
        self,
        model: Union[str, os.PathLike, SharedElmo],
        *,
        choice: VectorChoice,
        column: Optional[str] = None,
        tokenizer: str = WHITE_SPACE,
        output_column: str = "vectors",
        tensors: bool = False,
        precision: str = "float32",
        batch_size: int = BATCH_SIZE,
        threads: int = 1,
        device: str = "cpu",
    ) -> None:
        if tensors and choice.pooling is None:
            raise ValueError(
                "tensors must have one shape, so choice must have a pooling; found none. Use "
                "tensors=False for vectors of tokens"
            )
        if threads < 1:
            raise ValueError(f"threads must be 1 or more; found {threads}")
        # it checks the batch size
        self._settings = EmbedSettings(choice, batch_size=batch_size)
        torch.set_num_threads(threads)
        self._split = split_of(tokenizer)
        self._column = column
        self._output_column = output_column
        self._tensors = tensors
        if isinstance(model, SharedElmo):
            bilm = model.load()
        else:
            bilm = Elmo.from_pretrained(model, precision=precision).bilm
        choice.check(bilm.config.num_layers)
        self._bilm = bilm.to(torch.device(device))

    def __call__(self, table: Any) -> Any:
        """
        Returns a `pyarrow.Table` with the vectors' columns added.

        # Raises

        `TypeError` for another batch than a `pyarrow.Table`; `ValueError` for a column that is
        missing or is there already, and for a row that is no sentence.
        """
        import pyarrow

        if not isinstance(table, pyarrow.Table):
            raise TypeError(
                f"A batch must be a pyarrow.Table; found {type(table).__name__}. Give map_batches "
                'batch_format="pyarrow"'
            )
        choice, config = self._settings.choice, self._bilm.config
        sizes = {"num_layers": config.num_layers, "size": config.output_size}
        vectors = [choice.choose(one) for one in self._embedded(table)]
        if self._tensors:
            # (rows, size) or (rows, num_layers, size)
            new = {self._output_column: _tensors(vectors, choice.shape(0, **sizes), choice.dtype)}
        else:
            fields = vector_fields(self._output_column, choice, **sizes)
            columns = vector_columns(vectors, choice, **sizes)
            new = {field.name: one for field, one in zip(fields, columns)}
        for name, column in new.items():
            if name in table.column_names:
                raise ValueError(
                    f"The table has a column {name!r} already. Give another output_column"
                )
            table = table.append_column(name, column)
        return table

    def _embedded(self, table: Any) -> Iterator[numpy.ndarray]:
        """Yields the vectors of each row, for the layers that the choice needs."""
        name = chosen_field(self._column, table.column_names)
        if name is None:
            raise ValueError(
                f"The table must have the column {self._column or ' or '.join(FIELDS)}; found "
                f"{', '.join(table.column_names)}"
            )
        sentences = []
        for row, value in enumerate(table.column(name).to_pylist()):
            try:
                sentences.append(sentence_of(value, self._split).tokens)
            except ValueError as error:
                raise ValueError(f"Column {name!r}, row {row} of a batch: {error}") from error
        self._bilm.char_cnn.clear_cache()
        return embed_stream(
            self._bilm,
            CharacterMapper.of(self._bilm.config.char_cnn),
            sentences,
            layers=self._settings.choice.embedded,
            batch_size=self._settings.batch_size,
            window=self._settings.window,
        )


def _tensors(vectors: Sequence[numpy.ndarray], shape: tuple[int, ...], dtype: Any) -> Any:
    """Returns a column of tensors of a shape."""
    import pyarrow

    if vectors:
        return pyarrow.FixedShapeTensorArray.from_numpy_ndarray(numpy.stack(vectors))
    number = pyarrow.from_numpy_dtype(dtype)
    storage = pyarrow.array([], pyarrow.list_(number, math.prod(shape)))
    return pyarrow.ExtensionArray.from_storage(pyarrow.fixed_shape_tensor(number, shape), storage)
