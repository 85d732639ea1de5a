"""Lists the classes that the package registers with AllenNLP, from its source."""

import ast
import re
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).resolve().parents[2] / "elmo_components" / "registered"
# The decorator's text: a kind, and a name as a string or a constant.
REGISTER = re.compile(r"(\w+)\.register\((?:'([^']+)'|(\w+))")
# The kinds that configurations name most often, in the order of a configuration.
FIRST = [
    "DatasetReader",
    "TokenIndexer",
    "Tokenizer",
    "TokenEmbedder",
    "TextFieldEmbedder",
    "Seq2SeqEncoder",
    "Model",
    "NextWordSoftmax",
    "Teacher",
    "WordComparison",
    "Metric",
]


class Registered(NamedTuple):
    """A class, its base class in AllenNLP, and the name in a configuration's `type`."""

    kind: str
    name: str
    path: str


def registered_classes() -> list[Registered]:
    """Returns the classes with a decorator `@Kind.register(name)`, sorted by kind."""
    found = []
    for path in sorted(FOLDER.rglob("*.py")):
        body = ast.parse(path.read_text(encoding="utf-8")).body
        constants = {
            target.id: node.value.value
            for node in body
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        module = ".".join(path.relative_to(FOLDER.parents[1]).with_suffix("").parts)
        for node in body:
            if not isinstance(node, ast.ClassDef):
                continue
            for decorator in node.decorator_list:
                match = REGISTER.match(ast.unparse(decorator))
                if match:
                    kind, written, constant = match.groups()
                    path_of_class = f"{module}.{node.name}"
                    found.append(
                        Registered(
                            kind, written or constants[constant], path_of_class
                        )
                    )
    return sorted(found, key=lambda entry: (_place(entry.kind), entry.kind))


def reference_of(classes: list[Registered]) -> str:
    """Returns the Markdown of the reference of registered classes, for mkdocstrings."""
    lines, kind = [], ""
    for entry in classes:
        if entry.kind == "Subcommand":
            # the page of commands has these
            continue
        if entry.kind != kind:
            kind = entry.kind
            lines.append(f"## {kind}\n")
        lines.append(f"::: {entry.path}\n    options:\n        heading: {entry.name}")
        lines.append(f"        toc_label: {entry.name}\n        members: false\n")
    return "\n".join(lines)


def _place(kind: str) -> int:
    return FIRST.index(kind) if kind in FIRST else len(FIRST)
