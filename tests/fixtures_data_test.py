"""Tests of the data sets in `fixtures/data/`: remade byte for byte, and splits are disjoint."""

import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT

DATA = ROOT / "fixtures" / "data"
SPLITS = ["train", "dev", "test"]


def read_names(split: str) -> set[str]:
    """Returns the named entities of a split, case-folded."""
    names: list[str] = []
    for line in (DATA / "ner" / f"{split}.conll").read_text(encoding="utf-8").splitlines():
        token, _, tag = line.partition("\t")
        if tag.startswith("B-"):
            names.append(token.casefold())
        elif tag.startswith("I-"):
            names[-1] += f" {token.casefold()}"
    return set(names)


def test_remaking_gives_the_committed_files_byte_for_byte(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-B", str(DATA / "make.py"), str(tmp_path)], check=True)
    made = {path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()}
    committed = {
        path.relative_to(DATA)
        for folder in DATA.iterdir()
        if folder.is_dir() and folder.name != "__pycache__"
        for path in folder.rglob("*")
        # AllenNLP locks the vocabularies that it reads
        if path.is_file() and path.name != ".lock"
    }
    assert made == committed
    for path in sorted(made):
        assert (tmp_path / path).read_bytes() == (DATA / path).read_bytes(), path


def test_no_name_is_in_two_splits() -> None:
    train, development, test = map(read_names, SPLITS)
    assert train and development and test
    assert not (train & development or train & test or development & test)


def test_no_line_is_in_two_splits() -> None:
    for name in ("sentiment/{}.txt", "parallel/{}.tsv", "lm/{}.txt", "lm_zh/{}.txt"):
        lines = [
            line
            for split in SPLITS
            for line in (DATA / name.format(split)).read_text(encoding="utf-8").splitlines()
        ]
        assert len(set(lines)) == len(lines), name
