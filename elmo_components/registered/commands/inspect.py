"""The command that says what a file of ELMo is, and how it sees one word in many sentences."""

import argparse
import json
import sys
from itertools import chain
from pathlib import Path
from typing import Any, Optional, Union

import numpy
from allennlp.commands.subcommand import Subcommand
from allennlp.common.checks import ConfigurationError

from elmo_components.config import ElmoConfig
from elmo_components.elmo import Elmo
from elmo_components.inspection.pictures import draw_mixes, draw_words
from elmo_components.inspection.report import Inspection, inspect
from elmo_components.inspection.word_uses import (
    Occurrence,
    find_occurrences,
    nearest,
    planar,
    word_vectors,
)
from elmo_components.pretraining.corpus import find_shards, read_lines
from elmo_components.registered.commands.parser import add_command

__all__ = ["InspectCommand", "report_neighbours", "report_of"]

EXAMPLE = """examples:
  allennlp elmo-inspect fixtures/models/tiny
  allennlp elmo-inspect output/ner/model.tar.gz --plot mixes.png
  allennlp elmo-inspect fixtures/models/tiny.safetensors \\
      --word the --text fixtures/data/lm/test.txt --limit 20 --plot the.png"""

# Tokens on either side of the word: in the list, in the picture.
LIST_WIDTH, LABEL_WIDTH = 12, 2
# More labels than these would lie over one another.
MAX_LABELS = 80


@Subcommand.register("elmo-inspect")
class InspectCommand(Subcommand):
    """
    Says what a checkpoint or an archive is and whether anything is wrong with it; or which of a
    word's uses in a text it finds alike. The exit status is 1 where something is wrong.

    Registered as a `Subcommand` with name "elmo-inspect".
    """

    def add_subparser(self, parser: argparse._SubParsersAction) -> argparse.ArgumentParser:
        """Adds the command to a parser of commands."""
        description = "Say what a file of ELMo is and whether anything is wrong with it."
        command = add_command(parser, self.name, description=description, epilog=EXAMPLE)
        command.add_argument("path", help="a checkpoint or an archive, in any known format")
        command.add_argument("--json", action="store_true", help="print all of it as JSON")
        command.add_argument(
            "--plot",
            metavar="FILE",
            help="draw the learned layer weights, or the word's vectors in a plane; .png, .svg or "
            ".pdf; needs matplotlib",
        )
        command.add_argument(
            "--write-options",
            metavar="FILE",
            help="write its options, as JSON, for a configuration's `architecture` to import",
        )
        command.add_argument("--word", help="compare this word's vectors in its sentences instead")
        command.add_argument(
            "--text",
            metavar="FILE",
            nargs="+",
            help="where its sentences are: one a line, tokens between white space; .txt .gz .xz",
        )
        command.add_argument(
            "--layer",
            default="top",
            help="top, mean, or a number, 0 being the character encoder's; the top layer tells "
            "senses apart best",
        )
        command.add_argument("--limit", type=int, default=100, help="the most sentences")
        command.add_argument("--neighbours", type=int, default=3, help="how many of each use")
        command.add_argument(
            "--uncased", action="store_true", help="take Bank and BANK for bank too"
        )
        command.set_defaults(func=_run)
        return command


def report_of(inspection: Inspection) -> str:
    """Returns an inspection in words, a fact a line."""
    lines = [inspection.path, f"format: {inspection.format}"]
    if inspection.config is not None:
        lines += ["sizes:", *_table(inspection.sizes())]
        lines += [
            f"parameters: {inspection.num_parameters:,}, {inspection.megabytes:,.1f} MB in float32",
            *_table({name: f"{count:,}" for name, count in inspection.parameters.items()}),
        ]
        words = f"{inspection.num_words:,} words" if inspection.num_words else "none"
        named = "" if inspection.names_words or not inspection.num_words else ", without names"
        lines.append(f"softmax: {words}{named}")
    lines.append(f"languages: {', '.join(inspection.languages) or 'not said'}")
    if inspection.scripts:
        scripts = (f"{name} {count:,}" for name, count in inspection.scripts.items())
        lines.append(f"letters: {', '.join(scripts)}")
    for mix in inspection.mixes:
        weights = "  ".join(f"{weight:.4f}" for weight in mix.weights)
        lines.append(f"mix {mix.name}: gamma {mix.gamma:.4f}, layers {weights}")
    lines += [f"remark: {remark}" for remark in inspection.remarks]
    lines += [f"wrong: {problem}" for problem in inspection.problems]
    return "\n".join(lines if inspection.problems else [*lines, "nothing is wrong with it"])


