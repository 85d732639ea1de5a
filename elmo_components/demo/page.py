"""Builds the page with Gradio and serves it on this machine."""

import errno
import os
import socket
from collections.abc import Callable, Sequence
from html import escape
from typing import Any, Optional

from elmo_components.demo.model_facts import (
    MODEL_WORD,
    layer_maps,
    layer_picture,
    size_tables,
    summary,
)
from elmo_components.demo.style import CSS, FONTS, FONTS_MONO
from elmo_components.demo.tabs import entities_tab, uses_tab
from elmo_components.demo.tagging import TextTagger
from elmo_components.elmo import Elmo
from elmo_components.inspection.mixes import Mix
from elmo_components.inspection.report import Inspection

__all__ = ["HOST", "build_page", "check_port", "import_gradio", "serve"]

# The page is for this machine alone.
HOST = "127.0.0.1"
# Requests that wait; one is computed at a time.
MAX_WAITING = 64

NO_ARCHIVE = """
This tab needs the archive of a tagger, a `model.tar.gz` that AllenNLP wrote. To train one in the
project's folder, and start the page with it:

```
allennlp train training_configs/tagging/ner.jsonnet -s output/ner --include-package elmo_components
elmo demo output/ner/model.tar.gz
```
"""


def import_gradio() -> Any:
    """
    Returns Gradio, which then reports nothing to its makers.

    # Raises

    `ValueError` where it is not installed, or too old.
    """
    # before the import, and for its other processes too
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    try:
        import gradio
    except ImportError as error:
        raise ValueError(
            f"The demo needs {error.name}: pip install 'elmo_components[demo]'"
        ) from error
    if int(gradio.__version__.partition(".")[0]) < 6:
        raise ValueError(
            f"The demo needs Gradio 6; found {gradio.__version__}: "
            "pip install 'elmo_components[demo]'"
        )
    return gradio


def check_port(port: int) -> None:
    """
    Checks that a port of this machine is free.

    # Raises

    `ValueError` for a number that is no port, and `OSError` for a port in use.
    """
    if not 1 <= port <= 65535:
        raise ValueError(f"--port must be 1 to 65535; found {port}")
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as server:
        # as the server does, so that a port of a page that was just closed is free
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind((HOST, port))
        except OSError as error:
            reason = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be used: {error}"
            raise OSError(f"Port {port} {reason}. Choose another with --port") from error


def build_page(
    elmo: Elmo,
    inspection: Inspection,
    *,
    tagger: Optional[TextTagger] = None,
    mixes: Sequence[Mix] = (),
    split: Callable[[str], list[str]] = str.split,
) -> Any:
    """
    Returns the page, a `gradio.Blocks`, with the functions "tag" and "uses".

    # Parameters

    elmo, inspection
        The model of the tabs "Word uses" and "Model".
    tagger : `Optional[TextTagger]`
        The tagger of the tab "Entities"; `None` for an explanation of how to get one.
    mixes : `Sequence[Mix]`
        The tagger's learned layer weights.
    split : `Callable[[str], list[str]]`
        Splits a sentence into tokens.

    # Raises

    `ValueError` for a checkpoint that cannot be read, and without Gradio.
    """
    gradio = import_gradio()
    config = inspection.config
    if config is None:
        raise ValueError("; ".join(inspection.problems))
    name = escape(inspection.path)
    with gradio.Blocks(title="ELMo", analytics_enabled=False) as page:
        gradio.HTML(
            '<div class="elmo-head"><h1>ELMo</h1><p>Vectors of words that depend on their '
            f"sentence. Model: {name}</p></div>"
        )
        with gradio.Tab("Entities"):
            if tagger is None:
                gradio.Markdown(NO_ARCHIVE)
            else:
                entities_tab(gradio, tagger)
        with gradio.Tab("Word uses"):
            uses_tab(gradio, elmo, split)
        with gradio.Tab("Model"):
            gradio.HTML(summary(inspection))
            gradio.Markdown("### Layers and their weights")
            gradio.HTML(layer_picture(config, mixes))
            gradio.Markdown(f"### The uses of “{MODEL_WORD}” in each layer")
            gradio.HTML(layer_maps(elmo))
            gradio.Markdown("### Sizes")
            gradio.HTML(size_tables(inspection))
    page.queue(max_size=MAX_WAITING, default_concurrency_limit=1, api_open=False)
    return page


def serve(page: Any, *, port: int) -> None:
    """
    Serves the page on this machine, in a thread. `page.block_thread()` waits for an interruption.

    # Raises

    `OSError` for a port in use.
    """
    gradio = import_gradio()
    check_port(port)
    page.launch(
        server_name=HOST,
        server_port=port,
        share=False,
        quiet=True,
        ssr_mode=False,
        pwa=False,
        enable_monitoring=False,
        footer_links=[],
        theme=gradio.themes.Default(font=FONTS, font_mono=FONTS_MONO),
        css=CSS,
        prevent_thread_lock=True,
    )
