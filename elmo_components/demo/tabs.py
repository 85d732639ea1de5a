"""The two tabs of the page that answer requests: the entities of a text, and the uses of a word."""

from collections.abc import Callable
from functools import partial, wraps
from typing import Any, TypeVar

from elmo_components.demo import tagging, uses
from elmo_components.demo.examples import TEXTS, USES
from elmo_components.demo.markup import plane, tagged_text, use_table
from elmo_components.demo.tagging import TextTagger
from elmo_components.elmo import Elmo

__all__ = ["entities_tab", "uses_tab"]

Answer = TypeVar("Answer")
# Requests to the model are computed one after another.
QUEUE = {"concurrency_id": "model", "concurrency_limit": 1}
# In seconds; an error can be closed before.
ERROR_SHOWN = 20


def entities_tab(gradio: Any, tagger: TextTagger) -> None:
    """Adds the components of the tab "Entities", whose function has the name "tag"."""

    def tag(text: str) -> str:
        return tagged_text(tagger(text))

    def tag_example(text: str) -> tuple[str, str]:
        return text, tag(text)

    text = gradio.Textbox(
        label=f"Text (at most {tagging.MAX_CHARACTERS:,} characters)",
        value=TEXTS[0],
        lines=4,
        max_lines=12,
    )
    button = gradio.Button("Find entities", variant="primary", elem_id="find-entities")
    with gradio.Row():
        choices = [gradio.Button(f"{example[:36]}…", size="sm") for example in TEXTS]
    output = gradio.HTML(elem_id="entities")
    button.click(_answering(gradio, tag), text, output, api_name="tag", **QUEUE)
    for choice, example in zip(choices, TEXTS):
        answer = _answering(gradio, partial(tag_example, example))
        choice.click(answer, None, [text, output], api_visibility="private", **QUEUE)


def uses_tab(gradio: Any, elmo: Elmo, split: Callable[[str], list[str]]) -> None:
    """Adds the components of the tab "Word uses", whose function has the name "uses"."""

    def compare(word: str, sentences: str, layer: str) -> tuple[str, str]:
        found = uses.compare_uses(elmo, word, sentences, layer=layer, split=split)
        number = len(set(found.groups))
        groups = f"{number} groups" if number > 1 else "one group"
        note = (
            f"{len(found.occurrences)} uses in {groups}. Uses with similar vectors have the same "
            "colour and are near one another."
        )
        picture = plane(found.points, found.groups, found.occurrences)
        return f'{picture}<p class="elmo-note">{note}</p>', use_table(found)

    def compare_example(word: str) -> tuple[str, str, str, str, str]:
        sentences = "\n".join(USES[word])
        return word, sentences, "top", *compare(word, sentences, "top")

    first = next(iter(USES))
    numbers = [(f"layer {number}", str(number)) for number in range(elmo.config.num_layers)]
    with gradio.Row():
        word = gradio.Textbox(label="Word", value=first, scale=1)
        layer = gradio.Dropdown(
            [("top layer", "top"), ("mean of all layers", "mean"), *numbers],
            label="Vectors",
            value="top",
            scale=1,
        )
    sentences = gradio.Textbox(
        label=f"Sentences with the word, one per line (at most {uses.MAX_SENTENCES})",
        value="\n".join(USES[first]),
        lines=6,
        max_lines=12,
    )
    button = gradio.Button("Compare uses", variant="primary", elem_id="compare-uses")
    with gradio.Row():
        choices = [gradio.Button(example, size="sm", min_width=80) for example in USES]
    outputs = [gradio.HTML(elem_id="map"), gradio.HTML(elem_id="uses")]
    inputs = [word, sentences, layer]
    button.click(_answering(gradio, compare), inputs, outputs, api_name="uses", **QUEUE)
    for choice, example in zip(choices, USES):
        answer = _answering(gradio, partial(compare_example, example))
        choice.click(answer, None, [*inputs, *outputs], api_visibility="private", **QUEUE)


def _answering(gradio: Any, function: Callable[..., Answer]) -> Callable[..., Answer]:
    """Returns a function whose `ValueError` the page shows as its text."""

    @wraps(function)
    def answer(*inputs: str) -> Answer:
        try:
            return function(*inputs)
        except ValueError as error:
            raise gradio.Error(
                str(error), duration=ERROR_SHOWN, title="Cannot answer", print_exception=False
            ) from error

    return answer