def report_neighbours(
    occurrences: list[Occurrence], neighbours: list[list[tuple[int, float]]]
) -> str:
    """Returns each use of a word, numbered from 1, with those nearest to it and their cosines."""
    lines = []
    for number, (occurrence, found) in enumerate(zip(occurrences, neighbours), 1):
        lines.append(f"{number:4}  {occurrence.marked(width=LIST_WIDTH)}")
        lines += [
            f"      {cosine:6.3f}  {other + 1:4}  {occurrences[other].marked(width=LIST_WIDTH)}"
            for other, cosine in found
        ]
    return "\n".join(lines)


def _run(arguments: argparse.Namespace) -> None:
    if (arguments.word is None) != (arguments.text is None):
        raise ConfigurationError("--word and --text must come together; found one of them")
    if arguments.word is not None and arguments.write_options is not None:
        raise ConfigurationError("--write-options and --word must be asked for one at a time")
    plot = None if arguments.plot is None else Path(arguments.plot)
    try:
        if arguments.word is None:
            inspection = inspect(arguments.path)
            if arguments.write_options is not None and inspection.config is not None:
                _write_options(inspection.config, Path(arguments.write_options))
            _print_inspection(inspection, plot, arguments.json)
        else:
            _print_word(arguments, plot)
    except (FileNotFoundError, FileExistsError, ValueError) as error:
        raise ConfigurationError(str(error)) from error
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"--plot needs matplotlib: pip install elmo_components[plot] ({error})"
        ) from error


def _write_options(config: ElmoConfig, path: Path) -> None:
    text = _json(config.to_options()) + "\n"
    # a checkpoint may be what is there
    with open(path, "x", encoding="utf-8") as file:
        file.write(text)


def _print_inspection(inspection: Inspection, plot: Optional[Path], as_json: bool) -> None:
    print(_json(inspection.to_json()) if as_json else report_of(inspection))
    if plot is not None and not inspection.problems:
        if not inspection.mixes:
            raise ConfigurationError(
                f"--plot draws learned weights of layers, and {inspection.path} has none: it must "
                "be the archive of a model with an ELMo"
            )
        draw_mixes(inspection.mixes, plot)
    if inspection.problems:
        sys.exit(1)


def _print_word(arguments: argparse.Namespace, plot: Optional[Path]) -> None:
    shards = find_shards(arguments.text)
    lines = chain.from_iterable(map(read_lines, shards))
    occurrences = find_occurrences(
        map(str.split, lines), arguments.word, cased=not arguments.uncased, limit=arguments.limit
    )
    if not occurrences:
        raise ConfigurationError(
            f"{', '.join(map(str, shards))} must have {arguments.word!r} among their tokens, which "
            "white space parts; found it in no sentence"
        )
    elmo = Elmo.from_pretrained(arguments.path)
    vectors = word_vectors(elmo, occurrences, layer=_layer(arguments.layer))
    neighbours = nearest(vectors, number=arguments.neighbours)
    points, shares = planar(vectors)
    if arguments.json:
        print(_json(_word_as_json(arguments, occurrences, neighbours, points)))
    else:
        print(report_neighbours(occurrences, neighbours))
    if plot is not None:
        labels = [
            occurrence.marked(width=LABEL_WIDTH) if row < MAX_LABELS else ""
            for row, occurrence in enumerate(occurrences)
        ]
        draw_words(points, labels, plot, shares=shares)


def _word_as_json(
    arguments: argparse.Namespace,
    occurrences: list[Occurrence],
    neighbours: list[list[tuple[int, float]]],
    points: numpy.ndarray,
) -> dict[str, Any]:
    return {
        "word": arguments.word,
        "layer": arguments.layer,
        "occurrences": [
            {
                "tokens": occurrence.tokens,
                "place": occurrence.place,
                "point": point,
                "neighbours": [{"occurrence": row, "cosine": cosine} for row, cosine in found],
            }
            for occurrence, found, point in zip(occurrences, neighbours, points.tolist())
        ],
    }


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)


def _table(values: dict[str, Any]) -> list[str]:
    width = max(map(len, values), default=0)
    return [f"  {name:{width}}  {_shown(value)}" for name, value in values.items()]


def _shown(value: object) -> str:
    if isinstance(value, str) and len(value) > 40:
        return f"{value[:40]}... of {len(value):,} characters"
    return "none" if value is None or value == "" else str(value)


def _layer(text: str) -> Union[str, int]:
    return int(text) if text.isdecimal() else text
