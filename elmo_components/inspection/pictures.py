"""Draws the learned weights of a model's layers, and a word's vectors in a plane."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy

from elmo_components.checkpoints.atomic import atomic_write
from elmo_components.inspection.mixes import Mix

__all__ = ["draw_mixes", "draw_words"]

SUFFIXES = (".png", ".svg", ".pdf")
# matplotlib's own font, and some with CJK characters, where they are installed.
FONTS = ("DejaVu Sans", "Noto Sans CJK JP", "Noto Sans CJK SC", "WenQuanYi Zen Hei", "Noto Sans")
# adjustText stops after a second by default, which gives a different picture each time.
ITERATIONS = 300


def draw_mixes(mixes: Sequence[Mix], path: Path) -> None:
    """
    Draws learned layer weights as a bar chart with a group of bars per layer, to a `.png`, `.svg`
    or `.pdf` file.

    # Raises

    `ValueError` without mixes, for another suffix, and if matplotlib is not installed.
    """
    if not mixes:
        raise ValueError("There is no learned mix of layers to draw")
    figure = _new_figure(path, 8.0, 4.5)
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
    Draws points, (rows, 2), to a `.png`, `.svg` or `.pdf` file.

    # Parameters

    labels : `Sequence[str]`
        A label per point; "" for none.
    shares : `Sequence[float]`
        Each axis's share of the variance, if known.

    # Raises

    `ValueError` for another suffix, and if matplotlib or adjustText is not installed.
    """
    figure = _new_figure(path, 11.0, 8.0)
    from adjustText import adjust_text
    from matplotlib import font_manager

    axes = figure.add_subplot()
    axes.scatter(points[:, 0], points[:, 1], s=18)
    # room for labels next to the outermost points
    axes.margins(0.2)
    for name, share in zip("xy", shares):
        getattr(axes, f"set_{name}label")(f"{share:.0%} of the variance")
    installed = {font.name for font in font_manager.fontManager.ttflist}
    fonts = [font for font in FONTS if font in installed]
    texts = [
        axes.text(x, y, _plain(label), fontsize=8, fontfamily=fonts)
        for (x, y), label in zip(points.tolist(), labels)
        if label
    ]
    line = {"arrowstyle": "-", "linewidth": 0.4, "color": "0.6"}
    if texts:
        x, y = points.T
        adjust_text(texts, x=x, y=y, ax=axes, iter_lim=ITERATIONS, arrowprops=line)
    _write(figure, path)


def _plain(text: str) -> str:
    # matplotlib reads text between two dollar signs as a formula
    return text.replace("$", r"\$")


def _new_figure(path: Path, width: float, height: float) -> Any:
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"A picture's name must end in {', '.join(SUFFIXES)}; found {path}")
    try:
        import adjustText  # noqa: F401

        # pyplot would choose a display
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ValueError(
            f"Pictures need {error.name}: pip install 'elmo_components[plot]'"
        ) from error

    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure


def _write(figure: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as temporary:
        figure.savefig(temporary, dpi=150, bbox_inches="tight")
