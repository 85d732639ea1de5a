"""The `TokenIndexer` that finds the phrases of a lexicon in a sentence."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional

import spacy
import torch
from allennlp.common.checks import ConfigurationError
from allennlp.common.file_utils import cached_path
from allennlp.data.token_indexers.token_indexer import IndexedTokenList, TokenIndexer
from allennlp.data.tokenizers import Token
from allennlp.data.vocabulary import Vocabulary
from spacy.matcher import PhraseMatcher
from spacy.tokens import Doc
from spacy.util import filter_spans

from elmo_components.pretraining.corpus import read_lines
from elmo_components.pretraining.tokenization import REPLACEMENT, SURROGATE

__all__ = ["NAMESPACE", "LexiconIndexer", "lexicon_types"]

OUTPUT_KEY = "features"
# AllenNLP's vocabularies have no padding in namespaces that end so.
NAMESPACE = "lexicon_tags"
# Parts type and phrase in the vocabulary, since a file's lines have a tab between them too.
SEPARATOR = "\t"


@TokenIndexer.register("elmo_lexicon")
class LexiconIndexer(TokenIndexer):
    """
    Finds the phrases of a table, such as names of places, in a sentence, and marks their tokens
    with the phrases' types. The embedder "elmo_lexicon" makes a vector of the marks.

    Of overlapping phrases of one type the longest counts, and the first of equally long ones.
    Phrases of several types may overlap.

    The table becomes a namespace of the vocabulary, so it is in the model's archive, and the file
    is read in training only. A `vocabulary` that is read from files must have that namespace. A
    `max_vocab_size` without namespaces cuts the table too. Indexers with the same namespace share
    their tables.

    Registered as a `TokenIndexer` with name "elmo_lexicon".

    # Parameters

    file : `Optional[str]`
        The table, in UTF-8: lines of a phrase, a tab and a type; or, where a name has `.jsonl` in
        it, JSON objects with the keys "phrase" and "type". `.gz` and `.xz` are decompressed. `None`
        for a vocabulary that has the phrases already.
    ignore_case : `bool`
        Whether "berlin" is found where the table has "Berlin".
    language : `str`
        The language, as spaCy calls it, by whose rules phrases are split into tokens.
    namespace : `str`
        The vocabulary's namespace of the table, the same as the embedder's.
    token_min_padding_length : `int`
        See `TokenIndexer`.
    """

    def __init__(
        self,
        file: Optional[str] = None,
        ignore_case: bool = True,
        language: str = "en",
        namespace: str = NAMESPACE,
        token_min_padding_length: int = 0,
    ) -> None:
        super().__init__(token_min_padding_length)
        self._settings = file, ignore_case, language, namespace, token_min_padding_length
        self._file = file
        self._attribute = "LOWER" if ignore_case else "ORTH"
        self._language = language
        self._namespace = namespace
        self._lexicon: Optional[_Lexicon] = None
        # the counts that have this table
        self._counted: Optional[dict[str, dict[str, int]]] = None
        try:
            self._spacy = spacy.blank(language)
        except ImportError as error:
            raise ConfigurationError(f"spaCy has no rules for {language!r}: {error}") from error

    def count_vocab_items(self, token: Token, counter: dict[str, dict[str, int]]) -> None:
        """
        Adds the whole table with the first token.

        # Raises

        `ConfigurationError` for a file that is empty or not such a table, `FileNotFoundError` for
        one that is missing, `ValueError` for one that is not UTF-8.
        """
        if self._file is None or self._counted is counter:
            return
        # so often that no `min_count` leaves a phrase out
        counts = dict.fromkeys(map(SEPARATOR.join, _read(self._file)), sys.maxsize)
        if not counts:
            raise ConfigurationError(f"{self._file} has no phrases")
        counter[self._namespace].update(counts)
        self._counted = counter

    def get_empty_token_list(self) -> IndexedTokenList:
        """Returns the indices of no tokens."""
        return {OUTPUT_KEY: []}

    def tokens_to_indices(self, tokens: list[Token], vocabulary: Vocabulary) -> IndexedTokenList:
        """
        Returns, under "features", the numbers of each token's marks. A type's number is its place
        in `lexicon_types`; 2 * number marks the first token of a phrase, 2 * number + 1 the others.
        """
        lexicon = self._lexicon
        if lexicon is None or lexicon.vocabulary is not vocabulary:
            lexicon = _Lexicon(vocabulary, self._namespace, self._spacy, self._attribute)
            self._lexicon = lexicon
            self._counted = None
        words = [SURROGATE.sub(REPLACEMENT, token.text or "") or " " for token in tokens]
        return {OUTPUT_KEY: lexicon.marks(Doc(self._spacy.vocab, words=words))}

    def as_padded_tensor_dict(
        self, tokens: IndexedTokenList, padding_lengths: dict[str, int]
    ) -> dict[str, torch.Tensor]:
        """
        Returns, under "features", float32, (padding length, 2 * types + 1): 1 for each mark, and
        in the last column 1 for each token. AllenNLP may take the mask of a batch from any indexer
        (`get_text_field_mask`), and a token without marks is no padding.
        """
        assert self._lexicon is not None
        features = torch.zeros(padding_lengths[OUTPUT_KEY], 2 * len(self._lexicon.types) + 1)
        for row, marks in zip(features, tokens[OUTPUT_KEY]):
            row[[*marks, -1]] = 1.0
        return {OUTPUT_KEY: features}

    def __getstate__(self) -> dict[str, Any]:
        # another process builds its own
        return {**vars(self), "_lexicon": None, "_counted": None}

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, LexiconIndexer):
            return NotImplemented
        return self._settings == other._settings


def lexicon_types(vocabulary: Vocabulary, namespace: str = NAMESPACE) -> list[str]:
    """
    Returns the types of a vocabulary's lexicon, sorted.

    # Raises

    `ConfigurationError` if it has none.
    """
    return sorted({kind for _, kind in _phrases(vocabulary, namespace)})


class _Lexicon:
    """The matcher of a vocabulary's phrases."""

    def __init__(
        self, vocabulary: Vocabulary, namespace: str, nlp: spacy.Language, attribute: str
    ) -> None:
        self.vocabulary = vocabulary
        self.types = lexicon_types(vocabulary, namespace)
        self._numbers = {nlp.vocab.strings.add(kind): n for n, kind in enumerate(self.types)}
        self._matcher = PhraseMatcher(nlp.vocab, attr=attribute)
        for phrase, kind in _phrases(vocabulary, namespace):
            words = [token.text for token in nlp.make_doc(phrase) if not token.is_space]
            self._matcher.add(kind, [Doc(nlp.vocab, words=words)])

    def marks(self, document: Doc) -> list[list[int]]:
        """Returns the numbers of each token's marks."""
        marks: list[list[int]] = [[] for _ in document]
        spans: dict[int, list[Any]] = {}
        for span in self._matcher(document, as_spans=True):
            spans.setdefault(self._numbers[span.label], []).append(span)
        for number, found in sorted(spans.items()):
            for span in filter_spans(found):
                marks[span.start].append(2 * number)
                for place in range(span.start + 1, span.end):
                    marks[place].append(2 * number + 1)
        return marks


