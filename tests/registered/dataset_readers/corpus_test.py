"""Tests of registered/corpus_reader.py."""

import gzip
import lzma
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import torch
from allennlp.common import Params
from allennlp.common.checks import ConfigurationError
from allennlp.data import DatasetReader, Instance, Token, Vocabulary
from allennlp.data.data_loaders import MultiProcessDataLoader
from allennlp.data.dataset_readers.dataset_reader import DistributedInfo

from elmo_components.characters import CharacterMapper
from elmo_components.registered.dataset_readers.corpus import CorpusReader

FIELDS = ("inputs", "targets", "backward_inputs", "backward_targets")
# of different lengths, so that streams run out at different times
SENTENCES = [[f"w{number}-{place}" for place in range(1 + number * 5 % 11)] for number in range(60)]


def make(**settings: object) -> CorpusReader:
    reader = DatasetReader.from_params(Params({"type": "elmo_corpus", **settings}))
    assert isinstance(reader, CorpusReader)
    return reader


@pytest.fixture
def corpus(tmp_path: Path) -> str:
    """Three shards of one kind each, which together hold SENTENCES."""
    texts = [
        "".join(f"{' '.join(words)}\n\n" for words in SENTENCES[start : start + 20]).encode()
        for start in range(0, 60, 20)
    ]
    (tmp_path / "0.txt").write_bytes(texts[0])
    (tmp_path / "1.txt.gz").write_bytes(gzip.compress(texts[1]))
    (tmp_path / "2.txt.xz").write_bytes(lzma.compress(texts[2]))
    return str(tmp_path)


@pytest.fixture(scope="module")
def vocab() -> Vocabulary:
    words = ["</S>", "<S>", "<UNK>", *(word for words in SENTENCES for word in words)]
    found = Vocabulary(non_padded_namespaces=["vocab"], oov_token="<UNK>")
    for word in words:
        found.add_token_to_namespace(word, "vocab")
    return found


def texts(instance: Instance) -> dict[str, list[str]]:
    return {name: [token.text for token in instance[name]] for name in FIELDS}


def words_of(instance: Instance) -> list[str]:
    return texts(instance)["inputs"][1:]


def read(reader: CorpusReader, corpus: str) -> list[list[str]]:
    return [words_of(instance) for instance in reader.read(corpus)]


def loader(
    reader: CorpusReader, corpus: str, vocab: Vocabulary, **settings: Any
) -> MultiProcessDataLoader:
    settings = {"batch_size": 8, "max_instances_in_memory": 16, "quiet": True, **settings}
    found = MultiProcessDataLoader(reader, corpus, **settings)
    found.index_with(vocab)
    return found


def loaded(batches: MultiProcessDataLoader, vocab: Vocabulary) -> list[list[str]]:
    """Returns the sentences of an epoch, by their targets' ids, in the order of the batches."""
    sentences = []
    for batch in batches:
        mask = batch["inputs"]["elmo"]["elmo_tokens"][..., 0] > 0
        for ids, length in zip(batch["targets"]["words"]["tokens"], mask.sum(-1)):
            words = [vocab.get_token_from_index(int(number), "vocab") for number in ids[:length]]
            assert words.pop() == "</S>"
            sentences.append(words)
    return sentences


def test_a_sentence_is_inputs_and_targets_both_ways_as_bilm_tf_has_them() -> None:
    expected = {
        "inputs": ["<S>", "a", "b", "c"],
        "targets": ["a", "b", "c", "</S>"],
        "backward_inputs": ["</S>", "c", "b", "a"],
        "backward_targets": ["c", "b", "a", "<S>"],
    }
    reader = make()
    for sentence in (" a  b\tc\n", ["a", "b", "c"], [Token("a"), Token("b"), Token("c")]):
        instance = reader.text_to_instance(sentence)
        assert texts(instance) == expected and set(instance.fields) == set(expected)
    assert texts(make(tokenizer="character").text_to_instance("abc")) == expected
    assert texts(make(packing="streams", num_streams=1, unroll_steps=2).text_to_instance("a b c"))


