"""A `DatasetReader` of plain text for pre-training a biLM."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, Optional, Union, cast
from zlib import crc32

import torch
from allennlp.common import Lazy
from allennlp.common.checks import ConfigurationError
from allennlp.data import DatasetReader, Instance, Token, TokenIndexer, Tokenizer
from allennlp.data.fields import Field, TensorField, TextField
from allennlp.data.token_indexers import SingleIdTokenIndexer

from elmo_components.characters import BOS_TOKEN, EOS_TOKEN
from elmo_components.pretraining.corpus import epoch_lines, find_shards, pack_streams
from elmo_components.registered.dataset_readers.sharding import shard
from elmo_components.registered.dataset_readers.text import Text, as_tokens
from elmo_components.registered.token_indexers.elmo_character_ids import ElmoCharacterIndexer

__all__ = ["CorpusReader"]

INPUTS = ("inputs", "backward_inputs")
TARGETS = ("targets", "backward_targets")
TEACHER = "teacher_inputs"

# What the counts of epochs have room for.
MAX_WORKERS = 256

# Tokens are never changed, so equal words share one, which makes reading and batching a quarter
# faster; this many are kept, in about 10 MB at most.
_token = lru_cache(maxsize=1 << 16)(Token)
BOS, EOS = Token(BOS_TOKEN), Token(EOS_TOKEN)

# An input and its target, forward, then an input and its target, backward.
Step = tuple[Token, Token, Token, Token]


@DatasetReader.register("elmo_corpus")
class CorpusReader(DatasetReader):
    """
    Reads a corpus, one sentence a line, as inputs and targets of a forward and a backward
    language model.

    Each instance has four text fields, aligned step by step. For the sentence w1 ... wn, as
    bilm-tf has it (`bilm/data.py`):

        inputs             <S>   w1    ...  wn
        targets            w1    ...   wn   </S>
        backward_inputs    </S>  wn    ...  w1
        backward_targets   wn    ...   w1   <S>

    The backward fields stand in the order in which the backward direction reads. Inputs are
    indexed with `token_indexers`, targets under "words" with their ids in `target_namespace`;
    0 is the id of a word there, so only the inputs tell what is padding.

    The corpus is what `find_shards` takes: a file (`.txt`, `.gz`, `.xz`), a folder, a glob
    pattern, or a list of these. It is streamed; give the data loader `max_instances_in_memory`,
    or it keeps all instances and reads one epoch only. Data-loader workers and the processes of
    distributed training share the sentences out among themselves.

    **Epochs.** `epoch` is the number of the next one to read, from 0: each `read` that begins
    takes it and adds one, in the main process or in data-loader workers alike. What an epoch
    holds depends on its number and the reader's settings alone. A reader to which epochs matter
    reads one corpus: give the validation data a reader of its own.

    Registered as a `DatasetReader` with name "elmo_corpus".

    # Parameters

    tokenizer : `Optional[Tokenizer]`
        `None` for text whose tokens are parted by white space, AllenNLP's "just_spaces".
    token_indexers : `Optional[Dict[str, TokenIndexer]]`
        How inputs are indexed; `None` for `{"elmo": ElmoCharacterIndexer()}`.
    target_namespace : `str`
        The vocabulary's namespace of the targets.
    packing : `str`
        "sentences": an instance is a sentence. "streams": sentences follow each other in
        `num_streams` streams, and an instance is the next `unroll_steps` steps of one of them:
        first one of stream 0, of stream 1, ..., then the second of stream 0, ... In batches of
        `num_streams`, unshuffled, each row so goes on from the same row of the batch before.
        Two more fields, of shape (), are "stream", its number, and "continues", false for its first
        cut in the epoch.
        At the epoch's end streams that have run out have shorter, then empty, cuts.
    num_streams, unroll_steps : `Optional[int]`
        For "streams", and only there. Each process of distributed training has its own
        `num_streams`; more than one data-loader worker is an error.
    shuffle_seed, buffer_size, shards_per_epoch
        See `epoch_lines`.
    max_tokens : `Optional[int]`
        Longer sentences are cut into sentences of at most so many tokens, none of which is lost.
    teacher_indexer : `Optional[Lazy[TokenIndexer]]`
        How a teacher's inputs are indexed, for a language model with a `teacher`. Instances then
        have the field "teacher_inputs": the sentence's tokens, without sentence marks. For packing
        "sentences" only. It is built when the first instance is indexed, so that an archive can be
        loaded where the teacher is not.
    max_instances : `Optional[int]`
        How many instances are read at most, by all processes together; `None` for all.

    # Raises

    `ConfigurationError` for settings that do not go together and files that are no text;
    `ValueError` for damaged files.
    """

    def __init__(
        self,
        tokenizer: Optional[Tokenizer] = None,
        token_indexers: Optional[dict[str, TokenIndexer]] = None,
        target_namespace: str = "vocab",
        packing: str = "sentences",
        num_streams: Optional[int] = None,
        unroll_steps: Optional[int] = None,
        shuffle_seed: Optional[int] = None,
        buffer_size: int = 1 << 16,
        shards_per_epoch: Optional[int] = None,
        max_tokens: Optional[int] = None,
        teacher_indexer: Optional[Lazy[TokenIndexer]] = None,
        max_instances: Optional[int] = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            max_instances=max_instances,
            manual_distributed_sharding=True,
            manual_multiprocess_sharding=True,
            **kwargs,
        )
        if packing not in ("sentences", "streams"):
            raise ConfigurationError(f'packing must be "sentences" or "streams"; found {packing!r}')
        for name, number in (("num_streams", num_streams), ("unroll_steps", unroll_steps)):
            if (number is not None) != (packing == "streams"):
                raise ConfigurationError(
                    f'{name} must be given for packing "streams", and only there; '
                    f"found {number} for {packing!r}"
                )
        for name, number in (
            ("num_streams", num_streams),
            ("unroll_steps", unroll_steps),
            ("buffer_size", buffer_size),
            ("shards_per_epoch", shards_per_epoch),
            ("max_tokens", max_tokens),
        ):
            if number is not None and number < 1:
                raise ConfigurationError(f"{name} must be at least 1; found {number}")
        if teacher_indexer is not None and packing == "streams":
            raise ConfigurationError(
                'teacher_indexer must not be given for packing "streams", whose instances are no '
                "whole sentences"
            )
        self._tokenizer = tokenizer
        self._token_indexers = token_indexers or {"elmo": ElmoCharacterIndexer()}
        self._target_indexers: dict[str, TokenIndexer] = {
            "words": SingleIdTokenIndexer(namespace=target_namespace)
        }
        self._num_streams = num_streams
        self._unroll_steps = unroll_steps
        self._shuffle_seed = shuffle_seed
        self._buffer_size = buffer_size
        self._shards_per_epoch = shards_per_epoch
        self._max_tokens = max_tokens
        self._teacher_indexer = teacher_indexer
        self._teacher_indexers: dict[str, TokenIndexer] = {}
        # (workers, 2): the epochs that each worker has begun, and what its corpus is. A worker
        # is a new copy of this process in each epoch, so it counts in memory that all share, and
        # in a row of its own: another may be faster.
        self._begun = torch.zeros(MAX_WORKERS, 2, dtype=torch.int64).share_memory_()

    @property
    def epoch(self) -> int:
        """The number of the next epoch to read. It may be set, before the epoch begins."""
        return int(self._begun[self._worker(), 0])

    @epoch.setter
    def epoch(self, number: int) -> None:
        self._begun[:, 0] = number

    def text_to_instance(self, text: Text) -> Instance:
        """Returns an instance of a sentence: its text, words or tokens."""
        tokens = self._tokens(text) if isinstance(text, str) else as_tokens(text, None)
        return self._instance(_steps(tokens))

    def apply_token_indexers(self, instance: Instance) -> None:
        """Gives the instance the indexers, after it came from another process."""
        for name in INPUTS:
            cast(TextField, instance[name]).token_indexers = self._token_indexers
        for name in TARGETS:
            cast(TextField, instance[name]).token_indexers = self._target_indexers
        if self._teacher_indexer is not None:
            self._teacher_indexers = self._teacher_indexers or {
                "teacher": self._teacher_indexer.construct()
            }
            cast(TextField, instance[TEACHER]).token_indexers = self._teacher_indexers

    def _read(self, file_path: Union[str, Sequence[str]]) -> Iterator[Instance]:
        epoch = self._begin_epoch(file_path)
        try:
            shards = find_shards(file_path)
        except ValueError as error:
            raise ConfigurationError(str(error)) from error
        lines = epoch_lines(
            shards,
            epoch=epoch,
            shuffle_seed=self._shuffle_seed,
            buffer_size=self._buffer_size,
            shards_per_epoch=self._shards_per_epoch,
        )
        sentences = map(_steps, self._sentences(shard(self, lines)))
        if self._num_streams is None:
            yield from map(self._instance, sentences)
            return
        assert self._unroll_steps is not None
        cuts = pack_streams(
            sentences, num_streams=self._num_streams, unroll_steps=self._unroll_steps
        )
        for number, cut in enumerate(cuts):
            instance = self._instance(cut)
            row = torch.tensor(number % self._num_streams)
            continues = torch.tensor(number >= self._num_streams)
            instance.add_field("stream", TensorField(row))
            instance.add_field("continues", TensorField(continues))
            yield instance

    def _worker(self) -> int:
        worker = self.get_worker_info()
        return 0 if worker is None else worker.id

    def _begin_epoch(self, corpus: object) -> int:
        worker = self.get_worker_info()
        if worker is not None and worker.num_workers > 1 and self._num_streams is not None:
            raise ConfigurationError(
                'Packing "streams" must have at most one data-loader worker (num_workers): batches '
                "of several would alternate, so that a row would not go on from the one before; "
                f"found {worker.num_workers}"
            )
        if worker is not None and worker.num_workers > MAX_WORKERS:
            raise ConfigurationError(
                f"num_workers must be at most {MAX_WORKERS}; found {worker.num_workers}"
            )
        row = self._begun[self._worker()]
        # 0 stands for none yet
        checksum = crc32(repr(corpus).encode()) + 1
        epochs_matter = self._shuffle_seed is not None or self._shards_per_epoch is not None
        if epochs_matter and row[1] not in (0, checksum):
            raise ConfigurationError(
                "A reader with shuffle_seed or shards_per_epoch counts the epochs of one corpus, "
                f"and has read another before {corpus!r}: give each corpus a reader of its own "
                "(validation_dataset_reader)"
            )
        epoch = int(row[0])
        row[0] += 1
        row[1] = checksum
        return epoch

    def _sentences(self, lines: Iterator[str]) -> Iterator[list[Token]]:
        for line in lines:
            tokens = self._tokens(line)
            size = self._max_tokens or len(tokens)
            for start in range(0, len(tokens), size or 1):
                yield tokens[start : start + size]

    def _tokens(self, text: str) -> list[Token]:
        if self._tokenizer is None:
            return list(map(_token, text.split()))
        return self._tokenizer.tokenize(text)

    def _instance(self, steps: Sequence[Step]) -> Instance:
        columns = zip(*steps) if steps else ((), (), (), ())
        names = (name for pair in zip(INPUTS, TARGETS) for name in pair)
        fields: dict[str, Field] = {
            name: TextField(list(column)) for name, column in zip(names, columns)
        }
        if self._teacher_indexer is not None:
            fields[TEACHER] = TextField([step[0] for step in steps[1:]])
        return Instance(fields)


def _steps(tokens: list[Token]) -> list[Step]:
    forward = [BOS, *tokens, EOS]
    backward = forward[::-1]
    return list(zip(forward, forward[1:], backward, backward[1:]))
