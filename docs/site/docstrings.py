"""A griffe extension: reads the sections of docstrings in AllenNLP's Markdown form."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Optional, Union

from griffe import (
    Class,
    DocstringParameter,
    DocstringReturn,
    DocstringSection,
    DocstringSectionParameters,
    DocstringSectionReturns,
    DocstringSectionText,
    Expr,
    Extension,
    Function,
    GriffeLoader,
    Module,
    Object,
)

# MkDocs has imported it already, for hooks.py
from registered import registered_classes

SECTION = re.compile(r"^# (Parameters|Returns|Raises)$\n*", re.M)
# "name : `type`" or "name, other", and below it the indented description.
ENTRY = re.compile(
    r"^([*\w]+(?:, [*\w]+)*)(?: : `([^\n]+)`)?\n((?:    [^\n]*\n|\n)+)", re.M
)
# A name in backticks alone.
CODE = re.compile(r"(?<![`\w\[])`([A-Z]\w+)`(?![`\w\]])")
# What would be a tag, except in code, which is the group.
TAG = re.compile(r"(`[^`]*`)|<(?=/?\w+>)")
REFERENCE = Path(__file__).resolve().parents[1] / "reference"
RETURNED = re.compile(r"^`([^\n]+)`\n((?:    [^\n]*\n|\n)+)\Z", re.M)


class AllenNlpSections(Extension):
    """Parses all docstrings of a package when it is loaded."""

    def on_package(self, *, pkg: Module, loader: GriffeLoader, **_: Any) -> None:
        """Sets the parsed sections, which griffe would otherwise make by another style."""
        links = _links()
        for obj in _objects(pkg):
            if obj.docstring is not None:
                # a cached property
                obj.docstring.__dict__["parsed"] = list(
                    sections_of(obj.docstring.value, obj, links)
                )


def sections_of(
    text: str, obj: Object, links: Mapping[str, str]
) -> Iterator[DocstringSection]:
    """
    Yields a docstring's sections. Parameters have the types and defaults of the signature, and
    names of classes in descriptions are links.
    """

    def linked(prose: str) -> str:
        prose = (
            re.sub(r"^    ", "", prose, flags=re.M)
            if prose.startswith("    ")
            else prose
        )
        return CODE.sub(
            lambda match: links.get(match[1], match[0]), _markdown(prose.strip())
        )

    first, *rest = SECTION.split(text)
    if first.strip():
        yield DocstringSectionText(linked(first))
    for title, body in zip(rest[::2], rest[1::2]):
        body = f"{body.strip()}\n"
        if title == "Parameters" and (entries := list(ENTRY.finditer(body))):
            yield DocstringSectionParameters(
                [
                    _parameter(name, written, linked(description), obj)
                    for names, written, description in (
                        entry.groups() for entry in entries
                    )
                    for name in names.split(", ")
                ]
            )
        elif title == "Returns" and (match := RETURNED.match(body)):
            annotation = obj.returns if isinstance(obj, Function) else match[1]
            entry = DocstringReturn(
                "", annotation=annotation, description=linked(match[2])
            )
            yield DocstringSectionReturns([entry])
        else:
            yield DocstringSectionText(f"**{title}:**\n\n{linked(body)}")


def _parameter(
    name: str, written: Optional[str], description: str, obj: Object
) -> DocstringParameter:
    annotation: Union[Expr, str, None] = written
    value = None
    known = obj.parameters if isinstance(obj, (Class, Function)) else ()
    if name.lstrip("*") in known:
        annotation = known[name.lstrip("*")].annotation or written
        value = known[name.lstrip("*")].default
    elif isinstance(obj, Class) and name in obj.members:
        # a field of a NamedTuple or a dataclass
        annotation = obj.members[name].annotation or written
        value = obj.members[name].value
    return DocstringParameter(
        name,
        annotation=annotation,
        value=None if value is None else str(value),
        description=description,
    )


def _markdown(prose: str) -> str:
    """Returns prose in which examples are blocks of code and "<S>" is no tag of HTML."""
    paragraphs = prose.split("\n\n")
    for place, paragraph in enumerate(paragraphs):
        if paragraph.startswith(">>> "):
            paragraphs[place] = f"```pycon\n{paragraph}\n```"
        elif not paragraph.startswith("    "):
            paragraphs[place] = TAG.sub(lambda match: match[1] or "&lt;", paragraph)
    return "\n\n".join(paragraphs)


def _links() -> dict[str, str]:
    """Returns a link to each class of the reference by the class's name."""
    pages = [page.read_text(encoding="utf-8") for page in REFERENCE.glob("*.md")]
    paths = re.findall(r"^::: (\S+)", "\n".join(pages), re.M)
    paths += [
        entry.path for entry in registered_classes() if entry.kind != "Subcommand"
    ]
    names = [path.rpartition(".")[2] for path in paths]
    return {name: f"[`{name}`][{path}]" for name, path in zip(names, paths)}


def _objects(obj: Object) -> Iterator[Object]:
    yield obj
    for member in obj.members.values():
        if not member.is_alias:
            yield from _objects(member)
