"""Every reader in distributed training whose data-loader workers are spawned."""

import json
from collections import Counter
from pathlib import Path

import pytest
import torch
from allennlp.common import Params
from allennlp.data import DatasetReader, Instance
from allennlp.data.data_loaders import MultiProcessDataLoader

import elmo_components.registered  # noqa: F401

NUM_SENTENCES = 9
WORDS = [f"word{number}" for number in range(NUM_SENTENCES)]
PAIR = "{0}\tN\t0-0\t{0} a\t{0} b\tT"
# Files by their reader's name, and what a line of one is for each word.
FILES = {
    "elmo_columns": "{}\tO\n",
    "elmo_labelled_lines": "{}\tgood",
    "elmo_parallel": "{0}\t{0}",
    "elmo_word_in_context": PAIR,
    "elmo_corpus": "{}",
}
# The text field that begins with the word.
FIELDS = {
    "elmo_parallel": "source_tokens",
    "elmo_word_in_context": "first",
    "elmo_corpus": "targets",
}


def reader() -> DatasetReader:
    # so that it leaves the sharing to the readers in it
    manual = {"manual_distributed_sharding": True, "manual_multiprocess_sharding": True}
    readers = {name: {"type": name} for name in FILES}
    return DatasetReader.from_params(
        Params({"type": "interleaving", "scheme": "all_at_once", "readers": readers, **manual})
    )


def word_of(instance: Instance) -> tuple[str, str]:
    name = instance["dataset"].metadata
    return name, instance[FIELDS.get(name, "tokens")].tokens[0].text


def read_as_rank(rank: int, folder: Path, paths: str) -> None:
    # AllenNLP's locks must be of the workers' kind
    torch.multiprocessing.set_start_method("spawn", force=True)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/group", rank=rank, world_size=2
    )
    loader = MultiProcessDataLoader(
        reader(), paths, batch_size=2, num_workers=1, start_method="spawn"
    )
    words = [word_of(instance) for instance in loader.iter_instances()]
    (folder / f"rank{rank}.json").write_text(json.dumps(words))


@pytest.fixture
def paths(tmp_path: Path) -> str:
    for name, line in FILES.items():
        (tmp_path / f"{name}.txt").write_text("".join(line.format(word) + "\n" for word in WORDS))
    return json.dumps({name: str(tmp_path / f"{name}.txt") for name in FILES})


def test_ranks_whose_workers_are_spawned_share_each_readers_data(
    tmp_path: Path, paths: str
) -> None:
    torch.multiprocessing.start_processes(
        read_as_rank, args=(tmp_path, paths), nprocs=2, start_method="fork"
    )
    ranks = [json.loads((tmp_path / f"rank{rank}.json").read_text()) for rank in range(2)]
    everything = Counter((name, word) for words in ranks for name, word in words)
    assert everything == Counter((name, word) for name in FILES for word in WORDS)
    for words in ranks:
        counts = Counter(name for name, _ in words)
        assert all(NUM_SENTENCES // 2 <= counts[name] <= NUM_SENTENCES // 2 + 1 for name in FILES)


def test_workers_of_one_process_share_each_readers_data(paths: str) -> None:
    loader = MultiProcessDataLoader(reader(), paths, batch_size=2, num_workers=2)
    found = Counter(map(word_of, loader.iter_instances()))
    assert found == Counter((name, word) for name in FILES for word in WORDS)
