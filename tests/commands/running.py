"""Runs a command as its users do, without AllenNLP."""

import argparse
from types import ModuleType


def run(module: ModuleType, *arguments: object) -> None:
    """Runs a module of `elmo_components.commands` with arguments of a command line."""
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)
    module.run(parser.parse_args([str(argument) for argument in arguments]))
