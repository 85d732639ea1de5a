"""Finds the training configurations and the example data, in a clone or in an installed package."""

import difflib
from pathlib import Path

__all__ = [
    "DATA",
    "PINS",
    "Configuration",
    "configurations",
    "examples_folder",
    "find_configuration",
]

PACKAGE = Path(__file__).parent.parent
CONFIGS, DATA, PINS = "training_configs", "fixtures/data", "requirements.txt"
SUFFIX = ".jsonnet"


class Configuration:
    """
    A training configuration.

    # Parameters

    path : `Path`
        The `.jsonnet` file, in a folder that is named after its task.
    name : `str`
        What it is called: the file's name without suffix, after the task's where two have the same.
    """

    def __init__(self, path: Path, name: str) -> None:
        self.path = path
        self.name = name

    @property
    def task(self) -> str:
        """The name of its folder, such as "tagging"."""
        return self.path.parent.name

    @property
    def header(self) -> list[str]:
        """The lines of the comment at the file's beginning, without slashes."""
        lines = []
        for line in self.path.read_text(encoding="utf-8").splitlines():
            if not line.startswith("//"):
                break
            lines.append(line[2:].removeprefix(" "))
        return lines

    @property
    def summary(self) -> str:
        """The first sentence of the header."""
        # "et al." ends no sentence
        text = " ".join(self.header).replace("et al. ", "et al.\u00a0")
        return f"{text.partition('. ')[0].rstrip('.')}.".replace("\u00a0", " ")


def examples_folder() -> Path:
    """
    Returns the folder with `training_configs`, `fixtures/data` and `requirements.txt`: the
    package's own, which its build makes, or the clone that it runs from.

    # Raises

    `FileNotFoundError` where neither has them.
    """
    places = (PACKAGE / "examples", PACKAGE.parent)
    for place in places:
        if (place / CONFIGS / "elmo.libsonnet").is_file() and (place / DATA).is_dir():
            return place
    raise FileNotFoundError(
        f"The training configurations must be at {' or '.join(map(str, places))}. Reinstall "
        "elmo_components"
    )


def configurations() -> list[Configuration]:
    """Returns all configurations, by task and name."""
    paths = sorted((examples_folder() / CONFIGS).glob(f"*/*{SUFFIX}"))
    stems = [path.stem for path in paths]
    return [
        Configuration(path, path.stem if stems.count(path.stem) == 1 else _long_name(path))
        for path in paths
    ]


def find_configuration(name: str) -> Configuration:
    """
    Returns a configuration.

    # Parameters

    name : `str`
        Its name, with or without its task and ".jsonnet": "ner" or "tagging/ner.jsonnet".

    # Raises

    `ValueError` for an unknown name; it lists those that are alike.
    """
    known = configurations()
    wanted = name.removeprefix(f"{CONFIGS}/").removesuffix(SUFFIX)
    found = [one for one in known if wanted in (one.name, _long_name(one.path))]
    if found:
        return found[0]
    names = [one.name for one in known]
    # "conll2012" has two, "sentiment" none
    close = [one for one in names if wanted in one.split("/")]
    close += difflib.get_close_matches(wanted, names, n=5)
    close += [one.name for one in known if wanted == one.task]
    meant = f"did you mean {', '.join(dict.fromkeys(close))}?" if close else "none is like it."
    raise ValueError(f"There is no configuration {name!r}; {meant} `elmo configs` lists all")


def _long_name(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"
