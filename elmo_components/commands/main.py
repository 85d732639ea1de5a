"""The console script `elmo`, which finds and runs a command. It needs no AllenNLP."""

import argparse
import difflib
import importlib
import os
import re
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from types import ModuleType
from typing import NoReturn, Optional

from elmo_components.version import __version__

__all__ = ["add_command", "main", "run"]

# The commands and their modules in this folder. Only the module of the command that runs is
# imported; one that does not exist is left out.
COMMANDS = {
    "embed": "embed",
    "inspect": "inspect",
    "convert": "convert",
    "export": "convert",
    "vocabulary": "vocabulary",
    "predict": "predict",
    "configs": "configs",
    "demo": "demo",
}
DESCRIPTION = "ELMo: vectors, checkpoints, vocabularies and starting points for training."
EPILOG = """`elmo COMMAND --help` explains a command and has examples.

Exit status: 0; 2 for wrong arguments and input that cannot be used; 130 after Ctrl-C. Commands with
another status say so."""

USAGE_ERROR, INTERRUPTED, BROKEN_PIPE = 2, 130, 141


def run() -> NoReturn:
    """Runs the command of the process's arguments and ends the process."""
    sys.exit(main())


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """
    Runs a command and returns its exit status.

    # Parameters

    arguments : `Optional[Sequence[str]]`
        The command and its arguments; `None` for the process's.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        try:
            _run(given)
        finally:
            sys.stdout.flush()
    except SystemExit as end:
        return int(end.code or 0)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # whatever read the output, such as `head`, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except (ValueError, OSError, ImportError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not _is_for_users(error):
            raise
        print(f"elmo {given[0]}: error: {_one_line(error)}", file=sys.stderr)
        return USAGE_ERROR
    return 0


def add_command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    module: ModuleType,
    *,
    program: str = "elmo ",
) -> argparse.ArgumentParser:
    """
    Adds a command to a parser of commands and returns its parser.

    # Parameters

    name : `str`
        The command's name.
    module : `ModuleType`
        A module of this folder.
    program : `str`
        What comes before the name in the examples: "elmo " or "allennlp elmo-".
    """
    own_name = module.__name__.rpartition(".")[2]
    examples = re.sub(rf"\belmo {own_name}\b", f"elmo {name}", module.EXAMPLES)
    command = commands.add_parser(
        name if program.endswith(" ") else f"{program.rpartition(' ')[2]}{name}",
        description=module.DESCRIPTION,
        help=module.DESCRIPTION,
        epilog=re.sub(r"\belmo (?=[a-z])", program, examples),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.add_arguments(command)
    return command


def _run(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(
        "elmo",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"elmo_components {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    names = [name for name in COMMANDS if find_spec(_module_name(name))]
    first = arguments[0] if arguments else ""
    if first and not first.startswith("-") and first not in names:
        close = difflib.get_close_matches(first, names, n=1)
        meant = f" Did you mean {close[0]!r}?" if close else ""
        parser.error(f"there is no command {first!r}.{meant} Commands: {', '.join(names)}")
    # all of them only for their help
    needed = [] if first in ("", "--version") else [first] if first in names else names
    for name in needed:
        module = importlib.import_module(_module_name(name))
        add_command(commands, name, module).set_defaults(run=module.run)
    parsed = parser.parse_args(arguments)
    parsed.run(parsed)


def _module_name(command: str) -> str:
    return f"elmo_components.commands.{COMMANDS[command]}"


def _is_for_users(error: RuntimeError) -> bool:
    # here, since it imports torch
    from elmo_components.kernels.call import BackendUnavailable

    return isinstance(error, BackendUnavailable)


def _one_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return "; ".join(line.strip() for line in str(error).splitlines()) or type(error).__name__
