"""A parser of one of this package's commands."""

import argparse

__all__ = ["add_command"]


def add_command(
    parser: argparse._SubParsersAction, name: str, *, description: str, epilog: str
) -> argparse.ArgumentParser:
    """
    Adds a command to a parser of commands, and returns its own parser.

    # Parameters

    description : `str`
        What it does, in a sentence, which the list of all commands has too.
    epilog : `str`
        What its help ends with, as it stands here: examples.
    """
    return parser.add_parser(
        name,
        description=description,
        help=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
