"""Tests of places.py."""

from pathlib import Path

import pytest

from elmo_components.corpora.places import files_at, place_of

pytest.importorskip("pyarrow")


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    for name in ("a.txt", "b.jsonl", "deep/a.txt", "deep/er/c.txt", "_SUCCESS", ".x", "_t/d.txt"):
        path = tmp_path / "corpus" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("A line\n", encoding="utf-8")
    return tmp_path / "corpus"


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("", ["a.txt", "b.jsonl", "deep/a.txt", "deep/er/c.txt"]),
        ("/*.txt", ["a.txt"]),
        ("/?.[tj]*", ["a.txt", "b.jsonl"]),
        ("/**/*.txt", ["a.txt", "deep/a.txt", "deep/er/c.txt"]),
        ("/deep", ["a.txt", "er/c.txt"]),
        ("/deep/*.txt", ["a.txt"]),
        ("/*/a.txt", ["deep/a.txt"]),
        ("/b.jsonl", ["b.jsonl"]),
    ],
)
@pytest.mark.parametrize("scheme", ["", "file://"])
def test_an_input_is_a_file_a_folder_or_a_pattern(
    corpus: Path, pattern: str, expected: list[str], scheme: str
) -> None:
    if scheme and "?" in pattern:
        pytest.skip("an address has its parameters after ?")
    found = list(files_at(f"{scheme}{corpus}{pattern}"))
    assert [below for _, below, _ in found] == expected
    assert all(place.read() == b"A line\n" and size == 7 for place, _, size in found)


def test_an_input_without_files_is_an_error(corpus: Path) -> None:
    for name in ("none.txt", "*.gz", "_t"):
        if name == "_t":
            (corpus / "_t" / "d.txt").unlink()
        with pytest.raises(FileNotFoundError, match="There is no file at"):
            list(files_at(f"{corpus}/{name}"))


def test_an_unknown_file_system_is_an_error() -> None:
    with pytest.raises(ValueError, match="nosuch://bucket"):
        place_of("nosuch://bucket/corpus")


def test_file_systems_of_fsspec_are_known() -> None:
    pytest.importorskip("fsspec")
    place = place_of("memory://bucket/a.txt")
    place.write(b"One line\n")
    ((found, below, size),) = files_at("memory://bucket/*.txt")
    assert (found.read(), below, size) == (b"One line\n", "a.txt", 9)
    assert str(found).endswith("bucket/a.txt") and not found.is_local
