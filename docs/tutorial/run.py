"""Runs the tutorial's Python blocks, and writes their output and pictures into docs/.

    python docs/tutorial/run.py

Run it in the project's folder after a change to the Python blocks of docs/tutorial.md. The blocks
of commands are run by tests/tutorial_test.py only.
"""

import contextlib
import io
import os
import re
import shutil
from pathlib import Path
from typing import Any, NamedTuple

DOCS = Path(__file__).resolve().parent.parent
PAGE = DOCS / "tutorial.md"
# A block of code; and after some Python blocks, a block of text with what they print.
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$(?:\n\n^```text\n(.*?)^```$)?", re.M | re.S)


class Block(NamedTuple):
    """A block of code: its language, its text, its first line's number, and its output if shown."""

    language: str
    code: str
    line: int
    output: str


def blocks_of(text: str) -> list[Block]:
    """Returns the blocks of code of a page, in order."""
    return [
        Block(
            match[1], match[2], text.count("\n", 0, match.start()) + 2, match[3] or ""
        )
        for match in BLOCK.finditer(text)
    ]


def run_python(block: Block, names: dict[str, Any]) -> str:
    """Executes a Python block in a namespace and returns what it prints."""
    printed = io.StringIO()
    # with the lines above it empty, a traceback has the line numbers of the page
    source = "\n" * (block.line - 1) + block.code
    with contextlib.redirect_stdout(printed):
        exec(compile(source, str(PAGE), "exec"), names)
    return printed.getvalue()


def main() -> None:
    """Runs the page and rewrites its outputs and pictures."""
    os.environ["MPLBACKEND"] = "Agg"
    text = PAGE.read_text(encoding="utf-8")
    names: dict[str, Any] = {}

    def refreshed(match: re.Match) -> str:
        if match[1] != "python":
            return match[0]
        block = Block(match[1], match[2], text.count("\n", 0, match.start()) + 2, "")
        printed = run_python(block, names)
        shown = f"\n\n```text\n{printed}```" if printed else ""
        return f"```python\n{block.code}```{shown}"

    PAGE.write_text(BLOCK.sub(refreshed, text), encoding="utf-8")
    for picture in sorted(Path("output/tutorial").glob("*.png")):
        shutil.copy(picture, DOCS / "tutorial")


if __name__ == "__main__":
    main()