def _phrases(vocabulary: Vocabulary, namespace: str) -> list[tuple[str, str]]:
    entries = vocabulary.get_token_to_index_vocabulary(namespace)
    # an unknown namespace has AllenNLP's padding and unknown word
    pairs = [entry.split(SEPARATOR) for entry in entries if SEPARATOR in entry]
    if not pairs:
        raise ConfigurationError(
            f"The vocabulary has no phrases in the namespace {namespace!r}. Give the indexer "
            "elmo_lexicon a file and the same namespace, and let the vocabulary be made of the "
            "training data"
        )
    return [(phrase, kind) for phrase, kind in pairs]


def _read(file: str) -> Iterator[tuple[str, str]]:
    """Yields the phrases and types of a file."""
    is_json = ".jsonl" in Path(file).suffixes
    for line in read_lines(Path(cached_path(file))):
        try:
            if is_json:
                entry = json.loads(line)
                pair = [entry["phrase"], entry["type"]]
            else:
                pair = line.split("\t")
            phrase, kind = (" ".join(part.split()) for part in pair)
        except (ValueError, KeyError, TypeError, AttributeError):
            phrase = kind = ""
        if not phrase or not kind:
            wanted = 'an object with "phrase" and "type"' if is_json else "phrase, tab, type"
            raise ConfigurationError(f"{file}: a line must be {wanted}; found {line!r:.80}")
        yield phrase, kind
