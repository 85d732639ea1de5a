"""Tests of vocabulary.py."""

import gzip
import lzma
from pathlib import Path

import pytest
from allennlp.common import Params
from allennlp.data import Vocabulary

from elmo_components.commands import vocabulary
from elmo_components.commands.vocabulary import count_vocabulary
from tests.commands.running import run

TEXT = ["The cat, the <UNK> </S>.\n\n", "the cat 10\u00a0000 caf\u00e9s\x85the\n"]
SPECIAL = ["</S>", "<S>", "<UNK>"]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    folder.mkdir()
    (folder / "a.txt").write_bytes(TEXT[0].encode())
    (folder / "b.txt.xz").write_bytes(lzma.compress(TEXT[1].encode()))
    return folder


def command(*arguments: object) -> None:
    run(vocabulary, *arguments)


def read_words(folder: Path) -> list[str]:
    return (folder / "vocab.txt").read_bytes().decode().split("\n")[:-1]


def test_the_vocabulary_is_bilm_tfs_file_and_what_allennlp_reads(
    corpus: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    output = tmp_path / "new" / "vocabulary"
    command(corpus / "a.txt", corpus / "*.xz", "--output", output)
    words = [*SPECIAL, "the", "000", "10", "</S>.", "The", "cat", "cafés", "cat,"]
    assert read_words(output) == [*SPECIAL, "the", *sorted(words[4:])]
    assert sorted(path.name for path in output.iterdir()) == [
        "non_padded_namespaces.txt",
        "vocab.txt",
    ]
    assert "2 files, 2 sentences, 11 tokens, 9 types" in (printed := capsys.readouterr().out)
    assert "11 words in" in printed and "9.09% of the tokens are unknown" in printed

    settings = {"type": "from_files", "directory": str(output), "oov_token": "<UNK>"}
    read = Vocabulary.from_params(Params(settings))
    read.save_to_files(str(tmp_path / "archive"))
    again = Vocabulary.from_files(tmp_path / "archive", oov_token="<UNK>")
    for vocab in (read, again):
        assert [vocab.get_token_from_index(number, "vocab") for number in range(11)] == read_words(
            output
        )
        assert vocab.get_vocab_size("vocab") == 11
        assert vocab.get_token_index("never seen", "vocab") == 2


def test_size_and_count_limit_the_vocabulary(corpus: Path, tmp_path: Path) -> None:
    command(corpus, "--output", tmp_path / "a", "--min-count", 2)
    assert read_words(tmp_path / "a") == [*SPECIAL, "the"]
    command(corpus, "--output", tmp_path / "b", "--size", 5)
    assert read_words(tmp_path / "b") == [*SPECIAL, "the", "000"]
    with pytest.raises(ValueError, match="room for"):
        command(corpus, "--output", tmp_path / "c", "--size", 2)
    assert not (tmp_path / "c").exists()


def test_nothing_is_replaced_without_force(corpus: Path, tmp_path: Path) -> None:
    output, tokenized = tmp_path / "vocabulary", tmp_path / "tokenised"
    arguments = (corpus, "--output", output, "--tokenized", tokenized)
    command(*arguments)
    (output / "vocab.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"has .*vocab\.txt\. Use --force to replace"):
        command(*arguments)
    with pytest.raises(ValueError, match=r"has part-0\.txt\.gz"):
        command(corpus, "--output", tmp_path / "other", "--tokenized", tokenized)
    assert (output / "vocab.txt").read_text() == "mine"
    before = (tokenized / "part-0.txt.gz").read_bytes()
    command(*arguments, "--force")
    assert len(read_words(output)) == 11 and (tokenized / "part-0.txt.gz").read_bytes() == before


def test_folders_that_would_not_read_back_are_refused(corpus: Path, tmp_path: Path) -> None:
    # a file beside the vocabulary would be a namespace; beside the shards, a shard
    with pytest.raises(ValueError, match=r"may have only .*; found a\.txt"):
        count_vocabulary([str(corpus)], corpus, force=True)
    with pytest.raises(ValueError, match="must not be in the corpus's folder"):
        count_vocabulary([str(corpus)], tmp_path / "v", tokenized=corpus, force=True)
    with pytest.raises(ValueError, match="--shards must be 1 or more; found 0"):
        count_vocabulary([str(corpus)], tmp_path / "v", tokenized=tmp_path / "t", num_shards=0)
    with pytest.raises(ValueError, match="must be outside the vocabulary's folder"):
        count_vocabulary([str(corpus)], tmp_path / "v", tokenized=tmp_path / "v" / "text")


def test_the_tokenised_corpus_may_be_dealt_to_several_files(corpus: Path, tmp_path: Path) -> None:
    output, tokenized = tmp_path / "vocabulary", tmp_path / "tokenised"
    command(corpus, "--output", output, "--tokenized", tokenized, "--shards", 2)
    texts = [gzip.decompress(path.read_bytes()).decode() for path in sorted(tokenized.iterdir())]
    assert len(texts) == 2 and sum(text.count("\n") for text in texts) == 2


def test_a_damaged_shard_leaves_no_half_written_file(corpus: Path, tmp_path: Path) -> None:
    data = (corpus / "b.txt.xz").read_bytes()
    (corpus / "b.txt.xz").write_bytes(data[:-20])
    with pytest.raises(ValueError, match=r"b\.txt\.xz"):
        count_vocabulary([str(corpus)], tmp_path / "v", tokenized=tmp_path / "t")
    assert list((tmp_path / "t").iterdir()) == []
    assert list((tmp_path / "v").iterdir()) == []


def test_what_is_no_corpus_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        count_vocabulary([str(tmp_path / "nowhere")], tmp_path / "v")
    (tmp_path / "a.txt").write_text(" \n")
    with pytest.raises(ValueError, match=r"There is no word in .*a\.txt"):
        count_vocabulary([str(tmp_path / "a.txt")], tmp_path / "v")
    (tmp_path / "a.doc").touch()
    with pytest.raises(ValueError, match=r"a\.doc"):
        count_vocabulary([str(tmp_path / "a.doc")], tmp_path / "v")
    with pytest.raises(ValueError, match="must be one of just_spaces, character, spacy_blank"):
        command(tmp_path / "a.txt", "--output", tmp_path / "w", "--tokenizer", "spacy")
    assert not (tmp_path / "w").exists()


@pytest.mark.parametrize("tokenizer", ["character", '{"type": "spacy_blank", "language": "zh"}'])
def test_characters_are_counted_without_allennlp(tmp_path: Path, tokenizer: str) -> None:
    if "spacy" in tokenizer:
        pytest.importorskip("spacy")
    text, output = tmp_path / "a.txt", tmp_path / "vocabulary"
    text.write_text("中国 人\n中\n", encoding="utf-8")
    command(text, "--output", output, "--tokenizer", tokenizer, "--tokenized", tmp_path / "b")
    assert read_words(output) == ["</S>", "<S>", "<UNK>", "中", "人", "国"]


def test_an_alphabet_is_learned_on_request(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, output = tmp_path / "a.txt", tmp_path / "vocabulary"
    text.write_text("中国人 abc\n人\u3000国\n中国🙂\n", encoding="utf-8")
    arguments = (text, "--output", output)
    command(*arguments, "--alphabet", 3, "--min-character-count", 2)
    assert (output / "alphabet.txt").read_bytes().decode() == "国\n中\n人\n"
    printed = capsys.readouterr().out
    assert "3 characters in" in printed and "n_characters is 265" in printed
    # 🙂, 1 of 11
    assert "9.09% of the characters are spelt in bytes" in printed
    vocab = Vocabulary.from_files(output, oov_token="<UNK>")
    assert vocab.get_vocab_size("vocab") == len(read_words(output))

    command(*arguments, "--alphabet", 9, "--force")
    assert (output / "alphabet.txt").read_bytes().decode() == "国\n中\n人\n🙂\n"
    command(*arguments, "--force")
    assert not (output / "alphabet.txt").exists()
    assert (output / "non_padded_namespaces.txt").read_text() == "vocab\n"


def test_numbers_of_an_alphabet_that_cannot_be_are_refused(corpus: Path, tmp_path: Path) -> None:
    for size in (0, 40_000):
        with pytest.raises(ValueError, match="must be from 1 to 32505"):
            count_vocabulary([str(corpus)], tmp_path / "v", alphabet_size=size)
    with pytest.raises(ValueError, match="needs --alphabet"):
        count_vocabulary([str(corpus)], tmp_path / "v", min_character_count=2)
    assert not (tmp_path / "v").exists()
