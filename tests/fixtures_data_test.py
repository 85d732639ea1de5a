"""Tests of the data sets in `fixtures/data/`: that they can be remade, and keep their promises."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import conllu
import pytest
from nltk.tree import Tree

DATA = Path(__file__).parent.parent / "fixtures" / "data"
SPLITS = ["train", "dev", "test"]
ENTITY_TYPES = {"person", "location", "organization", "product"}


def read_ner(split: str) -> list[list[tuple[str, str]]]:
    """The sentences of a split, each as its (token, tag) pairs."""
    blocks = (
        (DATA / "ner" / f"{split}.conll").read_text(encoding="utf-8").rstrip("\n").split("\n\n")
    )
    sentences = []
    for block in blocks:
        pairs = []
        for line in block.split("\n"):
            token, tag = line.split("\t")
            pairs.append((token, tag))
        sentences.append(pairs)
    return sentences


def read_names(split: str) -> list[tuple[str, str]]:
    """The (name, type) of each entity of a split, the name case-folded."""
    names: list[tuple[str, str]] = []
    for sentence in read_ner(split):
        for token, tag in sentence:
            if tag.startswith("B-"):
                names.append((token.casefold(), tag[2:]))
            elif tag.startswith("I-"):
                name, entity_type = names[-1]
                names[-1] = (f"{name} {token.casefold()}", entity_type)
    return names


def read_pos(split: str) -> list[conllu.TokenList]:
    """The sentences of a split as the library `conllu` reads them."""
    return conllu.parse((DATA / "pos" / f"{split}.conllu").read_text(encoding="utf-8"))


def read_lines(name: str) -> list[str]:
    """The lines of a file in the folder."""
    return (DATA / name).read_text(encoding="utf-8").splitlines()


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


@pytest.mark.parametrize(("split", "size"), [("train", 420), ("dev", 90), ("test", 90)])
def test_ner_has_the_stated_number_of_sentences_some_without_names(split: str, size: int) -> None:
    sentences = read_ner(split)
    without_names = [pairs for pairs in sentences if all(tag == "O" for _, tag in pairs)]
    assert len(sentences) == size
    assert 0.15 <= len(without_names) / size <= 0.20


@pytest.mark.parametrize("split", SPLITS)
def test_ner_tags_are_valid_iob2_over_the_four_types(split: str) -> None:
    found = set()
    for sentence in read_ner(split):
        previous = "O"
        for token, tag in sentence:
            assert token and not any(character.isspace() for character in token)
            if tag.startswith("I-"):
                assert previous in (f"B-{tag[2:]}", tag), sentence
            if tag != "O":
                assert tag[:2] in ("B-", "I-")
                found.add(tag[2:])
            previous = tag
    assert found == ENTITY_TYPES


def test_each_ner_name_is_held_by_one_split_and_has_one_type() -> None:
    names = {split: read_names(split) for split in SPLITS}
    holders = Counter(name for split in SPLITS for name in {name for name, _ in names[split]})
    assert [name for name, splits in holders.items() if splits > 1] == []
    types = Counter(name for name, _ in {pair for split in SPLITS for pair in names[split]})
    assert [name for name, count in types.items() if count > 1] == []


@pytest.mark.parametrize(("split", "size"), [("train", 120), ("dev", 30), ("test", 30)])
def test_pos_sentences_are_valid_conllu_trees_of_their_text(split: str, size: int) -> None:
    sentences = read_pos(split)
    assert [sentence.metadata["sent_id"] for sentence in sentences] == [
        f"{split}-{number}" for number in range(1, size + 1)
    ]
    for sentence in sentences:
        # An id is a number for a word, and a tuple for a multiword token or an empty node.
        words = [token for token in sentence if isinstance(token["id"], int)]
        assert [word["id"] for word in words] == list(range(1, len(words) + 1))
        (root,) = [word for word in words if word["head"] == 0]
        assert root["deprel"] == "root"
        assert {word["head"] for word in words} == {0, root["id"]}
        assert written_text(sentence) == sentence.metadata["text"]


def written_text(sentence: conllu.TokenList) -> str:
    """The text that the surface tokens of a sentence stand for."""
    text = ""
    last_in_range = 0
    for token in sentence:
        if isinstance(token["id"], tuple):
            if token["id"][1] == ".":
                continue
            last_in_range = token["id"][2]
        elif token["id"] <= last_in_range:
            continue
        closed_up = (token["misc"] or {}).get("SpaceAfter") == "No"
        text += token["form"] + ("" if closed_up else " ")
    return text.rstrip()


@pytest.mark.parametrize("split", SPLITS)
def test_pos_lines_have_ten_columns(split: str) -> None:
    lines = read_lines(f"pos/{split}.conllu")
    assert {line.count("\t") for line in lines if line and not line.startswith("# ")} == {9}


def test_pos_has_ranges_empty_nodes_and_the_token_hash() -> None:
    for split in SPLITS:
        tokens = [token for sentence in read_pos(split) for token in sentence]
        kinds = Counter(token["id"][1] for token in tokens if isinstance(token["id"], tuple))
        assert kinds["-"] > 0
        assert kinds["."] > 0
        assert any(token["form"] == "#" for token in tokens)


@pytest.mark.parametrize(("split", "size"), [("train", 200), ("dev", 50), ("test", 50)])
def test_sentiment_trees_are_binary_and_their_classes_balanced(split: str, size: int) -> None:
    trees = [Tree.fromstring(line) for line in read_lines(f"sentiment/{split}.txt")]
    assert Counter(tree.label() for tree in trees) == {label: size // 5 for label in "01234"}
    for tree in trees:
        for node in tree.subtrees():
            assert node.label() in set("01234")
            assert len(node) == (1 if isinstance(node[0], str) else 2)


@pytest.mark.parametrize(("split", "size"), [("train", 144), ("dev", 36), ("test", 36)])
def test_questions_are_latin_1_and_their_twelve_classes_balanced(split: str, size: int) -> None:
    text = (DATA / "questions" / f"{split}.txt").read_bytes()
    labels = Counter(line.split(" ")[0] for line in text.decode("iso-8859-1").splitlines())
    assert len(labels) == 12 and set(labels.values()) == {size // 12}
    with pytest.raises(UnicodeDecodeError):
        text.decode("utf-8")


@pytest.mark.parametrize(("split", "size"), [("train", 180), ("dev", 45), ("test", 45)])
def test_remarks_have_a_header_and_balanced_classes(split: str, size: int) -> None:
    header, *lines = read_lines(f"remarks/{split}.tsv")
    assert header == "text\tlabel"
    labels = Counter(line.split("\t")[1] for line in lines)
    assert labels == dict.fromkeys(("negative", "neutral", "positive"), size // 3)


@pytest.mark.parametrize(("split", "size"), [("train", 160), ("dev", 40), ("test", 40)])
def test_word_in_context_points_at_forms_of_the_word(split: str, size: int) -> None:
    labels = read_lines(f"word_in_context/{split}.gold.txt")
    assert Counter(labels) == {"T": size // 2, "F": size // 2}
    lines = read_lines(f"word_in_context/{split}.data.txt")
    assert len(lines) == size
    for line in lines:
        word, part_of_speech, places, *sentences = line.split("\t")
        assert part_of_speech in "NV"
        for place, sentence in zip(places.split("-"), sentences):
            assert sentence.split()[int(place)][:1].casefold() == word[:1]


@pytest.mark.parametrize("split", SPLITS)
def test_german_and_chinese_tags_are_iob1_and_iob2(split: str) -> None:
    german = [line.split("\t") for line in read_lines(f"ner_de/{split}.tsv") if line]
    assert {len(row) for row in german} == {5}
    assert {row[-1] for row in german} == {"O", "I-PER", "I-LOC", "I-ORG", "I-MISC"}
    previous = "O"
    for line in read_lines(f"ner_zh/{split}.conll"):
        token, tag = line.split("\t") if line else ("-0", "O")
        assert len(token) == 2 and token[1].isdecimal()
        assert not tag.startswith("I-") or previous[2:] == tag[2:]
        previous = tag


@pytest.mark.parametrize(("split", "size"), [("train", 120), ("dev", 20), ("test", 20)])
def test_parallel_lines_are_pairs_that_end_alike(split: str, size: int) -> None:
    pairs = [line.split("\t") for line in read_lines(f"parallel/{split}.tsv")]
    assert len(pairs) == size
    for english, dutch in pairs:
        assert english[-1] in ".?"
        assert english[-1] == dutch[-1]


@pytest.mark.parametrize(("split", "size"), [("train", 200), ("dev", 40), ("test", 40)])
def test_lm_lines_are_tokenised_sentences_of_words_that_are_known(split: str, size: int) -> None:
    lines = read_lines(f"lm/{split}.txt")
    known = {word for line in read_lines("lm/train.txt") for word in line.split()}
    assert len(lines) == size
    for line in lines:
        assert line == " ".join(line.split()) and line[0].isupper() and line[-2:] in (" .", " ?")
        assert set(line.split()) <= known


@pytest.mark.parametrize(("split", "size"), [("train", 100), ("dev", 20), ("test", 20)])
def test_lm_zh_lines_are_sentences_without_spaces(split: str, size: int) -> None:
    lines = read_lines(f"lm_zh/{split}.txt")
    assert len(lines) == size
    for line in lines:
        assert not any(character.isspace() for character in line) and line[-1] in "。？"


def test_lm_zhs_alphabet_leaves_some_characters_out() -> None:
    alphabet = read_lines("lm_zh/vocabulary/alphabet.txt")
    text = {character for line in read_lines("lm_zh/train.txt") for character in line}
    assert len(alphabet) == len(set(alphabet)) == 100
    assert len(text - {*alphabet}) > 20


def test_no_item_occurs_in_two_splits() -> None:
    for name in ("sentiment/{}.txt", "parallel/{}.tsv", "lm/{}.txt", "lm_zh/{}.txt"):
        lines = [line for split in SPLITS for line in read_lines(name.format(split))]
        assert len(set(lines)) == len(lines), name
    ner = [tuple(sentence) for split in SPLITS for sentence in read_ner(split)]
    assert len(set(ner)) == len(ner)
    texts = [sentence.metadata["text"] for split in SPLITS for sentence in read_pos(split)]
    assert len(set(texts)) == len(texts)
