"""Draws tutorial/model.png, the parts of ELMo: `python docs/tutorial/diagram.py`."""

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

WORDS = ("The", "bank", "lent", "money")
FORWARD, BACKWARD, CHARACTERS, MIX = "#cfe2f3", "#fce5cd", "#d9ead3", "#ead1dc"
# The centre of each word's column, and of its two directions' boxes.
COLUMNS = [3.4 + 3.0 * place for place in range(len(WORDS))]
SHIFT = 0.62
# The height of each row of boxes.
LETTERS, ENCODER, FIRST, SECOND, TOP = 0.0, 1.2, 2.6, 4.0, 5.6


def main() -> None:
    """Writes the picture."""
    figure = Figure(figsize=(9.2, 5.0), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_xlim(-0.9, 14.0)
    axes.set_ylim(-0.5, 6.3)
    axes.axis("off")

    def box(x: float, y: float, text: str, colour: str, width: float = 1.0) -> None:
        patch = FancyBboxPatch(
            (x - width / 2, y - 0.27),
            width,
            0.54,
            "round,pad=0.04",
            facecolor=colour,
            edgecolor="0.3",
        )
        axes.add_patch(patch)
        axes.text(x, y, text, ha="center", va="center", fontsize=11)

    def arrow(start: tuple[float, float], end: tuple[float, float]) -> None:
        axes.annotate(
            "",
            end,
            start,
            arrowprops={"arrowstyle": "-|>", "color": "0.35", "lw": 1.1},
        )

    rows = (
        (LETTERS, "characters"),
        (ENCODER, "character\nencoder\n(layer 0)"),
        (FIRST, "LSTMs\n(layer 1)"),
        (SECOND, "LSTMs\n(layer 2)"),
        (TOP, "mix of all\nthree layers"),
    )
    for height, label in rows:
        axes.text(-0.8, height, label, va="center", fontsize=11, weight="bold")
    for place, (x, word) in enumerate(zip(COLUMNS, WORDS)):
        axes.text(
            x,
            LETTERS,
            " ".join(word),
            ha="center",
            va="center",
            fontsize=12,
            family="monospace",
        )
        box(x, ENCODER, "CNN", CHARACTERS, 1.3)
        box(x, TOP, word, MIX, 1.5)
        arrow((x, LETTERS + 0.25), (x, ENCODER - 0.33))
        for shift, colour, sign in ((-SHIFT, FORWARD, "→"), (SHIFT, BACKWARD, "←")):
            box(x + shift, FIRST, sign, colour)
            box(x + shift, SECOND, sign, colour)
            arrow((x + shift * 0.4, ENCODER + 0.33), (x + shift, FIRST - 0.33))
            arrow((x + shift, FIRST + 0.33), (x + shift, SECOND - 0.33))
            arrow((x + shift, SECOND + 0.33), (x + shift * 0.5, TOP - 0.33))
        if place + 1 < len(WORDS):
            following = COLUMNS[place + 1]
            for height in (FIRST, SECOND):
                # from a forward box over the backward one to the next column, and back below
                curve = {"arrowstyle": "-|>", "color": "#3d6a96", "lw": 1.3}
                axes.annotate(
                    "",
                    (following - SHIFT - 0.2, height + 0.31),
                    (x - SHIFT + 0.2, height + 0.31),
                    arrowprops={**curve, "connectionstyle": "arc3,rad=-0.16"},
                )
                axes.annotate(
                    "",
                    (x + SHIFT + 0.2, height - 0.31),
                    (following + SHIFT - 0.2, height - 0.31),
                    arrowprops={
                        **curve,
                        "color": "#b4661f",
                        "connectionstyle": "arc3,rad=-0.16",
                    },
                )
    figure.savefig(Path(__file__).with_name("model.png"), dpi=90)


if __name__ == "__main__":
    main()