def test_a_batch_holds_character_ids_of_inputs_and_word_ids_of_targets(
    tmp_path: Path, vocab: Vocabulary
) -> None:
    (tmp_path / "a.txt").write_text("w1-0 unheard w1-1\nw1-2\n")
    (batch,) = loader(make(), str(tmp_path), vocab)
    mapper = CharacterMapper()
    forward = [["<S>", "w1-0", "unheard", "w1-1"], ["<S>", "w1-2"]]
    backward = [["</S>", "w1-1", "unheard", "w1-0"], ["</S>", "w1-2"]]
    torch.testing.assert_close(
        batch["inputs"], {"elmo": {"elmo_tokens": mapper.batch_ids(forward)}}
    )
    torch.testing.assert_close(
        batch["backward_inputs"], {"elmo": {"elmo_tokens": mapper.batch_ids(backward)}}
    )
    # the ids are lines of the vocabulary: 0 </S>, 1 <S>, 2 <UNK>, 3 w0-0, 4 w1-0, 5 w1-1, ...
    assert batch["targets"]["words"]["tokens"].tolist() == [[4, 2, 5, 0], [6, 0, 0, 0]]
    assert batch["backward_targets"]["words"]["tokens"].tolist() == [[5, 2, 4, 1], [6, 1, 0, 0]]


def test_a_teacher_reads_the_words_without_sentence_marks(
    tmp_path: Path, vocab: Vocabulary
) -> None:
    (tmp_path / "a.txt").write_text("w1-0 unheard w1-1\nw1-2\n")
    reader = make(teacher_indexer={"type": "single_id", "namespace": "vocab"})
    (batch,) = loader(reader, str(tmp_path), vocab)
    assert batch["teacher_inputs"]["teacher"]["tokens"].tolist() == [[4, 2, 5], [6, 0, 0]]
    assert batch["inputs"]["elmo"]["elmo_tokens"].shape[:2] == (2, 4)
    # which an archive must not need
    absent = {"type": "pretrained_transformer_mismatched", "model_name": "none"}
    predicting = make(teacher_indexer=absent)
    instance = predicting.text_to_instance("w1-0")
    predicting.apply_token_indexers(instance)
    assert "teacher_inputs" not in instance.fields


def test_indexers_and_namespace_may_be_chosen(corpus: str) -> None:
    reader = make(
        token_indexers={"ids": {"type": "single_id", "namespace": "input"}}, target_namespace="aim"
    )
    found = Vocabulary.from_instances(reader.read(corpus))
    assert found.get_vocab_size("input") == found.get_vocab_size("aim") > 300
    assert set(found.get_token_to_index_vocabulary("aim")) >= {"<S>", "</S>", "w59-0"}


def test_a_corpus_is_read_in_order_with_any_number_of_instances_in_memory(
    corpus: str, vocab: Vocabulary
) -> None:
    assert read(make(), corpus) == SENTENCES
    for settings in ({}, {"max_instances_in_memory": None}, {"batch_size": 1}):
        assert loaded(loader(make(), corpus, vocab, **settings), vocab) == SENTENCES
    assert read(make(max_instances=3), corpus) == SENTENCES[:3]
    assert read(make(tokenizer="just_spaces"), [f"{corpus}/2*", f"{corpus}/0.txt"]) == (
        SENTENCES[:20] + SENTENCES[40:]
    )


def test_long_sentences_are_cut_and_no_token_is_lost(corpus: str) -> None:
    expected = [
        words[start : start + 4] for words in SENTENCES for start in range(0, len(words), 4)
    ]
    assert read(make(max_tokens=4), corpus) == expected
    assert read(make(max_tokens=4, max_instances=7), corpus) == expected[:7]


