"""
What frozen ELMo costs a tagger, epoch by epoch, against vectors that are looked up.

    python benchmarks/frozen_features_bench.py FILE [--batch-sizes 8 32] [--epochs 4] [--threads 2]
        [--sentences 1000] [--output FILE.json]

FILE has a token and a tag a line, as WNUT-17 has them. The tagger is that of
training_configs/tagging/ner.jsonnet, with frozen random vectors of words (300 numbers, and as many
as ELMo's) or the ELMo that comes with the package, its layers computed in every epoch or kept. An
epoch is collation, forward, backward and the optimizer's step, with the same order of sentences for
all. They take turns, an epoch each; of the later epochs the median counts.
"""

import argparse
import copy
import json
import os
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Optional

import allennlp_models.tagging  # noqa: F401
import torch
from allennlp.common import Params
from allennlp.data import DatasetReader, Vocabulary
from allennlp.data.data_loaders import MultiProcessDataLoader
from allennlp.data.samplers import BucketBatchSampler
from allennlp.models import Model

import elmo_components  # noqa: F401
from elmo_components.checkpoints import load

WORDS = {"tokens": {"type": "single_id"}}
CHARACTERS = {"tokens": {"type": "elmo_character_ids"}}


def main() -> None:
    """Prints a table, and writes it where asked to."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path)
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[8, 32])
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--sentences", type=int)
    parser.add_argument("--pretrained-file", default="english")
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    rows = []
    for batch_size in arguments.batch_sizes:
        rows += measure(
            arguments.file,
            batch_size=batch_size,
            epochs=arguments.epochs,
            sentences=arguments.sentences,
            pretrained_file=arguments.pretrained_file,
        )
    if arguments.output:
        temporary = arguments.output.with_suffix(".tmp")
        temporary.write_text(json.dumps(rows, indent=1) + "\n")
        os.replace(temporary, arguments.output)


def measure(
    path: Path,
    *,
    batch_size: int,
    epochs: int,
    sentences: Optional[int],
    pretrained_file: str,
) -> list[dict[str, Any]]:
    """Returns, of each kind of vectors, the seconds of the first epoch and of a later one."""
    config = load(pretrained_file).config
    size = config.output_size
    elmo = {
        "type": "elmo",
        "architecture": config.to_options(),
        "pretrained_file": pretrained_file,
        "dropout": 0.3,
    }
    kinds: dict[str, tuple[dict, dict, int]] = {
        "static, 300": (WORDS, {"type": "embedding", "trainable": False}, 300),
        f"static, {size}": (WORDS, {"type": "embedding", "trainable": False}, size),
        "ELMo": (CHARACTERS, elmo, size),
        "ELMo, kept": (CHARACTERS, {**elmo, "frozen_features": {}}, size),
        "ELMo, kept as float16": (
            CHARACTERS,
            {**elmo, "frozen_features": {"dtype": "float16"}},
            size,
        ),
    }
    calls = {
        name: _epochs(path, indexers, embedder, width, batch_size, sentences)
        for name, (indexers, embedder, width) in kinds.items()
    }
    times: dict[str, list[float]] = {name: [] for name in kinds}
    for epoch in range(epochs):
        for name, call in calls.items():
            random.seed(epoch)
            torch.manual_seed(epoch)
            start = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - start)
    rows = []
    for name, seconds in times.items():
        later = statistics.median(seconds[1:])
        of_300, of_size = (
            statistics.median(times[f"static, {width}"][1:]) for width in (300, size)
        )
        rows.append(
            {
                "vectors": name,
                "batch_size": batch_size,
                "first": seconds[0],
                "later": later,
                "times_static_300": later / of_300,
                "times_static_same_size": later / of_size,
            }
        )
        print(
            f"batches of {batch_size}, {name}: {seconds[0]:.2f} s the first epoch, {later:.2f} s a "
            f"later one, {later / of_300:.2f} times static 300, {later / of_size:.2f} times "
            f"static {size}",
            flush=True,
        )
    return rows


def _epochs(
    path: Path,
    indexers: dict[str, Any],
    embedder: dict[str, Any],
    size: int,
    batch_size: int,
    sentences: Optional[int],
) -> Callable[[], None]:
    """Returns what trains a tagger for an epoch more."""
    reader = DatasetReader.from_params(
        Params(
            {
                "type": "elmo_columns",
                "token_indexers": copy.deepcopy(indexers),
                "separator": "\t",
                "tag_separator": ",",
                "max_instances": sentences,
            }
        )
    )
    loader = MultiProcessDataLoader(
        reader,
        str(path),
        batch_sampler=BucketBatchSampler(batch_size, sorting_keys=["tokens"]),
        quiet=True,
    )
    vocabulary = Vocabulary.from_instances(loader.iter_instances())
    loader.index_with(vocabulary)
    if embedder["type"] == "embedding":
        embedder = {**embedder, "embedding_dim": size}
    model = Model.from_params(
        vocab=vocabulary,
        params=Params(
            {
                "type": "crf_tagger",
                "label_encoding": "BIO",
                "text_field_embedder": {"token_embedders": {"tokens": copy.deepcopy(embedder)}},
                "encoder": {
                    "type": "lstm",
                    "input_size": size,
                    "hidden_size": 100,
                    "bidirectional": True,
                },
                "dropout": 0.3,
            }
        ),
    ).train()
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(parameters, lr=0.002)

    def epoch() -> None:
        for batch in loader:
            optimizer.zero_grad()
            model(**batch)["loss"].backward()
            torch.nn.utils.clip_grad_norm_(parameters, 5.0)
            optimizer.step()

    return epoch


if __name__ == "__main__":
    main()
