"""A hook of MkDocs: registered classes, formulas as MathML, and links to the project's files."""

import re
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from registered import reference_of, registered_classes

ROOT = Path(__file__).resolve().parents[2]
# What pymdownx.arithmatex makes of $...$ and $$...$$.
FORMULA = re.compile(
    r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL
)
# A link to a file outside docs/, which a site does not have.
OUTSIDE = re.compile(r"\[([^\]]+)\]\((?:\.\./)+((?!\.\.)[^)#]+)(?:#[^)]*)?\)")


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Adds the registered classes, and shows the path of a file outside docs/ as text."""
    if page.file.src_uri == "reference/registered.md":
        introduction, heading, end = markdown.partition("## Shared parameters")
        classes = reference_of(registered_classes())
        markdown = "\n".join([introduction, classes, heading + end])
    return OUTSIDE.sub(_as_path, markdown)


def on_page_content(html: str, **_: Any) -> str:
    """Replaces LaTeX by MathML, which browsers draw without a script."""
    return FORMULA.sub(_as_mathml, html)


def _as_path(match: re.Match) -> str:
    label, path = match.groups()
    if not (ROOT / path).exists():
        # a page of docs/ from a subfolder
        return match[0]
    return f"`{path}`" if label in path else f"{label} (`{path}`)"


def _as_mathml(match: re.Match) -> str:
    kind, latex = match.groups()
    latex = latex.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    display = "block" if kind == "div" else "inline"
    return (
        f'<{kind} class="formula">{convert(latex.strip(), display=display)}</{kind}>'
    )
