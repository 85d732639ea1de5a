"""`python -m elmo_components`, which is the console script `elmo`."""

from elmo_components.commands.main import run

if __name__ == "__main__":
    run()
