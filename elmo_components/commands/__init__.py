"""
The commands, without AllenNLP. AllenNLP's sub-commands call the same functions.

Each module has `DESCRIPTION`, `EXAMPLES`, `add_arguments(parser)` and `run(arguments)`. An error of
the user is a `ValueError` or an `OSError`; an exit status other than 0 is a `SystemExit`.
"""
