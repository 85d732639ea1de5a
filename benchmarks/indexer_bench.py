"""Words to padded id tensors: `elmo_character_ids` beside AllenNLP's `elmo_characters`."""

import statistics
import time
from collections.abc import Sequence
from typing import Any

import torch
from allennlp.data import Batch, Instance, Token, TokenIndexer, Vocabulary
from allennlp.data.fields import TextField
from allennlp.data.token_indexers import ELMoTokenCharactersIndexer
from allennlp.data.token_indexers.token_indexer import IndexedTokenList

from elmo_components import characters
from elmo_components.registered.token_indexers.elmo_character_ids import ElmoCharacterIndexer

BATCH_SIZE = 32


def measure(sentences: Sequence[list[str]], repeats: int) -> list[dict[str, Any]]:
    """
    Returns a row for a first epoch, with nothing cached, and one for a later epoch, for which
    instances are indexed anew. The limit is an indexer that does nothing.
    """
    tokens = [[Token(word) for word in sentence] for sentence in sentences]
    times: dict[str, list[float]] = {name: [] for name in ("allennlp", "first", "later", "limit")}
    for _ in range(repeats):
        times["allennlp"].append(_seconds(ELMoTokenCharactersIndexer(), tokens))
        characters._spellings.cache_clear()
        ours = ElmoCharacterIndexer()
        times["first"].append(_seconds(ours, tokens))
        times["later"].append(_seconds(ours, tokens))
        times["limit"].append(_seconds(_Nothing(), tokens))
    number = sum(len(sentence) for sentence in sentences)
    speeds = {name: number / statistics.median(values) for name, values in times.items()}
    return [
        {
            "case": f"words to padded id tensors, {epoch} epoch",
            "unit": "tokens/s",
            "allennlp": speeds["allennlp"],
            "ours": speeds[epoch],
            "limit": speeds["limit"],
        }
        for epoch in ("first", "later")
    ]


class _Nothing(TokenIndexer):
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


def _seconds(indexer: TokenIndexer, sentences: Sequence[list[Token]]) -> float:
    """Returns how long the sentences take, in batches, from tokens to tensors."""
    vocabulary = Vocabulary()
    start = time.perf_counter()
    for first in range(0, len(sentences), BATCH_SIZE):
        batch = Batch(
            [
                Instance({"text": TextField(sentence, {"elmo": indexer})})
                for sentence in sentences[first : first + BATCH_SIZE]
            ]
        )
        batch.index_instances(vocabulary)
        batch.as_tensor_dict()
    return time.perf_counter() - start
