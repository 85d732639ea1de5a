"""Tests of corpus.py."""

import gzip
import lzma
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path

import pytest

import elmo_components.pretraining.corpus
from elmo_components.pretraining.corpus import (
    epoch_lines,
    find_shards,
    pack_streams,
    read_lines,
    write_shards,
)


def make_shards(folder: Path, number: int = 5, lines: int = 7) -> list[Path]:
    """Writes shards of all kinds, whose sentence i of shard s is "s-i", and returns them."""
    for shard in range(number):
        text = "".join(f"{shard}-{line} x\n" for line in range(lines)).encode()
        suffix, compress = [("", bytes), (".gz", gzip.compress), (".xz", lzma.compress)][shard % 3]
        (folder / f"{shard}.txt{suffix}").write_bytes(compress(text))
    return find_shards(folder)


def test_shards_are_found_by_file_folder_pattern_and_list_each_once(tmp_path: Path) -> None:
    shards = make_shards(tmp_path, 4)
    (tmp_path / "deeper").mkdir()
    (tmp_path / ".hidden.zip").touch()
    assert [path.name for path in shards] == ["0.txt", "1.txt.gz", "2.txt.xz", "3.txt"]
    assert find_shards(str(tmp_path / "1.txt.gz")) == [shards[1]]
    assert find_shards(str(tmp_path / "*.txt")) == [shards[0], shards[3]]
    assert (
        find_shards([shards[3], tmp_path / "*.gz", tmp_path / "deeper" / ".." / "3.txt"])[0]
        == shards[1]
    )
    assert len(find_shards([shards[3], tmp_path, tmp_path / "*.gz"])) == 4
    assert find_shards(str(tmp_path.parent / "*" / "0.txt"))[0].name == "0.txt"
    # a folder without files of its own is among the matches
    assert len(find_shards(str(tmp_path / "**"))) == 4


def test_a_name_with_the_characters_of_a_pattern_is_found(tmp_path: Path) -> None:
    (tmp_path / "a[1].txt").touch()
    assert find_shards(tmp_path / "a[1].txt") == [tmp_path / "a[1].txt"]


def test_a_corpus_that_is_not_there_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"folder .*empty"):
        (tmp_path / "empty").mkdir()
        find_shards(tmp_path / "empty")
    with pytest.raises(FileNotFoundError, match=r"nothing\*\.gz"):
        find_shards([*make_shards(tmp_path), tmp_path / "nothing*.gz"])
    with pytest.raises(ValueError, match="found none"):
        find_shards([])


def test_files_with_other_suffixes_are_an_error_that_names_them(tmp_path: Path) -> None:
    make_shards(tmp_path)
    (tmp_path / "6.txt.zst").touch()
    for corpus in (tmp_path, tmp_path / "*"):
        with pytest.raises(ValueError, match=r"one of \.txt, \.gz, \.xz; found [^,]*6\.txt\.zst"):
            find_shards(corpus)


def test_lines_end_at_line_feeds_only_and_blank_ones_are_passed_over(tmp_path: Path) -> None:
    text = "\ufeff\n \t\nOne\x85still one\u2028and\rstill \r\n\nTwo 10\u00a0000\n\u00a0\nthree"
    (tmp_path / "a.txt").write_bytes(text.encode())
    assert list(read_lines(tmp_path / "a.txt")) == [
        "One\x85still one\u2028and\rstill",
        "Two 10\u00a0000",
        "three",
    ]


