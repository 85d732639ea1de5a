"""The command that counts a corpus's vocabulary, and may tokenise the corpus on the way."""

import argparse
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Callable, Optional

from allennlp.commands.subcommand import Subcommand
from allennlp.common import Params
from allennlp.common.checks import ConfigurationError
from allennlp.data import Tokenizer

from elmo_components.alphabet import NUM_CHARACTERS
from elmo_components.checkpoints.vocabulary_file import write_vocabulary
from elmo_components.pretraining.corpus import find_shards, read_lines, write_shards
from elmo_components.pretraining.vocabulary import CharacterCounts, WordCounts

__all__ = ["VocabularyCommand", "count_vocabulary"]

NAMESPACE = "vocab"
VOCABULARY_FILE = f"{NAMESPACE}.txt"
# No namespace of any use, but AllenNLP reads each file of the folder as one.
ALPHABET = "alphabet"
ALPHABET_FILE = f"{ALPHABET}.txt"
NAMESPACES_FILE = "non_padded_namespaces.txt"


@Subcommand.register("elmo-vocabulary")
class VocabularyCommand(Subcommand):
    """
    Counts a corpus's words and writes those that get an id, for pre-training.

    Registered as a `Subcommand` with name "elmo-vocabulary".
    """

    def add_subparser(self, parser: argparse._SubParsersAction) -> argparse.ArgumentParser:
        """Adds the command to a parser of commands."""
        description = "Count the vocabulary of a corpus for the pre-training of a biLM."
        command = parser.add_parser(self.name, description=description, help=description)
        command.add_argument(
            "corpus", nargs="+", help="files (.txt, .gz, .xz; a sentence a line), folders, patterns"
        )
        command.add_argument(
            "--output", required=True, help="the folder for the vocabulary; it has nothing else"
        )
        command.add_argument("--size", type=int, help="the most words, the three marks included")
        command.add_argument("--min-count", type=int, default=1, help="the fewest occurrences")
        command.add_argument(
            "--alphabet",
            type=int,
            help="the most characters beyond ASCII that get ids of their own",
        )
        command.add_argument(
            "--min-character-count", type=int, help="the fewest occurrences of each of them"
        )
        command.add_argument(
            "--tokenizer",
            default="just_spaces",
            help="a registered tokenizer's name, or its JSON; without it white space parts words",
        )
        command.add_argument(
            "--tokenized",
            help="a folder for the tokenised corpus too, as .txt.gz files",
        )
        command.add_argument(
            "--shards",
            type=int,
            default=1,
            help="how many such files: sentences are dealt to them in turn, so that each is a "
            "sample of the whole corpus; one keeps their order",
        )
        command.add_argument("--force", action="store_true", help="replace files of earlier runs")
        command.set_defaults(func=_run)
        return command


