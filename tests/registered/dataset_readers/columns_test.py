"""Tests of the reader of columns."""

import gzip
from pathlib import Path

import pytest
from allennlp.common import Params
from allennlp.common.checks import ConfigurationError
from allennlp.data import DatasetReader, Token

import elmo_components.registered  # noqa: F401


def make(**settings: object) -> DatasetReader:
    return DatasetReader.from_params(Params({"type": "elmo_columns", **settings}))


def read(path: Path, **settings: object) -> list[tuple[list[str], list[str]]]:
    return [
        ([token.text for token in instance["tokens"]], list(instance["tags"].labels))
        for instance in make(**settings).read(str(path))
    ]


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_columns_are_read_as_published_files_have_them(tmp_path: Path) -> None:
    # blank lines that hold a tab, several between sentences, a token that looks like a comment,
    # two tags for one token, no line end at the end
    text = "\n#tag\tO\n,\tO\n\t\n\n\nNew\tB-location,B-group\nYork\tI-location"
    assert read(write(tmp_path / "a.conll", text), separator="\t", tag_separator=",") == [
        (["#tag", ","], ["O", "O"]),
        (["New", "York"], ["B-location", "I-location"]),
    ]


def test_conllu_is_read_by_skipping_what_is_no_token(tmp_path: Path) -> None:
    text = (
        "# text = don't #1\n1-2\tdon't\t_\t_\n1\tdo\tdo\tAUX\n2\tn't\tnot\tPART\n"
        "2.1\tgone\tgo\tVERB\n3\t#\t#\tSYM\n4\t1\t1\tNUM\n\n"
    )
    found = read(
        write(tmp_path / "a.conllu", text),
        separator="\t",
        token_column=1,
        tag_column=3,
        skip=r"#|\d+[-.]",
    )
    assert found == [(["do", "n't", "#", "1"], ["AUX", "PART", "SYM", "NUM"])]


def test_metadata_holds_the_words_and_files_may_be_compressed(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "a.conll.gz", "wt", encoding="utf-8") as file:
        file.write("Ångström NNP I-NP B-per\n")
    (instance,) = make().read(str(tmp_path / "a.conll.gz"))
    assert instance["metadata"].metadata == {"words": ["Ångström"]}
    assert instance["tags"].labels == ["B-per"]


def test_a_suffix_of_tokens_is_taken_off(tmp_path: Path) -> None:
    # a digit may be a character too, and a place may have two digits
    path = write(tmp_path / "a.conll", "医0\tO\n生1\tO\n10\tO\n:10\tO\n")
    ((tokens, _),) = read(path, separator="\t", token_suffix="(?<=.)\\d+")
    assert tokens == ["医", "生", "1", ":"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a.conll has no sentence"),
        ("\n\t\n  \n", "a.conll has no sentence"),
        ("a O\nb\n", r"line 2: found 1 columns and in the first row 2: \['b'\]"),
        ("a X O\n\nb c X O\n", "line 3: found 4 columns and in the first row 3"),
        ("a\n", "line 1: a row must have a token and a tag"),
        ("a\tO\n\tO\n", "line 2: a row must have a token and a tag"),
    ],
)
def test_files_without_what_must_be_there_are_errors(
    tmp_path: Path, text: str, message: str
) -> None:
    separator = "\t" if "\tO" in text else None
    with pytest.raises(ConfigurationError, match=message):
        read(write(tmp_path / "a.conll", text), separator=separator)


def test_columns_are_separated_by_spaces_and_tabs_alone(tmp_path: Path) -> None:
    text = "10\u00a0000 CD \tX B-N\r\n\u3000\tSP X O \n"
    assert read(write(tmp_path / "a.conll", text)) == [(["10\u00a0000", "\u3000"], ["B-N", "O"])]


def test_a_missing_column_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigurationError, match="there must be columns 0 and 3, counted from 0; found"
    ):
        read(write(tmp_path / "a.conll", "a O\n"), tag_column=3)


@pytest.mark.parametrize("tag", ["NOUN", "", "X-per", "L-per", "BI-per"])
def test_a_tag_of_another_encoding_is_an_error(tmp_path: Path, tag: str) -> None:
    path = write(tmp_path / "a.conll", f"a\tB-per\nb\tI-per\nc\tO\nd\t{tag},O\n")
    with pytest.raises(ConfigurationError, match=f"line 4: '{tag}' is not a tag of the encoding"):
        read(path, separator="\t", tag_separator=",", label_encoding="BIO")
    ((_, tags),) = read(path, separator="\t", tag_separator=",")
    assert tags[-1] == tag


