"""Counts the vocabulary of a corpus, and writes the tokenised corpus if asked to."""

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Callable, Optional

from tqdm import tqdm

from elmo_components.alphabet import NUM_CHARACTERS
from elmo_components.checkpoints.vocabulary_file import write_vocabulary
from elmo_components.pretraining.corpus import find_shards, read_lines, write_shards
from elmo_components.pretraining.tokenization import TOKENIZERS, WHITE_SPACE, Split, split_of
from elmo_components.pretraining.vocabulary import CharacterCounts, WordCounts

__all__ = ["DESCRIPTION", "EXAMPLES", "add_arguments", "count_vocabulary", "run"]

DESCRIPTION = "Count the vocabulary of a corpus for the pre-training of a biLM."
EXAMPLES = """examples:
  elmo vocabulary corpus.txt --output vocabulary --size 100000
  elmo vocabulary shards/ --output vocabulary --tokenizer spacy_blank --tokenized tokens
  elmo vocabulary chinese.txt.gz --output vocabulary --tokenizer character --alphabet 6000"""

NAMESPACE, ALPHABET = "vocab", "alphabet"
VOCABULARY_FILE, ALPHABET_FILE = f"{NAMESPACE}.txt", f"{ALPHABET}.txt"
# AllenNLP reads each file in the folder as a namespace.
NAMESPACES_FILE = "non_padded_namespaces.txt"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments to a parser."""
    add = parser.add_argument
    add(
        "corpus", nargs="+", help="files (.txt, .gz, .xz; one sentence per line), folders, patterns"
    )
    add("--output", required=True, help="the folder for the vocabulary; it may have no other files")
    add("--size", type=int, help="the most words, the three special ones included")
    add("--min-count", type=int, default=1, help="the fewest occurrences of a word")
    add("--alphabet", type=int, help="the most characters beyond ASCII with ids of their own")
    add("--min-character-count", type=int, help="the fewest occurrences of such a character")
    add(
        "--tokenizer",
        default=WHITE_SPACE,
        help=f"{', '.join(TOKENIZERS)}, or JSON such as "
        '{"type": "spacy_blank", "language": "de"}; default: split at white space',
    )
    add("--tokenized", help="a folder for the tokenised corpus too, as .txt.gz files")
    add(
        "--shards",
        type=int,
        default=1,
        help="the number of these files; sentences go to them in turn, so that each is a sample of "
        "the corpus",
    )
    add("--force", action="store_true", help="replace files of earlier runs")


def run(arguments: argparse.Namespace, split_by_name: Callable[[str], Split] = split_of) -> None:
    """
    Counts a corpus and prints a report. `split_by_name` returns the function that splits a line,
    given `--tokenizer`.
    """
    print(
        count_vocabulary(
            arguments.corpus,
            Path(arguments.output),
            split=split_by_name(arguments.tokenizer),
            size=arguments.size,
            min_count=arguments.min_count,
            alphabet_size=arguments.alphabet,
            min_character_count=arguments.min_character_count,
            tokenized=None if arguments.tokenized is None else Path(arguments.tokenized),
            num_shards=arguments.shards,
            force=arguments.force,
        )
    )


def count_vocabulary(
    corpus: list[str],
    output: Path,
    *,
    split: Split = str.split,
    size: Optional[int] = None,
    min_count: int = 1,
    alphabet_size: Optional[int] = None,
    min_character_count: Optional[int] = None,
    tokenized: Optional[Path] = None,
    num_shards: int = 1,
    force: bool = False,
) -> str:
    """
    Writes the folder of a vocabulary and returns a report.

    AllenNLP reads the folder with `{"type": "from_files", "directory": ..., "oov_token": "<UNK>"}`.
    Its `vocab.txt` is bilm-tf's file: "</S>", "<S>", "<UNK>", then the words by count; a word's
    line, from 0, is its id in the namespace "vocab". `alphabet.txt`, with `alphabet_size`, has one
    character per line in the order of their ids; `read_alphabet` reads it.

    # Parameters

    corpus : `List[str]`
        See `find_shards`.
    output : `Path`
        The folder. It may have no other files, since AllenNLP reads each as a namespace.
    size, min_count
        See `WordCounts.vocabulary`.
    alphabet_size, min_character_count
        See `CharacterCounts.alphabet`; no alphabet without `alphabet_size`.
    tokenized : `Optional[Path]`
        A folder for the tokenised corpus: one sentence per line, one space between tokens. White
        space within a token splits it, here and in the counts.
    num_shards : `int`
        The number of the tokenised corpus's files; see `write_shards`.

    # Raises

    `FileNotFoundError`; `ValueError` for a folder with other files, for existing files without
    `force`, and for numbers out of range.
    """
    if min_character_count is not None and alphabet_size is None:
        raise ValueError("--min-character-count needs --alphabet")
    shards = find_shards(corpus)
    # raise errors before counting
    WordCounts([]).vocabulary(size=size)
    if alphabet_size is not None:
        CharacterCounts({}).alphabet(size=alphabet_size)
    copies = [] if tokenized is None else _copies(shards, tokenized, output, num_shards)
    _prepare(output, [VOCABULARY_FILE, NAMESPACES_FILE, ALPHABET_FILE], force)
    if tokenized is not None:
        _prepare(tokenized, [copy.name for copy in copies], force)

    lines = (line for shard in shards for line in read_lines(shard))
    # a bar on terminals only
    sentences: Iterable[Sequence[str]] = filter(
        None, map(split, tqdm(lines, unit=" lines", disable=None))
    )
    counts = WordCounts(write_shards(sentences, copies) if copies else sentences)
    if not counts.num_tokens:
        raise ValueError(f"There is no word in {', '.join(map(str, shards))}")
    vocabulary = counts.vocabulary(size=size, min_count=min_count)
    write_vocabulary(vocabulary, output / VOCABULARY_FILE)
    report = (
        f"{len(shards):,} files, {counts.num_sentences:,} sentences, {counts.num_tokens:,} tokens, "
        f"{len(counts.words):,} types\n"
        f"{len(vocabulary):,} words in {output / VOCABULARY_FILE}\n"
        f"{counts.share_unknown(vocabulary):.2%} of the tokens are unknown"
    )
    if alphabet_size is None:
        # an earlier run may have written one
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
        f"{characters.share_spelt(alphabet):.2%} of the characters are spelt in bytes: they are "
        "neither ASCII nor in the alphabet"
    )


def _copies(shards: list[Path], folder: Path, vocabulary_folder: Path, number: int) -> list[Path]:
    """Returns the files of the tokenised corpus."""
    if number < 1:
        raise ValueError(f"--shards must be 1 or more; found {number}")
    if vocabulary_folder.resolve() in (folder.resolve(), *folder.resolve().parents):
        raise ValueError(
            f"The tokenised corpus must be outside the vocabulary's folder; found "
            f"{folder} and {vocabulary_folder}"
        )
    if folder.resolve() in {shard.resolve().parent for shard in shards}:
        raise ValueError(f"The tokenised corpus must not be in the corpus's folder: {folder}")
    digits = len(str(number - 1))
    return [folder / f"part-{part:0{digits}}.txt.gz" for part in range(number)]


def _prepare(folder: Path, names: list[str], force: bool) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    found = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    others = [name for name in found if name not in names]
    if others:
        raise ValueError(f"{folder} may have only {', '.join(names)}; found {', '.join(others)}")
    if found and not force:
        raise ValueError(f"{folder} has {', '.join(found)}. Use --force to replace them")
