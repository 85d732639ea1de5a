"""Describes a model as HTML: its layers as a picture with their weights, and its sizes."""

from collections.abc import Sequence
from html import escape
from typing import Optional

from elmo_components.config import ElmoConfig
from elmo_components.demo.examples import USES
from elmo_components.demo.markup import plane
from elmo_components.demo.uses import compare_uses
from elmo_components.elmo import Elmo
from elmo_components.inspection.mixes import Mix
from elmo_components.inspection.report import Inspection

__all__ = ["MODEL_WORD", "layer_maps", "layer_picture", "size_tables", "summary"]

# The example whose uses are drawn in each layer.
MODEL_WORD = "bank"


def summary(inspection: Inspection) -> str:
    """Returns the four most important numbers of a model."""
    config = inspection.config
    assert config is not None
    numbers = {
        "layers": str(config.num_layers),
        "numbers per token and layer": f"{config.output_size:,}",
        "parameters": f"{inspection.num_parameters / 1e6:,.2f} million",
        "size in float32": f"{inspection.megabytes:,.1f} MB",
    }
    tiles = "".join(
        f'<div class="elmo-tile"><b>{value}</b><span>{name}</span></div>'
        for name, value in numbers.items()
    )
    return f'<div class="elmo-tiles">{tiles}</div>'


def size_tables(inspection: Inspection) -> str:
    """Returns a table of a model's parts with their parameters, and one of its sizes."""
    parts = {name: f"{number:,}" for name, number in inspection.parameters.items()}
    # an alphabet may have thousands of characters
    sizes = {
        name: _shown(value)
        for name, value in inspection.sizes().items()
        if name != "char_cnn.alphabet"
    }
    return (
        f'<div class="elmo-columns">{_table("part", "parameters", parts)}'
        f"{_table('setting', 'value', sizes)}</div>"
    )


def layer_picture(config: ElmoConfig, mixes: Sequence[Mix]) -> str:
    """
    Returns the layers from the top one down, each with what it computes and its weight in a learned
    mix. Without a mix the weights are equal.
    """
    lstm, cnn = config.lstm, config.char_cnn
    names = [
        (
            "Layer 0",
            f"character encoder: {cnn.num_filters:,} filters, highway layers: "
            f"{cnn.num_highway_layers}; {lstm.hidden_size:,} numbers, twice",
        ),
        *(
            (
                f"Layer {number}",
                f"LSTMs forward → and backward ←: {lstm.cell_size:,} cells, "
                f"{lstm.hidden_size:,} numbers each",
            )
            for number in range(1, config.num_layers)
        ),
    ]
    mix = next((mix for mix in mixes if len(mix.weights) == config.num_layers), None)
    weights = [1 / config.num_layers] * config.num_layers if mix is None else [*mix.weights]
    rows = "".join(
        f'<div class="elmo-layer"><b>{name}</b><span>{text}</span>'
        f'<div class="elmo-bar"><i style="width:{100 * weight:.1f}%"></i>'
        f"<em>{weight:.2f}</em></div></div>"
        for (name, text), weight in reversed([*zip(names, weights)])
    )
    return (
        f'<div class="elmo-layers">{rows}'
        '<div class="elmo-input">characters of each word</div></div>'
        f'<p class="elmo-note">{_origin(mix)}</p>'
    )


def layer_maps(elmo: Elmo) -> str:
    """Returns a map of an example word's uses in each layer, in the colours of the top layer."""
    text = "\n".join(USES[MODEL_WORD])
    found = [
        compare_uses(elmo, MODEL_WORD, text, layer=str(layer), split=_split)
        for layer in range(elmo.config.num_layers)
    ]
    maps = "".join(
        f"<figure>{plane(uses.points, found[-1].groups, uses.occurrences, is_small=True)}"
        f"<figcaption>Layer {layer}</figcaption></figure>"
        for layer, uses in enumerate(found)
    )
    return (
        f'<div class="elmo-maps">{maps}</div><p class="elmo-note">In layer 0 a word has the same '
        "vector in every sentence. In the layers above, the vectors depend on the sentence. The "
        "numbers and colours are those of the example in the tab “Word uses”.</p>"
    )


def _split(sentence: str) -> list[str]:
    return [*sentence.removesuffix(".").split(), "."]


def _origin(mix: Optional[Mix]) -> str:
    if mix is None:
        return (
            "The bars show equal weights: no mix of this model was learned. Start the page with "
            "the archive of a model that was trained with it to see the weights."
        )
    return (
        f"The bars show the weights that the archive's model learned (gamma {mix.gamma:.2f}, "
        f"{escape(mix.name)})."
    )


def _table(first: str, second: str, values: dict[str, str]) -> str:
    rows = "".join(
        f'<tr><td>{escape(name)}</td><td class="elmo-number">{escape(value)}</td></tr>'
        for name, value in values.items()
    )
    return (
        f'<table class="elmo-table elmo-sizes"><thead><tr><th>{first}</th>'
        f'<th class="elmo-number">{second}</th></tr></thead><tbody>{rows}</tbody></table>'
    )


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(f"{number} of width {width}" for width, number in value)
    if value in (None, ""):
        return "none"
    return str(value)
