"""Describes a checkpoint, or compares a word's vectors in its sentences."""

import argparse
import json
import sys
from itertools import chain
from pathlib import Path
from typing import Any, Optional

from elmo_components.alphabet import shown
from elmo_components.config import ElmoConfig
from elmo_components.elmo import Elmo
from elmo_components.inspection.pictures import draw_mixes, draw_words
from elmo_components.inspection.report import Inspection, inspect
from elmo_components.inspection.system import system_report
from elmo_components.inspection.word_uses import (
    Occurrence,
    find_occurrences,
    nearest,
    project,
    word_vectors,
)
from elmo_components.pretraining.corpus import find_shards, read_lines

__all__ = ["DESCRIPTION", "EXAMPLES", "add_arguments", "report_of", "run"]

DESCRIPTION = "Describe a checkpoint or an archive, and say what is wrong with it."
EXAMPLES = """examples:
  elmo inspect english
  elmo inspect output/model.tar.gz --plot mixes.png
  elmo inspect english --word bank --text sentences.txt --limit 20 --plot bank.png
  elmo inspect --system

Exit status 1: something is wrong with it."""

# Tokens on each side of the word: in the list, in the picture.
LIST_WIDTH, LABEL_WIDTH = 12, 2
# More labels would overlap.
MAX_LABELS = 80


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments to a parser."""
    add = parser.add_argument
    add("path", nargs="?", help="a checkpoint or an archive in any known format, or its name")
    add(
        "--system",
        action="store_true",
        help="describe this machine instead: versions, processor, and what computes an ELMo",
    )
    add("--json", action="store_true", help="print all of it as JSON")
    add(
        "--plot",
        metavar="FILE",
        help="draw the learned layer weights, or the word's vectors in a plane; .png, .svg, .pdf; "
        "needs pip install 'elmo_components[plot]'",
    )
    add(
        "--write-options",
        metavar="FILE",
        help="write its options as JSON, which a configuration's `architecture` can import",
    )
    add("--word", help="compare this word's vectors in its sentences instead")
    add(
        "--text",
        metavar="FILE",
        nargs="+",
        help="the sentences: one per line, white space between tokens; .txt, .gz or .xz",
    )
    add(
        "--layer",
        default="top",
        help="top (default), mean, or a number; 0 is the character encoder's. The top layer "
        "distinguishes senses best",
    )
    add("--limit", type=int, default=100, help="the most sentences")
    add("--neighbours", type=int, default=3, help="the number of neighbours of each use")
    add("--uncased", action="store_true", help="ignore upper and lower case")


def run(arguments: argparse.Namespace) -> None:
    """Prints and draws what the arguments ask for."""
    if (arguments.path is None) != arguments.system:
        raise ValueError("Give a checkpoint, or --system without one")
    if arguments.system:
        print(system_report())
        return
    if (arguments.word is None) != (arguments.text is None):
        raise ValueError("--word and --text must be given together")
    plot = None if arguments.plot is None else Path(arguments.plot)
    if arguments.word is not None:
        if arguments.write_options is not None:
            raise ValueError("--write-options and --word cannot be given together")
        _print_word(arguments, plot)
        return
    inspection = inspect(arguments.path)
    if arguments.write_options is not None and inspection.config is not None:
        _write_options(inspection.config, Path(arguments.write_options))
    print(_json(inspection.to_json()) if arguments.json else report_of(inspection))
    if inspection.problems:
        sys.exit(1)
    if plot is not None:
        if not inspection.mixes:
            raise ValueError(
                f"--plot draws learned layer weights, and {arguments.path} has none. Use the "
                "archive of a model with an ELMo"
            )
        draw_mixes(inspection.mixes, plot)


def report_of(inspection: Inspection) -> str:
    """Returns an inspection as text, one fact per line."""
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


def _table(values: dict[str, Any]) -> list[str]:
    width = max(map(len, values), default=0)
    return [f"  {name:{width}}  {_cell(value)}" for name, value in values.items()]


def _cell(value: object) -> str:
    # an alphabet may have thousands of characters
    if isinstance(value, str) and len(value) > 40:
        return f"{shown(value)} of {len(value):,} characters"
    return "none" if value in (None, "") else str(value)


def _write_options(config: ElmoConfig, path: Path) -> None:
    text = _json(config.to_options()) + "\n"
    # never overwrites a file, which may be the checkpoint
    with open(path, "x", encoding="utf-8") as file:
        file.write(text)


def _print_word(arguments: argparse.Namespace, plot: Optional[Path]) -> None:
    shards = find_shards(arguments.text)
    lines = chain.from_iterable(map(read_lines, shards))
    occurrences = find_occurrences(
        map(str.split, lines), arguments.word, cased=not arguments.uncased, limit=arguments.limit
    )
    if not occurrences:
        raise ValueError(
            f"{arguments.word!r} is in no sentence of {', '.join(map(str, shards))}. It must be a "
            "token between white space"
        )
    elmo = Elmo.from_pretrained(arguments.path)
    layer = int(arguments.layer) if arguments.layer.isdecimal() else arguments.layer
    vectors = word_vectors(elmo.bilm, occurrences, layer=layer)
    neighbours = nearest(vectors, number=arguments.neighbours)
    if not arguments.json:
        print(_report_of_uses(occurrences, neighbours))
        if plot is None:
            return
    points, shares = project(vectors)
    if arguments.json:
        uses = [
            {
                "tokens": occurrence.tokens,
                "place": occurrence.place,
                "point": point,
                "neighbours": [{"occurrence": row, "cosine": cosine} for row, cosine in found],
            }
            for occurrence, found, point in zip(occurrences, neighbours, points.tolist())
        ]
        print(_json({"word": arguments.word, "layer": arguments.layer, "occurrences": uses}))
    if plot is not None:
        labels = [
            occurrence.marked(width=LABEL_WIDTH) if row < MAX_LABELS else ""
            for row, occurrence in enumerate(occurrences)
        ]
        draw_words(points, labels, plot, shares=shares)


def _report_of_uses(
    occurrences: list[Occurrence], neighbours: list[list[tuple[int, float]]]
) -> str:
    """Returns each use, numbered from 1, with its nearest uses and their cosines."""
    lines = []
    for number, (occurrence, found) in enumerate(zip(occurrences, neighbours), 1):
        lines.append(f"{number:4}  {occurrence.marked(width=LIST_WIDTH)}")
        lines += [
            f"      {cosine:6.3f}  {other + 1:4}  {occurrences[other].marked(width=LIST_WIDTH)}"
            for other, cosine in found
        ]
    return "\n".join(lines)


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)
