"""Embeds the sentences of a partition with a biLM whose weights other processes may share."""

import warnings
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import numpy
import torch

from elmo_components.config import ElmoConfig
from elmo_components.embedding.intake import Intake
from elmo_components.embedding.settings import EmbedSettings
from elmo_components.embedding.tables import Entry, write_table
from elmo_components.embedding.windows import embed_window, windows_of
from elmo_components.modules.bilm import BiLm

__all__ = ["EmbedWork", "Work", "arrays_of", "bilm_of", "load_embed_work"]


class Work(Protocol):
    """What is done with the sentences of a partition, in one process for many partitions."""

    def write(self, records: Iterator[bytes], intake: Intake, sink: Any, *, number: int) -> int:
        """
        Writes a Parquet file and returns the number of its sentences.

        # Parameters

        records : `Iterator[bytes]`
            The records of the partition.
        intake : `Intake`
            What parses them.
        sink : `pyarrow.NativeFile`
            The open output.
        number : `int`
            The number of the first record in its file.
        """


class EmbedWork:
    """
    Writes the vectors of sentences, with the same bytes as `embed_file`.

    # Parameters

    bilm : `BiLm`
        The model.
    settings : `EmbedSettings`
        Which vectors to write.
    """

    def __init__(self, bilm: BiLm, settings: EmbedSettings) -> None:
        settings.choice.check(bilm.config.num_layers)
        self._bilm = bilm
        self._settings = settings

    def write(self, records: Iterator[bytes], intake: Intake, sink: Any, *, number: int) -> int:
        """See `Work.write`."""
        sentences = 0

        def entries() -> Iterator[Entry]:
            nonlocal sentences
            for window in windows_of(records, intake, self._settings, number=number):
                for entry in embed_window(self._bilm, window, intake, self._settings):
                    sentences += 1
                    yield entry
                if window.ends_part:
                    self._bilm.char_cnn.clear_cache()

        # what another partition left there
        self._bilm.char_cnn.clear_cache()
        write_table(
            sink,
            entries(),
            choice=self._settings.choice,
            num_layers=self._bilm.config.num_layers,
            size=self._bilm.config.output_size,
            has_text=self._settings.keep_sentences,
        )
        return sentences


def load_embed_work(
    arrays: Mapping[str, numpy.ndarray],
    *,
    config: ElmoConfig,
    precision: str,
    device: str,
    settings: EmbedSettings,
) -> EmbedWork:
    """Returns the work of a process that has received the weights. See `bilm_of`."""
    bilm = bilm_of(arrays, config=config, precision=precision)
    return EmbedWork(bilm.to(torch.device(device)), settings)


def arrays_of(bilm: BiLm) -> dict[str, numpy.ndarray]:
    """Returns a model's weights by their names."""
    return {name: tensor.cpu().numpy() for name, tensor in bilm.state_dict().items()}


def bilm_of(arrays: Mapping[str, numpy.ndarray], *, config: ElmoConfig, precision: str) -> BiLm:
    """
    Returns a frozen model with the weights of `arrays_of`, whose memory it uses.

    The arrays may be read-only, such as those in the memory that processes share.

    # Parameters

    config : `ElmoConfig`
        The sizes.
    precision : `str`
        See `Elmo`.
    """
    bilm = BiLm(config, precision=precision).requires_grad_(False).eval()
    with warnings.catch_warnings():
        # "The given NumPy array is not writable": nothing writes to frozen weights
        warnings.simplefilter("ignore", UserWarning)
        for name, parameter in bilm.named_parameters():
            # not load_state_dict, which copies
            parameter.data = torch.from_numpy(arrays[name])
    return bilm
