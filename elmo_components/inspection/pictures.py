"""Pictures of what a model has learned: the weights of its layers, a word's vectors in a plane."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy

from elmo_components.inspection.mixes import Mix

__all__ = ["draw_mixes", "draw_words"]

# left, low, right, high
Box = tuple[float, float, float, float]

SUFFIXES = (".png", ".svg", ".pdf")

# In points: half a dot's width, and how far a label may stand from its point, nearest first.
DOT = 2.5
DISTANCES = (8, 20, 34, 50, 70)
DIRECTIONS = ((1, 0.4), (1, -0.4), (-1, 0.4), (-1, -0.4), (0, 1), (0, -1))
# Fonts with the letters that matplotlib's own has not, where they are installed.
FONTS = ("DejaVu Sans", "Noto Sans CJK JP", "Noto Sans CJK SC", "WenQuanYi Zen Hei", "Noto Sans")


def draw_mixes(mixes: Sequence[Mix], path: Path) -> None:
    """
    Writes a bar chart of learned layer weights: a group of bars a layer, in it a bar a mix.

    # Parameters

    path : `Path`
        Its suffix says what kind of picture: `.png`, `.svg` or `.pdf`.

    # Raises

    `ValueError` where there is no mix, or for another suffix; `ModuleNotFoundError` without
    matplotlib.
    """
    if not mixes:
        raise ValueError("There must be a learned mix of layers to draw; found none")
    _check_suffix(path)
    figure = _new_figure(8.0, 4.5)
    axes = figure.add_subplot()
    width = 0.8 / len(mixes)
    for place, mix in enumerate(mixes):
        # (num_layers,)
        centres = numpy.arange(len(mix.weights)) + (place - (len(mixes) - 1) / 2) * width
        label = _plain(f"{mix.name} (gamma {mix.gamma:.3g})")
        bars = axes.bar(centres, mix.weights, width * 0.9, label=label)
        if len(mixes) <= 3:
            axes.bar_label(bars, fmt="%.2f", fontsize=8)
    number = max(len(mix.weights) for mix in mixes)
    names = ["0: characters", *(f"{layer}: LSTM" for layer in range(1, number))]
    axes.set_xticks(range(number), names)
    axes.set_ylabel("weight, after the softmax")
    axes.legend(fontsize=8, loc="lower left", bbox_to_anchor=(0.0, 1.02))
    _write(figure, path)


def draw_words(
    points: numpy.ndarray, labels: Sequence[str], path: Path, *, shares: Sequence[float] = ()
) -> None:
    """
    Writes a picture of points in a plane, each with a label beside it where there is room.

    # Parameters

    points : `numpy.ndarray`
        (rows, 2)
    labels : `Sequence[str]`
        One a row; "" for none.
    path : `Path`
        As for `draw_mixes`.
    shares : `Sequence[float]`
        How much of the whole variance each axis has, if known.

    # Raises

    `ValueError` for another suffix; `ModuleNotFoundError` without matplotlib.
    """
    _check_suffix(path)
    figure = _new_figure(11.0, 8.0)
    axes = figure.add_subplot()
    axes.scatter(points[:, 0], points[:, 1], s=18)
    # room for labels beside the outermost points
    axes.margins(0.2)
    axes.autoscale_view()
    for name, share in zip("xy", shares):
        getattr(axes, f"set_{name}label")(f"{share:.0%} of the variance")
    # (rows, 2), in points of the figure
    places = axes.transData.transform(points) * 72 / figure.dpi
    taken: list[Box] = [(x - DOT, y - DOT, x + DOT, y + DOT) for x, y in places.tolist()]
    for row in numpy.lexsort((points[:, 0], -points[:, 1])):
        if labels[row]:
            _put_label(axes, points[row], _plain(labels[row]), taken)
    _write(figure, path)


def _put_label(axes: Any, point: numpy.ndarray, label: str, taken: list[Box]) -> None:
    """Puts a label where it hides none of those in `taken`, as near to its point as there is."""
    figure = axes.figure
    text = axes.annotate(
        label,
        point,
        xytext=(0, 0),
        textcoords="offset points",
        fontsize=8,
        fontfamily=_fonts(),
        ha="left",
        va="bottom",
    )
    extent = text.get_window_extent(figure.canvas.get_renderer())
    width, height = (size * 72 / figure.dpi for size in (extent.width, extent.height))
    # the axes' frame, in points from `point`
    frame, origin = axes.get_window_extent(), axes.transData.transform(point)
    left, low, right, high = (
        (edge - origin[number % 2]) * 72 / figure.dpi
        for number, edge in enumerate((frame.x0, frame.y0, frame.x1, frame.y1))
    )
    places = [
        (distance * x - (width if x < 0 else width / 2 if x == 0 else 0), distance * y - height / 2)
        for distance in DISTANCES
        for x, y in DIRECTIONS
    ]
    boxes = [(x, y, x + width, y + height) for x, y in places]
    # boxes of other labels are kept in points of the figure
    x0, y0 = (float(place) * 72 / figure.dpi for place in origin)
    moved = [(x + x0, y + y0, end + x0, top + y0) for x, y, end, top in boxes]
    free = [
        number
        for number, (x, y, end, top) in enumerate(boxes)
        if left <= x and end <= right and low <= y and top <= high
        if not any(_overlap(moved[number], other) for other in taken)
    ]
    # with no room left, the labels of the densest place lie over one another
    chosen = free[0] if free else 0
    text.set_position(places[chosen])
    taken.append(moved[chosen])
    if chosen >= len(DIRECTIONS):
        x, y, end, top = boxes[chosen]
        nearest = (min(max(0.0, x), end), min(max(0.0, y), top))
        line = {"arrowstyle": "-", "linewidth": 0.4, "color": "0.6"}
        axes.annotate("", point, xytext=nearest, textcoords="offset points", arrowprops=line)


def _overlap(first: Box, second: Box) -> bool:
    return (
        first[0] < second[2]
        and second[0] < first[2]
        and first[1] < second[3]
        and second[1] < first[3]
    )


def _plain(text: str) -> str:
    # between two of them matplotlib would read a formula
    return text.replace("$", r"\$")


def _fonts() -> list[str]:
    from matplotlib import font_manager

    installed = {font.name for font in font_manager.fontManager.ttflist}
    return [font for font in FONTS if font in installed]


def _new_figure(width: float, height: float) -> Any:
    # without pyplot, which would choose a display
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure


def _check_suffix(path: Path) -> None:
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"A picture's name must end in {', '.join(SUFFIXES)}; found {path}")


def _write(figure: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        figure.savefig(temporary, dpi=150, bbox_inches="tight")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
