"""Tests the HTML and SVG of the page."""

import re
import xml.etree.ElementTree as ElementTree

import numpy
import pytest

from elmo_components.config import ElmoConfig
from elmo_components.demo.markup import plane, tagged_text, use_table
from elmo_components.demo.model_facts import layer_maps, layer_picture, size_tables, summary
from elmo_components.demo.tagging import Piece
from elmo_components.demo.uses import Uses
from elmo_components.elmo import Elmo
from elmo_components.inspection.mixes import Mix
from elmo_components.inspection.report import inspect
from elmo_components.inspection.word_uses import Occurrence

SCRIPT = "<script>alert('x')</script>"


def occurrences(number: int) -> list[Occurrence]:
    return [Occurrence(("the", "bank", f"is{place}", "near"), 1) for place in range(number)]


def boxes(svg: str) -> list[tuple[float, float, float]]:
    """Returns left, width and baseline of each label."""
    labels = re.findall(r'class="elmo-use" x="([\d.]+)" y="([\d.]+)" textLength="(\d+)"', svg)
    return [(float(left), float(width), float(baseline)) for left, baseline, width in labels]


def test_a_tagged_text_has_labels_and_probabilities_and_escapes_the_text() -> None:
    found = tagged_text(
        [Piece("Ada & Bob", "person", 0.987), Piece(f" {SCRIPT}\n"), Piece("x", "b")]
    )
    assert found.count("Ada &amp; Bob") == 2
    assert "person 0.99" in found
    assert "<script" not in found
    # without a probability there is none
    assert '<span class="elmo-label">b</span>' in found


def test_a_text_without_entities_says_so() -> None:
    assert "found no entity" in tagged_text([Piece("Nothing here")])


def test_a_map_is_svg_with_a_numbered_point_for_each_use() -> None:
    points = numpy.random.default_rng(0).normal(size=(12, 2))
    svg = plane(points, [0, 1] * 6, occurrences(12))
    root = ElementTree.fromstring(svg)
    names = [element.tag for element in root.iter()]
    assert names.count("circle") == 12
    for x, y in re.findall(r'cx="([\d.]+)" cy="([\d.]+)"', svg):
        assert 0 < float(x) < 760
        assert 0 < float(y) < 440


@pytest.mark.parametrize("scale", [1.0, 0.0])
def test_labels_of_a_map_do_not_cover_one_another(scale: float) -> None:
    points = scale * numpy.random.default_rng(0).normal(size=(30, 2))
    found = boxes(plane(points, [0] * 30, occurrences(30)))
    assert found
    for place, (left, width, baseline) in enumerate(found):
        assert left >= 0 and left + width <= 760
        for other_left, other_width, other_baseline in found[:place]:
            apart = left >= other_left + other_width or other_left >= left + width
            assert apart or abs(baseline - other_baseline) >= 15


def test_a_map_of_very_many_uses_has_no_labels() -> None:
    points = numpy.random.default_rng(0).normal(size=(60, 2))
    assert not boxes(plane(points, [0] * 60, occurrences(60)))


def test_the_table_of_uses_has_neighbours_with_cosines_and_escapes_words() -> None:
    found = [Occurrence((SCRIPT, "bank", "."), 1), Occurrence(("A", "bank", "."), 1)]
    neighbours = [[(1, 0.5)], [(0, 0.25)]]
    table = use_table(Uses(found, [0, 1], numpy.zeros((2, 2)), neighbours))
    assert "<script" not in table
    assert "<b>2</b> (0.50) A <b>bank</b>." in table
    assert "elmo-colour-1" in table


def test_layers_have_the_weights_of_a_mix_of_their_number(tiny_config: ElmoConfig) -> None:
    mix = Mix("mix", 1.5, (0.125, 0.25, 0.625))
    other = Mix("other", 1.0, (0.5, 0.5))
    picture = layer_picture(tiny_config, [other, mix])
    # the top layer first
    assert re.findall(r"<em>([\d.]+)</em>", picture) == ["0.62", "0.25", "0.12"]
    assert "gamma 1.50, mix" in picture
    assert "no mix of this model was learned" in layer_picture(tiny_config, [other])


def test_the_sizes_are_those_of_the_model(tiny: Elmo, tiny_folder: object) -> None:
    inspection = inspect(str(tiny_folder))
    number = sum(parameter.numel() for parameter in tiny.bilm.parameters())
    assert f"<b>{number / 1e6:,.2f} million</b>" in summary(inspection)
    tables = size_tables(inspection)
    assert f'<td>lstm.cell_size</td><td class="elmo-number">{tiny.config.lstm.cell_size}<' in tables


def test_there_is_a_map_for_each_layer(tiny: Elmo) -> None:
    assert re.findall(r"<figcaption>(.*?)</figcaption>", layer_maps(tiny)) == [
        "Layer 0",
        "Layer 1",
        "Layer 2",
    ]
