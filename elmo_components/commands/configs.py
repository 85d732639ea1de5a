"""Lists the training configurations, and writes one with its data as the start of a project."""

import argparse
from pathlib import Path

from elmo_components.commands.examples import configurations, examples_folder, find_configuration
from elmo_components.commands.starting_point import files_of

__all__ = ["DESCRIPTION", "EXAMPLES", "add_arguments", "run", "write"]

DESCRIPTION = "List the training configurations, or start a project from one."
EXAMPLES = """examples:
  elmo configs
  elmo configs ner my_project/
  cd my_project && allennlp train ner.jsonnet -s output"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments to a parser."""
    parser.add_argument(
        "name", nargs="?", help="a configuration's name; without one, all are listed"
    )
    parser.add_argument(
        "folder",
        nargs="?",
        help="where to write the configuration, what it imports, small example data and a README; "
        "default: a folder of the configuration's name",
    )


def run(arguments: argparse.Namespace) -> None:
    """Lists the configurations, or writes one and prints what to do next."""
    if arguments.name is None:
        print(_listing())
        return
    configuration = find_configuration(arguments.name)
    folder = Path(arguments.folder or configuration.name.replace("/", "_"))
    paths = write(files_of(configuration), folder)
    print("\n".join(map(str, paths)))
    print(f"\nNext, as {folder / 'README.md'} says:")
    # quotes do no harm where they are not needed
    print(f"  cd '{folder}' && allennlp train {configuration.path.name} -s output")


def write(files: dict[str, bytes], folder: Path) -> list[Path]:
    """
    Writes files in a folder, which is created if needed, and returns their paths.

    # Raises

    `FileExistsError` if one of them exists; then nothing is written. `NotADirectoryError` if the
    folder is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file. Give a folder, which may be new")
    existing = [name for name in files if (folder / name).exists()]
    if existing:
        raise FileExistsError(
            f"{folder} already has {', '.join(existing)}, and nothing is overwritten. Give another "
            "folder"
        )
    for name, contents in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "xb") as file:
            file.write(contents)
    return [folder / name for name in files]


def _listing() -> str:
    known = configurations()
    width = max(len(one.name) for one in known)
    lines, task = [], ""
    for one in known:
        if one.task != task:
            task = one.task
            lines.append(f"{task}:")
        lines.append(f"  {one.name:{width}}  {one.summary}")
    return "\n".join(
        [
            *lines,
            "",
            "`elmo configs NAME FOLDER` writes one with its data, ready to train. All of them, for "
            "`import`, are in",
            str(examples_folder() / "training_configs"),
        ]
    )
