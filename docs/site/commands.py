"""Writes docs/reference/commands.md from the commands' parsers: `python docs/site/commands.py`."""

import argparse
import importlib
import pkgutil
import re
from pathlib import Path
from types import ModuleType

import elmo_components.commands

PAGE = Path(__file__).resolve().parents[1] / "reference" / "commands.md"
HEAD = """# Commands

`--help` prints what this page says about a command. `export` is another name for `convert`.
"""


def page() -> str:
    """Returns the page: each command with its examples and arguments."""
    modules = [
        importlib.import_module(f"elmo_components.commands.{info.name}")
        for info in pkgutil.iter_modules(elmo_components.commands.__path__)
    ]
    sections = [_section(module) for module in modules if hasattr(module, "EXAMPLES")]
    return "\n".join([HEAD, *sections])


def _section(module: ModuleType) -> str:
    parser = argparse.ArgumentParser(add_help=False)
    module.add_arguments(parser)
    examples, _, note = module.EXAMPLES.partition("\n\n")
    commands = "\n".join(line[2:] for line in examples.splitlines()[1:])
    rows = [_row(action) for action in parser._actions]
    return "\n".join(
        [
            f"## {_called(commands)}\n",
            f"{module.DESCRIPTION}\n",
            f"```bash\n{commands}\n```\n",
            *([" ".join(note.split()) + "\n"] if note else []),
            "| argument | meaning |",
            "|---|---|",
            *rows,
            "",
        ]
    )


def _called(commands: str) -> str:
    """Returns how a command is called, as its first example shows."""
    match = re.match(r"(allennlp elmo-|elmo )\w+", commands)
    assert match is not None, f"The first example must call the command: {commands}"
    return match[0]


def _row(action: argparse.Action) -> str:
    name = " ".join(action.option_strings) or action.dest.upper()
    value = ""
    if action.option_strings and action.nargs != 0:
        value = f" {action.metavar or action.dest.upper()}"
        if action.choices:
            value = " " + ", ".join(action.choices)
    help_text = (action.help or "") % {"default": action.default}
    help_text = re.sub(r"(?<![`\w/-])(--[a-z][\w-]+)", r"`\1`", help_text).replace(
        "|", r"\|"
    )
    return f"| `{name}{value}` | {help_text} |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
