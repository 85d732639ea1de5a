"""Tests of the reader elmo_parallel."""

import gzip
from collections import defaultdict
from pathlib import Path

import pytest
from allennlp.common import Params
from allennlp.common.checks import ConfigurationError
from allennlp.data import DatasetReader, Instance, Token, Vocabulary

import elmo_components.registered  # noqa: F401


def read(path: object, **settings: object) -> list[Instance]:
    reader = DatasetReader.from_params(Params({"type": "elmo_parallel", **settings}))
    return list(reader.read(str(path)))


def texts(instances: list[Instance]) -> list[tuple[str, str]]:
    """The source's tokens, spaced, and the target as it stood in the file."""
    return [
        (
            " ".join(token.text for token in instance["source_tokens"]),
            instance["metadata"].metadata["target"],
        )
        for instance in instances
    ]


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    path = tmp_path / "pairs.txt"
    path.write_text(
        'Run!\tRen!\tme\nI said "no".\tIk zei "nee".\tme\n\tLeeg.\tme\nWho?\tWie?\tme\n',
        encoding="utf-8",
    )
    return path


def test_a_pair_has_its_tokens_the_decoders_symbols_and_the_raw_target(pairs: Path) -> None:
    instances = read(pairs)
    assert texts(instances) == [
        ("Run !", "Ren!"),
        ('I said " no " .', 'Ik zei "nee".'),
        ("Who ?", "Wie?"),
    ]
    assert [token.text for token in instances[1]["target_tokens"]] == [
        *("@start@", "Ik", "zei", '"', "\uffednee", '\uffed"', "\uffed.", "@end@"),
    ]


def test_both_directions_are_in_one_file(pairs: Path) -> None:
    assert texts(read(pairs, source_column=1, target_column=0))[0] == ("Ren !", "Run!")


def test_parallel_files_are_read_side_by_side(tmp_path: Path) -> None:
    (tmp_path / "dev.en").write_text("One.\nTwo.\n\n", encoding="utf-8")
    (tmp_path / "dev.de").write_text("Eins.\nZwei.\nDrei.\n", encoding="utf-8")
    instances = read(tmp_path / "dev", suffixes=[".en", ".de"])
    assert texts(instances) == [("One .", "Eins."), ("Two .", "Zwei.")]
    backward = read(tmp_path / "dev", suffixes=[".en", ".de"], source_column=1, target_column=0)
    assert texts(backward) == [("Eins .", "One."), ("Zwei .", "Two.")]
    with gzip.open(tmp_path / "dev.nl.gz", "wt", encoding="utf-8") as file:
        file.write("Een.\nTwee.\n")
    with pytest.raises(ConfigurationError, match="one ends before line 3"):
        read(tmp_path / "dev", suffixes=[".en", ".nl.gz"])


def test_a_carriage_return_within_a_line_parts_no_sentences(tmp_path: Path) -> None:
    (tmp_path / "dev.en").write_bytes(b"One\rmore.\nTwo.\nThree.\n")
    (tmp_path / "dev.de").write_bytes(b"Eins mehr.\r\nZwei.\r\nDr\rei.\r\n")
    sources = [pair[0] for pair in texts(read(tmp_path / "dev", suffixes=[".en", ".de"]))]
    assert sources == ["One more .", "Two .", "Three ."]


def test_the_parts_of_a_file_share_no_sentence_and_leave_none_out(tmp_path: Path) -> None:
    path = tmp_path / "pairs.txt"
    sides = [(f"It is {number}.", f"Het is {number}.") for number in range(2000)]
    # the same but for casing and punctuation, and another translation
    sides += [(f"it is, {number}!", f"Dat is {number}!") for number in range(2000)]
    path.write_text("".join(f"{one}\t{two}\n" for one, two in sides), encoding="utf-8")
    parts = {
        part: read(f"{path}#{part}", split_column=0, source_column=1, target_column=0)
        for part in ("train", "dev", "test")
    }
    holders = defaultdict(set)
    for part, instances in parts.items():
        for instance in instances:
            text = instance["metadata"].metadata["target"]
            holders["".join(filter(str.isdigit, text))].add(part)
    assert len(holders) == 2000 and {len(parts) for parts in holders.values()} == {1}
    assert sum(map(len, parts.values())) == 4000
    for part in ("dev", "test"):
        assert 150 < len(parts[part]) < 250
    # a share is a matter of the text alone
    assert texts(read(f"{path}#dev", split_column=0)) == texts(read(f"{path}#dev", split_column=0))


def test_a_path_without_a_part_is_the_whole_file(pairs: Path) -> None:
    assert len(read(pairs, split_column=0)) == 3


@pytest.mark.parametrize(
    ("content", "path", "settings", "message"),
    [
        ("one\n", "", {}, r"line 1: there must be columns 0 and 1.*found \['one'\]"),
        ("one\ttwo\n", "", {"split_column": 2}, "columns 0 and 1 and 2"),
        ("one\ttwo\n", "#valid", {"split_column": 0}, "found 'valid'"),
        ("\n", "", {}, "columns 0 and 1"),
        (" \t \n", "", {}, "has no pair"),
        ("", "", {}, "has no pair"),
    ],
)
def test_what_is_no_file_of_pairs_is_an_error(
    content: str, path: str, settings: dict[str, object], message: str, tmp_path: Path
) -> None:
    file = tmp_path / "pairs.txt"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=message):
        read(f"{file}{path}", **settings)


def test_tokens_given_are_kept_and_nothing_need_be_known_of_the_translation() -> None:
    reader = DatasetReader.from_params(Params({"type": "elmo_parallel"}))
    instance = reader.text_to_instance([Token("don't"), Token("x.")])
    assert [token.text for token in instance["source_tokens"]] == ["don't", "x."]
    assert set(instance.fields) == {"source_tokens"}


def test_the_sides_have_vocabularies_of_their_own(fixtures: Path) -> None:
    instances = read(fixtures / "data" / "parallel" / "dev.tsv")
    vocabulary = Vocabulary.from_instances(instances)
    english, dutch = (
        vocabulary.get_token_to_index_vocabulary(name)
        for name in ("source_tokens", "target_tokens")
    )
    assert "goat" in english and "goat" not in dutch
    assert "geit" in dutch and "geit" not in english
    assert "@start@" in dutch and "@start@" not in english


def test_files_may_have_another_encoding_and_sentences_may_be_words(tmp_path: Path) -> None:
    (tmp_path / "dev.en").write_text("Eyes.\n", encoding="latin-1")
    (tmp_path / "dev.de").write_text("Äuglein.\n", encoding="latin-1")
    settings = {"suffixes": [".en", ".de"], "max_instances": 1}
    assert texts(read(tmp_path / "dev", encoding="latin-1", **settings)) == [("Eyes .", "Äuglein.")]
    with pytest.raises(ConfigurationError, match=r"dev\.de, line 1: the text is not utf-8"):
        read(tmp_path / "dev", **settings)
    reader = DatasetReader.from_params(Params({"type": "elmo_parallel"}))
    words = reader.text_to_instance(["don't", "x."])["source_tokens"]
    assert [token.text for token in words] == ["don't", "x."]