def count_vocabulary(
    corpus: list[str],
    output: Path,
    *,
    tokenizer: Optional[Tokenizer] = None,
    size: Optional[int] = None,
    min_count: int = 1,
    alphabet_size: Optional[int] = None,
    min_character_count: Optional[int] = None,
    tokenized: Optional[Path] = None,
    num_shards: int = 1,
    force: bool = False,
) -> str:
    """
    Writes the folder of a vocabulary, which `{"type": "from_files", "directory": ...,
    "oov_token": "<UNK>"}` reads, and returns a report.

    `vocab.txt` is bilm-tf's file: "</S>", "<S>", "<UNK>", then the words by their counts; a
    word's line, from 0, is its id in the namespace "vocab". Where an alphabet is asked for,
    `alphabet.txt` holds a character a line in the order of their ids, as `read_alphabet` takes it.

    # Parameters

    corpus : `List[str]`
        As `find_shards` takes it.
    output : `Path`
        The folder; since AllenNLP takes each file in it for a namespace, it may hold no other.
    tokenizer : `Optional[Tokenizer]`
        `None` for white space between words.
    size, min_count
        See `WordCounts.vocabulary`.
    alphabet_size, min_character_count
        See `CharacterCounts.alphabet`; without `alphabet_size` there is no alphabet.
    tokenized : `Optional[Path]`
        A folder for the tokenised corpus, to be read with "just_spaces": a sentence a line, its
        tokens parted by one space. White space within a token parts it, here and in the counts.
    num_shards : `int`
        How many files the tokenised corpus has; see `write_shards`.
    force : `bool`
        Whether files of these names are replaced.

    # Raises

    `ConfigurationError` where a folder holds other files, or these and not `force`; and for numbers
    out of range or without use.
    """
    if min_character_count is not None and alphabet_size is None:
        raise ConfigurationError("--min-character-count must come with --alphabet; found it alone")
    try:
        shards = find_shards(corpus)
        # a mistake here is found before a corpus is counted
        WordCounts([]).vocabulary(size=size)
        if alphabet_size is not None:
            CharacterCounts({}).alphabet(size=alphabet_size)
    except ValueError as error:
        raise ConfigurationError(str(error)) from error
    copies = [] if tokenized is None else _copies(shards, tokenized, output, num_shards)
    _prepare(output, [VOCABULARY_FILE, NAMESPACES_FILE, ALPHABET_FILE], force)
    if tokenized is not None:
        _prepare(tokenized, [copy.name for copy in copies], force)

    split = _splitter(tokenizer)
    sentences: Iterable[Sequence[str]] = filter(
        None, (split(line) for shard in shards for line in read_lines(shard))
    )
    counts = WordCounts(write_shards(sentences, copies) if copies else sentences)
    if not counts.num_tokens:
        raise ConfigurationError(f"{', '.join(map(str, shards))}: must hold a word; found none")
    vocabulary = counts.vocabulary(size=size, min_count=min_count)
    write_vocabulary(vocabulary, output / VOCABULARY_FILE)
    report = (
        f"{len(shards):,} files, {counts.num_sentences:,} sentences, {counts.num_tokens:,} tokens, "
        f"{len(counts.words):,} types\n"
        f"{len(vocabulary):,} words in {output / VOCABULARY_FILE}\n"
        f"{counts.share_unknown(vocabulary):.2%} of the tokens are unknown"
    )
    if alphabet_size is None:
        # that of an earlier run is no other's
        (output / ALPHABET_FILE).unlink(missing_ok=True)
        write_vocabulary([NAMESPACE], output / NAMESPACES_FILE)
        return report
    characters = CharacterCounts(counts.words)
    alphabet = characters.alphabet(size=alphabet_size, min_count=min_character_count or 1)
    write_vocabulary(alphabet, output / ALPHABET_FILE)
    write_vocabulary([NAMESPACE, ALPHABET], output / NAMESPACES_FILE)
    return (
        f"{report}\n"
        f"{len(alphabet):,} characters in {output / ALPHABET_FILE}: n_characters is "
        f"{NUM_CHARACTERS + len(alphabet)}\n"
        f"{characters.share_spelt(alphabet):.2%} of the characters are spelt in bytes, neither "
        "ASCII nor among them"
    )


def _run(arguments: argparse.Namespace) -> None:
    description = arguments.tokenizer
    try:
        is_json = description.lstrip().startswith("{")
        settings = json.loads(description) if is_json else {"type": description}
    except ValueError as error:
        raise ConfigurationError(
            f"--tokenizer must be a name or JSON: {error}; found {description!r}"
        ) from error
    print(
        count_vocabulary(
            arguments.corpus,
            Path(arguments.output),
            # white space is split many times as fast without tokens
            tokenizer=None
            if settings == {"type": "just_spaces"}
            else Tokenizer.from_params(Params(settings)),
            size=arguments.size,
            min_count=arguments.min_count,
            alphabet_size=arguments.alphabet,
            min_character_count=arguments.min_character_count,
            tokenized=None if arguments.tokenized is None else Path(arguments.tokenized),
            num_shards=arguments.shards,
            force=arguments.force,
        )
    )


def _splitter(tokenizer: Optional[Tokenizer]) -> Callable[[str], list[str]]:
    if tokenizer is None:
        return str.split
    return lambda line: " ".join(str(token.text) for token in tokenizer.tokenize(line)).split()


def _copies(shards: list[Path], folder: Path, vocabulary_folder: Path, number: int) -> list[Path]:
    """Returns the files of the tokenised corpus."""
    if number < 1:
        raise ConfigurationError(f"--shards must be at least 1; found {number}")
    if vocabulary_folder.resolve() in (folder.resolve(), *folder.resolve().parents):
        raise ConfigurationError(
            f"The folders of the vocabulary and of the tokenised corpus must be apart; found "
            f"{vocabulary_folder} and {folder}"
        )
    if folder.resolve() in {shard.resolve().parent for shard in shards}:
        raise ConfigurationError(f"The tokenised corpus must not go where the corpus is: {folder}")
    digits = len(str(number - 1))
    return [folder / f"part-{part:0{digits}}.txt.gz" for part in range(number)]


def _prepare(folder: Path, names: list[str], force: bool) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    found = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    others = [name for name in found if name not in names]
    if others:
        raise ConfigurationError(
            f"The folder {folder} must hold only {', '.join(names)}; found {', '.join(others)}"
        )
    if found and not force:
        raise ConfigurationError(
            f"{folder} holds {', '.join(found)} already; --force replaces them"
        )
