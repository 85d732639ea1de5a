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
from elmo_components.registered.dataset_readers.sharding import processes, shard
from elmo_components.registered.dataset_readers.text import Text, as_tokens
from elmo_components.registered.token_indexers.elmo_character_ids import ElmoCharacterIndexer

__all__ = ["CorpusReader"]

INPUTS = ("inputs", "backward_inputs")
TARGETS = ("targets", "backward_targets")
TEACHER = "teacher_inputs"

# The number of rows of epoch counts.
MAX_WORKERS = 256

# Equal words share one token, which nobody changes: reading and batching are a quarter faster. The
# cache takes 10 MB at most.
_token = lru_cache(maxsize=1 << 16)(Token)
BOS, EOS = Token(BOS_TOKEN), Token(EOS_TOKEN)

# An input and its target, forward, then an input and its target, backward.
Step = tuple[Token, Token, Token, Token]


@DatasetReader.register("elmo_corpus")
class CorpusReader(DatasetReader):
    """
    Reads a corpus, one sentence a line, as inputs and targets of a forward and a backward
    language model.

    Each instance has four text fields of equal length. For the sentence w1 ... wn, as in bilm-tf
    (`bilm/data.py`):

        inputs             <S>   w1    ...  wn
        targets            w1    ...   wn   </S>
        backward_inputs    </S>  wn    ...  w1
        backward_targets   wn    ...   w1   <S>

    The backward fields are in the order in which the backward direction reads. `token_indexers`
    index inputs. Targets have, under "words", their ids in `target_namespace`. There 0 is the id of
    a word, so the mask must come from the inputs.

    The corpus is a file (`.txt`, `.gz`, `.xz`), a folder, a glob pattern, or a list of these. See
    `find_shards`. The reader streams it. Set the data loader's `max_instances_in_memory`, or the
    loader stores all instances and reads one epoch only. Data-loader workers and distributed
    processes share the sentences: each reads every n-th one, or, with the data loader
    "elmo_global_batches", its share of each batch.

    **Epochs.** `epoch` is the number of the next epoch, from 0. Each `read` takes it and adds one,
    in the main process and in data-loader workers. An epoch's instances depend on its number and
    the reader's settings only. A reader with `shuffle_seed` or `shards_per_epoch` reads one corpus:
    give the validation data another reader.

    Registered as a `DatasetReader` with name "elmo_corpus".

    # Parameters

    tokenizer : `Optional[Tokenizer]`
        Splits sentences into tokens; `None` splits at white space.
    token_indexers : `Optional[Dict[str, TokenIndexer]]`
        The inputs' indexers; `None` for `{"elmo": ElmoCharacterIndexer()}`.
    target_namespace : `str`
        The vocabulary's namespace of the targets.
    packing : `str`
        "sentences": an instance is a sentence. "streams": the reader concatenates sentences to
        `num_streams` streams, and an instance is the next `unroll_steps` steps of a stream. The
        streams take turns, so in unshuffled batches of `num_streams` each row continues the same
        row of the last batch. Two more fields, of shape (), are "stream", the stream's number, and
        "continues", false for the stream's first instance in the epoch. Streams that end early have
        shorter, then empty, instances.
    num_streams, unroll_steps : `Optional[int]`
        For "streams" only, which needs them. Each distributed process has `num_streams` streams of
        its own, and at most one data-loader worker. n processes have the streams of one process
        with n times as many.
    shuffle_seed, buffer_size, shards_per_epoch
        See `epoch_lines`.
    max_tokens : `Optional[int]`
        The reader splits longer sentences into sentences of at most this length; `None` for none.
    teacher_indexer : `Optional[Lazy[TokenIndexer]]`
        The indexer of a teacher's inputs, for a language model with a `teacher` and the packing
        "sentences". The instances of a file then have the field "teacher_inputs": the sentence's
        tokens, without sentence marks. The reader builds it for the first instance, so that an
        archive loads without the teacher.
    **kwargs
        See `DatasetReader`: `max_instances`, which counts those of all processes.

    # Raises

    `ConfigurationError` for settings that exclude each other and for files that are not text;
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
        **kwargs: Any,
    ) -> None:
        super().__init__(
            manual_distributed_sharding=True, manual_multiprocess_sharding=True, **kwargs
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
                'teacher_indexer needs whole sentences. Set packing to "sentences"'
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
        # (workers, 2): the number of epochs that each worker has begun, and its corpus's checksum.
        # Workers are new processes in each epoch, so the memory is shared. Each worker has a row,
        # since one may be ahead of another.
        self._begun = torch.zeros(MAX_WORKERS, 2, dtype=torch.int64).share_memory_()

    @property
    def packs_streams(self) -> bool:
        """Whether the packing is "streams"."""
        return self._num_streams is not None

    @property
    def epoch(self) -> int:
        """The number of the next epoch. Set it before the epoch begins."""
        return int(self._begun[self._worker(), 0])

    @epoch.setter
    def epoch(self, number: int) -> None:
        self._begun[:, 0] = number

    def text_to_instance(self, text: Text) -> Instance:
        """Returns an instance of a sentence (text, words or tokens)."""
        tokens = self._tokens(text) if isinstance(text, str) else as_tokens(text, None)
        return self._instance(_steps(tokens))

    def apply_token_indexers(self, instance: Instance) -> None:
        """Sets the instance's token indexers."""
        for name in INPUTS:
            cast(TextField, instance[name]).token_indexers = self._token_indexers
        for name in TARGETS:
            cast(TextField, instance[name]).token_indexers = self._target_indexers
        if self._teacher_indexer is not None and TEACHER in instance.fields:
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
        if self._num_streams is None:
            for steps in map(_steps, self._sentences(shard(self, lines))):
                instance = self._instance(steps)
                # not in text_to_instance, so that predicting needs no teacher
                if self._teacher_indexer is not None:
                    words = [step[0] for step in steps[1:]]
                    instance.add_field(TEACHER, TextField(words))
                yield instance
            return
        assert self._unroll_steps is not None
        rank, number = processes(self)
        cuts = pack_streams(
            map(_steps, self._sentences(lines)),
            num_streams=number * self._num_streams,
            unroll_steps=self._unroll_steps,
        )
        streams = range(rank * self._num_streams, (rank + 1) * self._num_streams)
        own = (cut for place, cut in enumerate(cuts) if place % (number * len(streams)) in streams)
        for place, cut in enumerate(own):
            instance = self._instance(cut)
            row = torch.tensor(place % self._num_streams)
            continues = torch.tensor(place >= self._num_streams)
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
                'Packing "streams" needs batches in order, from at most one data-loader worker. '
                f"Set num_workers to 0 or 1; found {worker.num_workers}"
            )
        if worker is not None and worker.num_workers > MAX_WORKERS:
            raise ConfigurationError(
                f"num_workers must be at most {MAX_WORKERS}; found {worker.num_workers}"
            )
        row = self._begun[self._worker()]
        # 0 before the first epoch
        checksum = crc32(repr(corpus).encode()) + 1
        epochs_matter = self._shuffle_seed is not None or self._shards_per_epoch is not None
        if epochs_matter and row[1] not in (0, checksum):
            raise ConfigurationError(
                "A reader with shuffle_seed or shards_per_epoch counts the epochs of one corpus; "
                f"found a second one, {corpus!r}. Set validation_dataset_reader for validation data"
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
        return Instance(fields)


def _steps(tokens: list[Token]) -> list[Step]:
    forward = [BOS, *tokens, EOS]
    backward = forward[::-1]
    return list(zip(forward, forward[1:], backward, backward[1:]))
