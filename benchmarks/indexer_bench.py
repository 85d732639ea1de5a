"""
Words to padded id tensors: `elmo_character_ids` beside AllenNLP's `elmo_characters`.

    python benchmarks/indexer_bench.py [FILE] [--batch-size 32] [--repeats 20]

FILE has a token and a tag a line, separated by a tab, and blank lines between sentences; without
one it is fixtures/data/ner/train.conll. The two take turns; medians are printed as JSON. "first"
has nothing cached, "again" is a later epoch, for which instances are indexed anew. "limit" is an
indexer that does nothing but hand out zeros: what AllenNLP takes around any indexer.
"""

import argparse
import json
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import torch
from allennlp.data import Batch, Instance, Token, TokenIndexer, Vocabulary
from allennlp.data.fields import TextField
from allennlp.data.token_indexers import ELMoTokenCharactersIndexer
from allennlp.data.token_indexers.token_indexer import IndexedTokenList

from elmo_components import characters
from elmo_components.registered.indexer import ElmoCharacterIndexer
from elmo_components.registered.reader import ColumnReader

DATA = Path(__file__).parent.parent / "fixtures" / "data" / "ner" / "train.conll"


class Nothing(TokenIndexer):
    """Gives zeros of the right shape for any tokens."""

    def tokens_to_indices(self, tokens: list[Token], vocabulary: Vocabulary) -> IndexedTokenList:
        """Returns the tokens themselves."""
        return {"elmo_tokens": tokens}

    def as_padded_tensor_dict(
        self, tokens: IndexedTokenList, padding_lengths: dict[str, int]
    ) -> dict[str, torch.Tensor]:
        """Returns zeros of shape (padding length, 50)."""
        # (time, characters)
        return {"elmo_tokens": torch.zeros(padding_lengths["elmo_tokens"], 50, dtype=torch.int64)}


def seconds(indexer: TokenIndexer, sentences: Sequence[list[Token]], batch_size: int) -> float:
    """Returns how long the sentences take, in batches, from tokens to tensors."""
    vocabulary = Vocabulary()
    start = time.perf_counter()
    for first in range(0, len(sentences), batch_size):
        batch = Batch(
            [
                Instance({"text": TextField(sentence, {"elmo": indexer})})
                for sentence in sentences[first : first + batch_size]
            ]
        )
        batch.index_instances(vocabulary)
        batch.as_tensor_dict()
    return time.perf_counter() - start


def main() -> None:
    """Prints the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", nargs="?", type=Path, default=DATA)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=20)
    arguments = parser.parse_args()
    instances = ColumnReader(separator="\t").read(arguments.file)
    sentences = [cast(TextField, instance["tokens"]).tokens for instance in instances]
    times: dict[str, list[float]] = {"allennlp": [], "first": [], "again": [], "limit": []}
    for _ in range(arguments.repeats):
        allennlp, ours = ELMoTokenCharactersIndexer(), ElmoCharacterIndexer()
        times["allennlp"].append(seconds(allennlp, sentences, arguments.batch_size))
        characters._byte_ids.cache_clear()
        times["first"].append(seconds(ours, sentences, arguments.batch_size))
        times["again"].append(seconds(ours, sentences, arguments.batch_size))
        times["limit"].append(seconds(Nothing(), sentences, arguments.batch_size))
    tokens = sum(len(sentence) for sentence in sentences)
    medians = {name: statistics.median(values) for name, values in times.items()}
    result = {
        "tokens": tokens,
        "tokens_per_second": {name: round(tokens / median) for name, median in medians.items()},
        "times_allennlp": {
            name: round(medians["allennlp"] / medians[name], 2)
            for name in ("first", "again", "limit")
        },
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
