"""A data loader whose batches are the same for any number of processes."""

import copy
import random
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from allennlp.common.checks import ConfigurationError
from allennlp.data import DataLoader, DatasetReader, Instance, TensorDict
from allennlp.data.data_loaders import MultiProcessDataLoader
from allennlp.data.dataset_readers.dataset_reader import DistributedInfo

from elmo_components.pretraining.shares import balanced_shares
from elmo_components.registered.dataset_readers.corpus import CorpusReader
from elmo_components.registered.dataset_readers.sharding import processes

__all__ = ["GlobalBatchLoader"]


@DataLoader.register("elmo_global_batches")
class GlobalBatchLoader(MultiProcessDataLoader):
    """
    Forms the batches of one process in every process, and gives each process its share of the rows.

    A batch is divided into shares with nearly equal numbers of tokens, one for each process and
    accumulation step. Therefore

    * the settings of batches, such as a sampler's `max_tokens`, are of all processes together;
    * each sentence is in one share of one batch, in training and in validation;
    * all processes have the same number of batches, so none waits for another and none ends early.
      A share without a sentence is one row of padding;
    * the model can make the mean of the shares' losses the batch's loss. It gets a dictionary
      "share" of tensors of shape (): "tokens" and "words", the mean numbers of tokens and of tokens
      without sentence marks in a share of this batch; "ends_step", whether this is the last piece
      of an accumulated step; and "seed", a random number that all shares of the batch have.

    All processes read all sentences, but each indexes its own only.

    Registered as a `DataLoader` with name "elmo_global_batches".

    # Parameters

    reader : `DatasetReader`
        "elmo_corpus" with the packing "sentences".
    data_path, **kwargs
        See `MultiProcessDataLoader`. With several workers the processes' batches are in no fixed
        order, so that a step may join shares of different batches.
    num_gradient_accumulation_steps : `int`
        The trainer's. The gradients of a step are then those of the whole batch at once.

    # Raises

    `ConfigurationError` for another reader, or `batches_per_epoch` that is no multiple of
    `num_gradient_accumulation_steps`.
    """

    # `MultiProcessDataLoader` declares no types
    reader: Any
    data_path: Any
    num_workers: Any
    batches_per_epoch: Any
    max_instances_in_memory: Any
    collate_fn: Any

    def __init__(
        self,
        reader: DatasetReader,
        data_path: Any,
        *,
        num_gradient_accumulation_steps: int = 1,
        **kwargs: Any,
    ) -> None:
        if not isinstance(reader, CorpusReader) or reader.packs_streams:
            raise ConfigurationError(
                "The data loader elmo_global_batches needs the reader elmo_corpus with packing "
                '"sentences". Set its type to "multiprocess"'
            )
        number = kwargs.get("batches_per_epoch") or 0
        if number % num_gradient_accumulation_steps:
            raise ConfigurationError(
                "batches_per_epoch must be a multiple of num_gradient_accumulation_steps; found "
                f"{number} and {num_gradient_accumulation_steps}"
            )
        self._rank, self._num_processes = processes(reader)
        self._accumulated = num_gradient_accumulation_steps
        # of the current pass's workers, the same in all processes
        self._seed = 0
        # a copy, since another loader may read the same reader's share
        reader = copy.copy(reader)
        reader._set_distributed_info(DistributedInfo(world_size=1, global_rank=0))
        super().__init__(reader, data_path, **kwargs)
        self._collate = self.collate_fn
        self.collate_fn = self._shares

    def __len__(self) -> int:
        number = super().__len__()
        # `batches_per_epoch` counts shares already
        return number if self.batches_per_epoch is not None else number * self._accumulated

    def iter_instances(self) -> Iterator[Instance]:
        """Yields all sentences; those that are read anew in each epoch are not indexed yet."""
        if self.max_instances_in_memory is None or self.num_workers > 0:
            yield from super().iter_instances()
        else:
            sentences = self.reader.read(self.data_path)
            yield from self._maybe_tqdm(sentences, desc="loading instances")

    def _index_instance(self, instance: Instance) -> Instance:
        # only this process's share is indexed, in `_shares`
        return instance

    def _iter_batches(self) -> Iterator[TensorDict]:
        if self.num_workers > 0:
            self._seed = random.getrandbits(64)
        yield from super()._iter_batches()

    def _instances_to_batches(
        self, instance_iterator: Iterable[Instance], move_to_device: bool
    ) -> Iterator[TensorDict]:
        worker = self.reader.get_worker_info()
        if worker is not None:
            # Python gives each new process other random numbers, which the sampler would use
            random.seed(self._seed + worker.id)
        batches: Iterator[Any] = super()._instances_to_batches(instance_iterator, move_to_device)
        for shares in batches:
            yield from shares

    def _shares(self, batch: Sequence[Instance]) -> Any:
        """Returns this process's shares of a batch, one for each accumulation step."""
        # a list, as `MultiProcessDataLoader` moves any structure of tensors to the device
        lengths = [len(instance["inputs"]) for instance in batch]
        shares = balanced_shares(lengths, self._accumulated * self._num_processes)
        seed = random.getrandbits(62)
        found = []
        for piece, rows in enumerate(shares[self._rank :: self._num_processes]):
            chosen = [batch[row] for row in rows or [lengths.index(min(lengths))]]
            for instance in chosen:
                super()._index_instance(instance)
            tensors = self._collate(chosen)
            if not rows:
                tensors = _zeros(tensors)
            tensors["share"] = {
                "tokens": torch.tensor(sum(lengths) / len(shares)),
                # each sentence has one mark among its inputs
                "words": torch.tensor((sum(lengths) - len(lengths)) / len(shares)),
                "ends_step": torch.tensor(piece == self._accumulated - 1),
                "seed": torch.tensor(seed),
            }
            found.append(tensors)
        return found


def _zeros(tensors: Any) -> Any:
    """Returns 0 for all elements of tensors in dictionaries: padding."""
    if isinstance(tensors, dict):
        return {name: _zeros(value) for name, value in tensors.items()}
    return torch.zeros_like(tensors)
