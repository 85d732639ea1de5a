"""Serves a page on this machine that shows what a model does."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

from elmo_components.checkpoints.names import ENGLISH
from elmo_components.demo.page import HOST, build_page, check_port, import_gradio, serve
from elmo_components.demo.tagging import TextTagger, load_tagger
from elmo_components.elmo import Elmo
from elmo_components.inspection.mixes import Mix
from elmo_components.inspection.report import Inspection, inspect
from elmo_components.pretraining.tokenization import SpacyRules

__all__ = ["DESCRIPTION", "EXAMPLES", "add_arguments", "run"]

DESCRIPTION = "Show a model in the browser: entities of a text, uses of a word, layers and sizes."
EXAMPLES = """examples:
  elmo demo
  elmo demo output/ner/model.tar.gz --port 8000
  elmo demo --model output/bilm.safetensors

The page needs no network and can be reached from this machine only. Stop it with Ctrl+C."""

PORT = 7860


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments to a parser."""
    add = parser.add_argument
    add(
        "archive",
        nargs="?",
        help="the model.tar.gz of a tagger, for the tab of entities; without it, the tab tells how "
        "to train one",
    )
    add(
        "--model",
        help="the biLM of the other tabs, as Elmo.from_pretrained takes it; default: the "
        f"archive's, or without one {ENGLISH!r}, the English model in this package",
    )
    add("--port", type=int, default=PORT, help=f"the port of the page; default: {PORT}")
    add(
        "--language",
        default="en",
        help="spaCy's code of the language whose rules split text into words; default: en",
    )


def run(arguments: argparse.Namespace) -> None:
    """Loads the models, and serves the page until it is interrupted."""
    # what may be wrong, before what takes long
    import_gradio()
    check_port(arguments.port)
    split = SpacyRules(arguments.language).words
    tagger: Optional[TextTagger] = None
    mixes: Sequence[Mix] = ()
    trained: Optional[Inspection] = None
    # before the archive, which takes longer
    elmo = None if arguments.model is None else Elmo.from_pretrained(arguments.model)
    if arguments.archive is not None:
        archive = Path(arguments.archive)
        if archive.exists():
            print(f"Loading {archive} ...", flush=True)
        tagger = load_tagger(archive, language=arguments.language)
        trained = inspect(archive)
    if elmo is not None:
        inspection = inspect(arguments.model)
    elif trained is not None and trained.config is not None:
        elmo, inspection, mixes = Elmo.from_pretrained(arguments.archive), trained, trained.mixes
    else:
        if trained is not None:
            print(f"The archive has no single ELMo; the other tabs show {ENGLISH!r}", flush=True)
        elmo, inspection = Elmo.from_pretrained(ENGLISH), inspect(ENGLISH)
    page = build_page(elmo, inspection, tagger=tagger, mixes=mixes, split=split)
    serve(page, port=arguments.port)
    print(f"Open http://{HOST}:{arguments.port} in a browser. Stop with Ctrl+C.", flush=True)
    page.block_thread()