@pytest.mark.parametrize("suffix", [".gz", ".xz"])
def test_damage_within_a_compressed_file_is_an_error_that_names_it(
    tmp_path: Path, suffix: str
) -> None:
    data = bytearray({".gz": gzip.compress, ".xz": lzma.compress}[suffix](b"line\n" * 1000))
    data[len(data) // 2] ^= 255
    (tmp_path / f"a{suffix}").write_bytes(data)
    with pytest.raises(ValueError, match=rf"a\{suffix}, after line [0-9]+"):
        list(read_lines(tmp_path / f"a{suffix}"))
    (tmp_path / f"a{suffix}").write_bytes(b"not compressed\n")
    with pytest.raises(ValueError, match=rf"a\{suffix}, after line 0"):
        list(read_lines(tmp_path / f"a{suffix}"))


def test_other_encodings_are_an_error_that_names_the_line(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("Eins\n\nfünf\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"a\.txt, line 3: must be UTF-8"):
        list(read_lines(tmp_path / "a.txt"))


def test_without_a_seed_an_epoch_is_the_corpus_as_it_stands(tmp_path: Path) -> None:
    shards = make_shards(tmp_path)
    expected = [f"{shard}-{line} x" for shard in range(5) for line in range(7)]
    assert list(epoch_lines(shards, epoch=0)) == expected
    assert list(epoch_lines(shards, epoch=3)) == expected
    # two shards an epoch: 0 1, 2 3, 4 0
    assert list(epoch_lines(shards, epoch=2, shards_per_epoch=2)) == expected[28:] + expected[:7]


@pytest.mark.parametrize("buffer_size", [1, 4, 35, 1000])
def test_a_shuffled_epoch_has_every_sentence_once_and_depends_on_seed_and_number_alone(
    tmp_path: Path, buffer_size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(elmo_components.pretraining.corpus, "DRAWS", 3)
    shards = make_shards(tmp_path)

    def epoch(number: int, seed: int = 1) -> list[str]:
        return list(epoch_lines(shards, epoch=number, shuffle_seed=seed, buffer_size=buffer_size))

    orders = [epoch(number) for number in range(4)] + [epoch(0, seed=2)]
    assert all(sorted(order) == sorted(orders[0]) for order in orders)
    assert len(set(orders[0])) == 35 and len(set(map(tuple, orders))) == 5
    assert epoch(3) == orders[3]
    if buffer_size < 35:
        # shard by shard but for the buffer: nothing comes earlier than the buffer lets it
        first = [int(line.split("-")[0]) for line in orders[0][:7]]
        assert len(set(first)) <= 1 + (buffer_size + 6) // 7


def test_epochs_of_a_few_shards_lose_none_and_go_over_into_the_next_pass(tmp_path: Path) -> None:
    shards = make_shards(tmp_path)
    taken = []
    for epoch in range(10):
        lines = epoch_lines(shards, epoch=epoch, shuffle_seed=9, buffer_size=1, shards_per_epoch=3)
        order = [line.split("-")[0] for line in lines]
        assert len(order) == 21
        taken += order
    # thirty shards: six passes, each a permutation of the five
    passes = [taken[start : start + 35] for start in range(0, 210, 35)]
    assert all(sorted(one) == sorted("01234" * 7) for one in passes)
    assert len({tuple(one) for one in passes}) > 1


def test_a_corpus_without_a_sentence_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("\n \n")
    with pytest.raises(ValueError, match=r"a\.txt: all lines are blank"):
        list(epoch_lines(find_shards(tmp_path), epoch=0, shuffle_seed=1))


def bilm_tf_batches(
    sentences: list[list[int]], batch: int, steps: int
) -> Iterator[list[list[int]]]:
    """bilm-tf's `_get_batch` for inputs, as it stands there: what is left at the end is lost."""
    generator = iter(sentences)
    streams: list[list[int]] = [[] for _ in range(batch)]
    while True:
        rows: list[list[int]] = [[] for _ in range(batch)]
        for row in range(batch):
            while len(rows[row]) < steps:
                if not streams[row]:
                    try:
                        streams[row] = list(next(generator))
                    except StopIteration:
                        return
                how_many = min(len(streams[row]), steps - len(rows[row]))
                rows[row] += streams[row][:how_many]
                streams[row] = streams[row][how_many:]
        yield rows


@pytest.mark.parametrize(("rows", "steps"), [(1, 1), (1, 4), (3, 5), (4, 100), (50, 2)])
def test_streams_are_bilm_tfs_and_go_on_to_their_ends(rows: int, steps: int) -> None:
    counter = iter(range(1000))
    sentences = [list(islice(counter, 1 + number * 7 % 12)) for number in range(25)]
    cuts = list(pack_streams(sentences, num_streams=rows, unroll_steps=steps))
    assert len(cuts) % rows == 0
    batches = [cuts[start : start + rows] for start in range(0, len(cuts), rows)]
    expected = list(bilm_tf_batches(sentences, rows, steps))
    assert batches[: len(expected)] == expected
    # every step once, no batch of nothing, and nothing follows a short cut
    assert sorted(chain(*cuts)) == sorted(chain(*sentences))
    assert all(any(batch) for batch in batches)
    for row in range(rows):
        lengths = [len(batch[row]) for batch in batches]
        assert lengths == sorted(lengths, reverse=True)
        assert sum(0 < length < steps for length in lengths) <= 1


def test_sentences_are_dealt_to_files_in_turn_once_all_are_taken(tmp_path: Path) -> None:
    paths = [tmp_path / f"{part}.txt.gz" for part in range(3)]
    sentences = [[str(number), "é"] for number in range(7)]
    written = write_shards(iter(sentences), paths)
    assert list(islice(written, 6)) == sentences[:6]
    assert not any(path.exists() for path in paths)
    assert list(written) == sentences[6:]
    texts = [gzip.decompress(path.read_bytes()).decode() for path in paths]
    assert texts == ["0 é\n3 é\n6 é\n", "1 é\n4 é\n", "2 é\n5 é\n"]
    assert len(list(tmp_path.iterdir())) == 3


def test_a_failure_while_dealing_leaves_no_file(tmp_path: Path) -> None:
    def failing() -> Iterator[list[str]]:
        yield ["fine"]
        raise ValueError("damaged")

    with pytest.raises(ValueError, match="damaged"):
        list(write_shards(failing(), [tmp_path / "a.txt.gz"]))
    assert list(tmp_path.iterdir()) == []
