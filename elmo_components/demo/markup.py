"""Draws the page's answers as HTML and SVG: tagged text, a map of uses, a table of neighbours."""

import re
from collections.abc import Sequence
from html import escape

import numpy

from elmo_components.demo.tagging import Piece
from elmo_components.demo.uses import Uses
from elmo_components.inspection.word_uses import Occurrence

__all__ = ["plane", "tagged_text", "use_table"]

# The number of classes of colours in `style.CSS`.
NUM_COLOURS = 6
# Of the map, in units of SVG, which is scaled to the page's width.
WIDTH, HEIGHT, MARGIN = 760.0, 440.0, 30.0
LINE, CHARACTER = 15.0, 6.6
SPACE_BEFORE_MARK = re.compile(r" (?=[.,;:!?)](?: |$))")
# More labels would hide the points.
MAX_LABELS = 40
# left, top, right, bottom
Box = tuple[float, float, float, float]
LABEL_TOKENS, LIST_TOKENS = 2, 30


def tagged_text(pieces: Sequence[Piece]) -> str:
    """Returns a text with its labels and scores, and a table of both."""
    labels = list(dict.fromkeys(piece.label for piece in pieces if piece.label))
    if not labels:
        return '<p class="elmo-note">The model found no entity in this text.</p>'
    # without probabilities there is no column for them
    rows, marked = [], []
    for piece in pieces:
        text = escape(piece.text).replace("\n", "<br>")
        if not piece.label:
            marked.append(text)
            continue
        colour = f"elmo-colour-{labels.index(piece.label) % NUM_COLOURS}"
        label = escape(piece.label)
        score = "" if piece.score is None else f"{piece.score:.2f}"
        marked.append(
            f'<mark class="{colour}">{text}<span class="elmo-label">{label}'
            f"{score and ' ' + score}</span></mark>"
        )
        rows.append(
            f'<tr><td>{text}</td><td><span class="elmo-chip {colour}">{label}</span></td>'
            f'<td class="elmo-number">{score}</td></tr>'
        )
    return (
        f'<div class="elmo-text">{"".join(marked)}</div>'
        '<table class="elmo-table"><thead><tr><th>text</th><th>label</th>'
        f'<th class="elmo-number">probability</th></tr></thead><tbody>{"".join(rows)}</tbody>'
        "</table>"
    )


def use_table(uses: Uses) -> str:
    """Returns a table of the uses, each with the nearest others and their cosines."""
    rows = []
    for place, occurrence in enumerate(uses.occurrences):
        near = "".join(
            f"<li><b>{other + 1}</b> ({cosine:.2f}) {_marked(uses.occurrences[other], 4)}</li>"
            for other, cosine in uses.neighbours[place]
        )
        rows.append(
            f'<tr><td><span class="elmo-chip elmo-colour-{uses.groups[place]}">{place + 1}</span>'
            f"</td><td>{_marked(occurrence, LIST_TOKENS)}</td><td><ul>{near}</ul></td></tr>"
        )
    return (
        '<table class="elmo-table elmo-uses"><thead><tr><th></th><th>use</th>'
        "<th>nearest uses (cosine)</th></tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table>"
    )


def plane(
    points: numpy.ndarray,
    groups: Sequence[int],
    occurrences: Sequence[Occurrence],
    *,
    is_small: bool = False,
) -> str:
    """
    Returns a picture of points, (rows, 2), numbered and in the colours of their groups. Labels are
    placed so that none covers another; those without a free place are left out.
    """
    places = _scaled(points)
    taken = [(x - 11, y - 11, x + 11, y + 11) for x, y in places]
    marks, texts = [], []
    for row, (x, y) in enumerate(places):
        title = escape(occurrences[row].marked(width=LIST_TOKENS))
        marks.append(
            f'<g class="elmo-point elmo-colour-{groups[row]}"><title>{row + 1}: {title}</title>'
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{18 if is_small else 10}"/>'
            f'<text x="{x:.1f}" y="{y + (7 if is_small else 3.5):.1f}">{row + 1}</text></g>'
        )
        label = occurrences[row].marked(width=LABEL_TOKENS).replace("... ", "").replace(" ...", "")
        if not is_small and len(places) <= MAX_LABELS:
            texts += _label(label, x, y, taken)
    kind = "elmo-map elmo-small" if is_small else "elmo-map"
    return (
        f'<svg class="{kind}" viewBox="0 0 {WIDTH:.0f} {HEIGHT:.0f}" role="img" '
        f'aria-label="Map of {len(places)} uses">{"".join(texts)}{"".join(marks)}</svg>'
    )


def _label(text: str, x: float, y: float, taken: list[Box]) -> list[str]:
    """Returns the label of a point at the first free place around it, and takes the place."""
    width = CHARACTER * len(text)
    for shift in (0, LINE, -LINE):
        for left in (x + 14, x - 14 - width):
            box = (left, y + shift - LINE / 2, left + width, y + shift + LINE / 2)
            inside = left >= 2 and left + width <= WIDTH - 2 and box[1] > 0 and box[3] < HEIGHT
            if inside and not any(_overlap(box, other) for other in taken):
                taken.append(box)
                baseline = y + shift + 4
                return [
                    f'<text class="elmo-use" x="{left:.1f}" y="{baseline:.1f}" '
                    f'textLength="{width:.0f}" lengthAdjust="spacingAndGlyphs">'
                    f"{escape(text)}</text>"
                ]
    return []


def _overlap(first: Box, second: Box) -> bool:
    return (
        first[0] < second[2]
        and second[0] < first[2]
        and first[1] < second[3]
        and second[1] < first[3]
    )


def _scaled(points: numpy.ndarray) -> list[tuple[float, float]]:
    """Returns points in the picture, with y downwards; both axes have one scale each."""
    low, high = points.min(axis=0), points.max(axis=0)
    # (2,); a use in one place only is in the middle
    size = numpy.where(high - low > 1e-6, high - low, 1.0)
    middle = (low + high) / 2
    # (rows, 2), from -0.5 to 0.5
    relative = (points - middle) / size
    return [
        (
            WIDTH / 2 + float(x) * (WIDTH - 2 * MARGIN - 200),
            HEIGHT / 2 - float(y) * (HEIGHT - 2 * MARGIN),
        )
        for x, y in relative
    ]


def _marked(occurrence: Occurrence, width: int) -> str:
    """Returns an occurrence as HTML with its word in bold."""
    place, tokens = occurrence.place, occurrence.tokens
    first, last = max(0, place - width), place + 1 + width
    before, after = " ".join(tokens[first:place]), " ".join(tokens[place + 1 : last])
    text = f"{escape(before)} <b>{escape(tokens[place])}</b> {escape(after)}"
    start, end = "… " if first else "", " …" if last < len(tokens) else ""
    return start + SPACE_BEFORE_MARK.sub("", text).strip() + end