@pytest.mark.parametrize("beginning", ["", "z\tB-per\n\n"])
def test_spans_that_begin_with_i_are_another_encoding(tmp_path: Path, beginning: str) -> None:
    text = beginning + "a\tI-per\nb\tI-per\nc\tI-loc\n\nd\tI-loc\n"
    path = write(tmp_path / "a.conll", text)
    number = int(bool(beginning))
    message = rf"begin with I- \(3\) than with B- \({number}\), so the encoding is IOB1. Set label_"
    with pytest.raises(ConfigurationError, match=message):
        read(path, separator="\t", label_encoding="BIO")
    sentences = read(path, separator="\t", label_encoding="IOB1")
    assert sentences[-1] == (["d"], ["I-loc"])
    # as many right as wrong
    right = write(tmp_path / "b.conll", text + "\ne\tB-loc\nf\tI-loc\n" * 3)
    assert read(right, separator="\t", label_encoding="BIO")


def test_conll_2002_is_read_as_published(tmp_path: Path) -> None:
    # Dutch: Latin-1, token, part of speech and tag; -DOCSTART- has a row of its own
    text = "-DOCSTART- -DOCSTART- O\nReneé N B-PER\nJan N B-PER\nBos N I-PER\n"
    path = tmp_path / "ned.train"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(
        ConfigurationError, match=r"ned.train, line 2: the text is not utf-8 \(byte 0xe9\). Set enc"
    ):
        read(path)
    expected = [(["Reneé", "Jan", "Bos"], ["U-PER", "B-PER", "L-PER"])]
    assert read(path, encoding="latin-1", convert_to_coding_scheme="BIOUL") == expected


# One sentence in each encoding, as published descriptions of them have it.
ENCODED = {
    "IOB1": ["I-a", "I-a", "B-a", "O", "I-b", "I-a"],
    "BIO": ["B-a", "I-a", "B-a", "O", "B-b", "B-a"],
    "BIOUL": ["B-a", "L-a", "U-a", "O", "U-b", "U-a"],
    "BMES": ["B-a", "E-a", "S-a", "O", "S-b", "S-a"],
}


@pytest.mark.parametrize("given", ENCODED)
@pytest.mark.parametrize("wanted", ENCODED)
def test_encodings_of_spans_are_converted(tmp_path: Path, given: str, wanted: str) -> None:
    lines = "".join(f"w\t{tag}\n" for tag in ENCODED[given])
    ((_, tags),) = read(write(tmp_path / "a.conll", lines), convert_to_coding_scheme=wanted)
    assert tags == ENCODED[wanted]


def test_tags_that_encode_no_spans_are_not_converted(tmp_path: Path) -> None:
    path = write(tmp_path / "a.conll", "Dogs NOUN\n")
    with pytest.raises(ConfigurationError, match="line 1: 'NOUN' is not a tag of the encoding any"):
        read(path, convert_to_coding_scheme="BIOUL")


def test_text_words_and_tokens_make_the_same_instance() -> None:
    reader = make(tokenizer={"type": "spacy_blank", "language": "zh"}, label_namespace="my_tags")
    for text in ("我 在", ["我", "在"], [Token("我"), Token("在")]):
        instance = reader.text_to_instance(text, ["O", "B-a"])
        assert instance["metadata"].metadata["words"] == ["我", "在"]
        instance["tags"].count_vocab_items(counter := {"my_tags": {"O": 0, "B-a": 0}})
        assert counter == {"my_tags": {"O": 1, "B-a": 1}}
    assert len(make().text_to_instance("don't")["tokens"]) == 2


def test_a_mark_of_byte_order_is_no_token(tmp_path: Path) -> None:
    path = write(tmp_path / "a.conll", "\ufeffa\tO\n")
    assert read(path) == read(path, encoding="utf-8-sig") == [(["a"], ["O"])]


def test_an_unknown_encoding_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match="must be one of BIO, IOB1, BIOUL, BMES, or null"):
        make(label_encoding="IOB2")
