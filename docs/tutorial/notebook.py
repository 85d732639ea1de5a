"""Makes a Jupyter notebook of the tutorial: `python docs/tutorial/notebook.py FILE`."""

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbformat import NotebookNode

PAGE = Path(__file__).resolve().parent.parent / "tutorial.md"
# A cell shows its figure and prints its text by itself.
SHOWN = re.compile(
    r"^```text\n.*?^```\n|^!\[[^\]]*\]\(tutorial/(?!model)\w+\.png\)\n", re.M | re.S
)
CONFIGURATION = re.compile(r"^```jsonnet\n// (\S+)\n(.*?)^```$", re.M | re.S)
# To another page of the documentation, or to a file of the project.
LINK = re.compile(r"\]\((?!https?:|#)(\.\./)?([^)]+)\)")


def notebook_of(text: str) -> "NotebookNode":
    """
    Returns the notebook of the tutorial's text, for a folder within the project's, as output/ is.

    Python blocks and commands become cells. A configuration becomes a cell that writes its file.
    Links are relative to the notebook's folder.
    """
    import jupytext

    text = SHOWN.sub("", text)
    text = CONFIGURATION.sub(r"```python\n%%writefile \1\n\2```", text)
    notebook = jupytext.reads(text, fmt="md")
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = LINK.sub(_from_a_subfolder, cell.source)
    first = next(
        n for n, cell in enumerate(notebook.cells) if cell.cell_type == "code"
    )
    # the paths of the tutorial begin at the project's folder
    notebook.cells[first:first] = jupytext.reads(
        "```python\n%cd -q ..\n```", fmt="md"
    ).cells
    notebook.metadata["kernelspec"] = {
        "display_name": "Python 3",
        "language": "python",
        "name": "python3",
    }
    return notebook


def _from_a_subfolder(link: re.Match) -> str:
    return f"]({'..' if link[1] else '../docs'}/{link[2]})"


def main() -> None:
    """Writes the notebook."""
    try:
        import jupytext
    except ImportError:
        sys.exit("The notebook needs jupytext: pip install jupytext")
    path = Path(sys.argv[1])
    path.parent.mkdir(parents=True, exist_ok=True)
    jupytext.write(notebook_of(PAGE.read_text(encoding="utf-8")), path)


if __name__ == "__main__":
    main()
