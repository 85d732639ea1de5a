"""
Draws pre-trainings: the development text's perplexity against the tokens that were read.

    python benchmarks/learning_curves.py PICTURE NAME=FOLDER=TOKENS ...

FOLDER is the serialization directory of a training, with its `metrics_epoch_*.json`; an epoch of it
reads TOKENS tokens.
"""

import argparse
import json
from pathlib import Path
from typing import NamedTuple


class Curve(NamedTuple):
    """A name, and the perplexity after so many million tokens."""

    name: str
    millions: list[float]
    perplexities: list[float]


def read_curve(argument: str) -> Curve:
    """
    Returns the curve of NAME=FOLDER=TOKENS.

    # Raises

    `ValueError` for another form, and for a folder without metrics.
    """
    try:
        name, folder, tokens = argument.split("=")
        per_epoch = float(tokens) / 1e6
    except ValueError:
        raise ValueError(f"A curve must be NAME=FOLDER=TOKENS; found {argument}") from None
    found = {}
    for path in Path(folder).glob("metrics_epoch_*.json"):
        epoch = int(path.stem.rpartition("_")[2])
        metrics = json.loads(path.read_text(encoding="utf-8"))
        if "validation_perplexity" in metrics:
            found[epoch + 1] = metrics["validation_perplexity"]
    if not found:
        raise ValueError(
            f"{folder} must have metrics_epoch_0.json with validation_perplexity; found none"
        )
    epochs = sorted(found)
    return Curve(name, [epoch * per_epoch for epoch in epochs], [found[epoch] for epoch in epochs])


def draw(curves: list[Curve], path: Path) -> None:
    """Draws curves side by side: perplexities of different vocabularies cannot be compared."""
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(
        1, len(curves), figsize=(4.2 * len(curves), 3.2), layout="constrained", squeeze=False
    )
    for axis, curve in zip(axes[0], curves):
        axis.plot(curve.millions, curve.perplexities, marker="o", color="tab:orange")
        axis.annotate(
            f"{curve.perplexities[-1]:.0f}",
            (curve.millions[-1], curve.perplexities[-1]),
            xytext=(0, 8),
            textcoords="offset points",
            ha="center",
        )
        axis.set_yscale("log")
        for formatted in (axis.yaxis.set_major_formatter, axis.yaxis.set_minor_formatter):
            formatted("{x:.0f}")
        axis.set_title(curve.name, fontsize=10)
        axis.set_xlabel("million tokens read")
        axis.set_ylabel("perplexity, development text")
        axis.grid(which="both", alpha=0.3)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def main() -> None:
    """Reads the arguments and draws."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("picture", type=Path)
    parser.add_argument("curves", nargs="+", metavar="NAME=FOLDER=TOKENS")
    arguments = parser.parse_args()
    try:
        curves = [read_curve(curve) for curve in arguments.curves]
    except ValueError as error:
        parser.error(str(error))
    draw(curves, arguments.picture)


if __name__ == "__main__":
    main()