def test_lines_of_which_a_tokenizer_leaves_nothing_are_no_sentences(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("\u200b\none\n")
    tokenizer = {"type": "just_spaces"}
    assert len(read(make(tokenizer=tokenizer), str(tmp_path))) == 2

    class Letters:
        def tokenize(self, text: str) -> list[Token]:
            return [Token(word) for word in text.split() if word.isalpha()]

    reader = CorpusReader(tokenizer=Letters())  # type: ignore[arg-type]
    assert read(reader, str(tmp_path)) == [["one"]]


def test_workers_share_each_epoch_and_all_know_its_number(corpus: str, vocab: Vocabulary) -> None:
    alone = make(shuffle_seed=3, shards_per_epoch=2)
    expected = [read(alone, corpus) for _ in range(3)]
    reader = make(shuffle_seed=3, shards_per_epoch=2)
    batches = loader(reader, corpus, vocab, num_workers=2)
    for epoch in range(3):
        assert reader.epoch == epoch
        assert sorted(loaded(batches, vocab)) == sorted(expected[epoch])
    assert reader.epoch == alone.epoch == 3


@pytest.mark.parametrize("num_workers", [0, 2])
def test_an_epoch_is_gone_to_by_its_number(
    corpus: str, vocab: Vocabulary, num_workers: int
) -> None:
    whole = make(shuffle_seed=5)
    epochs = [sorted(read(whole, corpus)[:7]) for _ in range(4)]
    resumed = make(shuffle_seed=5, max_instances=7)
    batches = loader(resumed, corpus, vocab, num_workers=num_workers)
    assert sorted(loaded(batches, vocab)) == epochs[0]
    resumed.epoch = 3
    assert sorted(loaded(batches, vocab)) == epochs[3]


def test_a_reader_that_counts_epochs_reads_one_corpus(corpus: str) -> None:
    reader = make(shuffle_seed=5)
    read(reader, corpus)
    with pytest.raises(ConfigurationError, match="validation_dataset_reader"):
        read(reader, f"{corpus}/0.txt")
    reader = make()
    assert read(reader, corpus) == SENTENCES
    assert read(reader, f"{corpus}/0.txt") == SENTENCES[:20]


def expected_streams(rows: int, steps: int) -> Iterator[list[list[tuple[str, ...]]]]:
    """bilm-tf's algorithm in plain loops, a step at a time, but for the end."""
    sentences = [
        list(zip(["<S>", *words], [*words, "</S>"], ["</S>", *words[::-1]], [*words[::-1], "<S>"]))
        for words in SENTENCES
    ]
    current: list[list[tuple[str, ...]]] = [[] for _ in range(rows)]
    while sentences or any(current):
        batch: list[list[tuple[str, ...]]] = []
        for row in range(rows):
            cut: list[tuple[str, ...]] = []
            while len(cut) < steps and (current[row] or sentences):
                if not current[row]:
                    current[row] = sentences.pop(0)
                cut.append(current[row].pop(0))
            batch.append(cut)
        yield batch


@pytest.mark.parametrize("num_workers", [0, 1])
@pytest.mark.parametrize(("rows", "steps"), [(4, 20), (70, 6)])
def test_streams_give_batches_whose_rows_go_on(
    corpus: str, vocab: Vocabulary, rows: int, steps: int, num_workers: int
) -> None:
    reader = make(packing="streams", num_streams=rows, unroll_steps=steps)
    batches = loader(
        reader,
        corpus,
        vocab,
        batch_size=rows,
        max_instances_in_memory=rows,
        num_workers=num_workers,
    )
    mapper = CharacterMapper()
    for _ in range(2):
        found = list(batches)
        expected = list(expected_streams(rows, steps))
        assert len(found) == len(expected)
        for number, (batch, cuts) in enumerate(zip(found, expected)):
            assert batch["continues"].dtype == torch.bool
            assert batch["continues"].tolist() == [number > 0] * rows
            assert batch["stream"].tolist() == list(range(rows))
            columns = [[[step[name] for step in cut] for cut in cuts] for name in range(4)]
            for name, words in zip(FIELDS, columns):
                if name.endswith("inputs"):
                    ids = batch[name]["elmo"]["elmo_tokens"]
                    assert torch.equal(ids, mapper.batch_ids(words))
                else:
                    time = max(map(len, words))
                    assert batch[name]["words"]["tokens"].tolist() == [
                        [vocab.get_token_index(word, "vocab") for word in row]
                        + [0] * (time - len(row))
                        for row in words
                    ]


def test_streams_of_shuffled_epochs_hold_every_sentence_once(corpus: str) -> None:
    reader = make(packing="streams", num_streams=4, unroll_steps=6, shuffle_seed=1, buffer_size=9)
    orders = []
    for _ in range(2):
        instances = list(reader.read(corpus))
        targets = [word for instance in instances for word in texts(instance)["targets"]]
        assert sorted(targets) == sorted(chain(["</S>"] * 60, *SENTENCES))
        orders.append(targets)
    assert orders[0] != orders[1]


def test_processes_share_the_streams_of_one(corpus: str) -> None:
    settings = {"packing": "streams", "unroll_steps": 20, "shuffle_seed": 1}

    def rows(reader: CorpusReader, rank: int, world: int, epoch: int) -> list[Any]:
        reader._set_distributed_info(DistributedInfo(world_size=world, global_rank=rank))
        reader.epoch = epoch
        return [
            (texts(instance), bool(instance["continues"].tensor))
            for instance in reader.read(corpus)
        ]

    for epoch in range(2):
        whole = rows(make(num_streams=6, **settings), 0, 1, epoch)
        parts = [rows(make(num_streams=2, **settings), rank, 3, epoch) for rank in range(3)]
        # as many batches in each process, the last ones of which are shorter or empty
        assert [len(part) for part in parts] == [len(whole) // 3] * 3
        for number in range(0, len(parts[0]), 2):
            batch = [row for part in parts for row in part[number : number + 2]]
            assert batch == whole[3 * number : 3 * number + 6]


def test_streams_refuse_several_workers(corpus: str, vocab: Vocabulary) -> None:
    reader = make(packing="streams", num_streams=2, unroll_steps=2)
    with pytest.raises(Exception, match="at most one data-loader worker"):
        list(loader(reader, corpus, vocab, num_workers=2))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"packing": "stream"}, '"sentences" or "streams"; found \'stream\''),
        ({"packing": "streams", "num_streams": 2}, "unroll_steps must be given"),
        ({"packing": "streams", "unroll_steps": 2}, "num_streams must be given"),
        ({"num_streams": 2}, 'num_streams must be given for packing "streams", and only there'),
        ({"packing": "streams", "num_streams": 0, "unroll_steps": 2}, "num_streams must be at"),
        ({"buffer_size": 0}, "buffer_size must be at least 1; found 0"),
        ({"max_tokens": 0}, "max_tokens must be"),
        ({"shards_per_epoch": -1}, "shards_per_epoch must be"),
        ({"shufle_seed": 1}, "shufle_seed"),
        (
            {"packing": "streams", "num_streams": 1, "unroll_steps": 2, "teacher_indexer": {}},
            'teacher_indexer needs whole sentences. Set packing to "sentences"',
        ),
    ],
)
def test_settings_that_do_not_go_together_are_errors(
    settings: dict[str, Any], message: str
) -> None:
    # AllenNLP's own error for a key that is not known
    with pytest.raises((ConfigurationError, TypeError), match=message):
        make(**settings)


def test_files_that_are_no_text_are_errors(tmp_path: Path) -> None:
    (tmp_path / "a.zip").touch()
    with pytest.raises(ConfigurationError, match=r"a\.zip"):
        read(make(), str(tmp_path))
    (tmp_path / "b.txt").touch()
    with pytest.raises(ValueError, match=r"b\.txt: all lines are blank"):
        read(make(), f"{tmp_path}/*.txt")
