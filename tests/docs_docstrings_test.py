"""Tests how the reference reads docstrings, where griffe is installed, as `make docs` has it."""

from typing import Any

import pytest

from tests.conftest import ROOT
from tests.docs_script import load

griffe = pytest.importorskip("griffe", reason="part of mkdocstrings: docs/requirements.txt")

SOURCE = '''
class Mix:
    """
    Mixes layers from "<S>" on; `<S>` is a mark. See `Elmo`.

    >>> Mix(2)
    Mix

    # Parameters

    layers : `int`
        The number, in `Elmo`.

        A second paragraph.
    first, second : `float`
        Weights.

    # Raises

    `ValueError` for no layers.
    """

    def __init__(self, layers: int, first: float = 0.5, *, second: float = 1.0) -> None:
        pass
'''


@pytest.fixture
def sections(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "site"))
    with griffe.temporary_visited_module(SOURCE) as module:
        mix = module["Mix"]
        links = {"Elmo": "[`Elmo`][elmo]"}
        return list(load("site/docstrings").sections_of(mix.docstring.value, mix, links))


def test_examples_are_code_and_marks_are_no_html(sections: list[Any]) -> None:
    assert sections[0].value == (
        'Mixes layers from "&lt;S>" on; `<S>` is a mark. See [`Elmo`][elmo].\n\n'
        "```pycon\n>>> Mix(2)\nMix\n```"
    )


def test_parameters_have_the_types_and_defaults_of_the_signature(sections: list[Any]) -> None:
    parameters = sections[1].value
    assert [entry.name for entry in parameters] == ["layers", "first", "second"]
    assert [str(entry.annotation) for entry in parameters] == ["int", "float", "float"]
    assert [entry.value for entry in parameters] == [None, "0.5", "1.0"]
    assert parameters[0].description == "The number, in [`Elmo`][elmo].\n\nA second paragraph."
    assert parameters[1].description == parameters[2].description == "Weights."


def test_errors_stay_prose(sections: list[Any]) -> None:
    assert sections[2].value == "**Raises:**\n\n`ValueError` for no layers."
