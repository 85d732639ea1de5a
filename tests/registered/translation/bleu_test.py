"""Tests of the metric sacrebleu against the package's own function for a whole corpus."""

import sys
from pathlib import Path

import pytest
from allennlp.common import Params
from allennlp.common.checks import ConfigurationError
from allennlp.training.metrics import Metric
from sacrebleu import corpus_bleu
from torch import distributed
from torch.multiprocessing import start_processes

import elmo_components.registered  # noqa: F401
from elmo_components.registered.translation.bleu import SacreBleu

TRANSLATIONS = [
    "The cat sits on the mat.",
    "There is a dog here, isn't there?",
    "Nothing of it is right",
    "",
    "the the the the the the the",
    "A short one.",
]
REFERENCES = [
    "The cat sat on the mat.",
    "There is a dog here, is there not?",
    "All other words, and many more than before!",
    "Something was left out.",
    "The cat is on the mat.",
    "A short one.",
]


def bleu(**settings: object) -> SacreBleu:
    metric = Metric.from_params(Params({"type": "sacrebleu", **settings}))
    assert isinstance(metric, SacreBleu)
    return metric


@pytest.mark.parametrize("batch", [1, 2, 4, 6])
def test_batches_give_the_figure_of_the_whole_corpus(batch: int) -> None:
    metric = bleu()
    for start in range(0, len(REFERENCES), batch):
        metric(TRANSLATIONS[start : start + batch], REFERENCES[start : start + batch])
        # as the trainer does after each batch
        metric.get_metric()
    expected = corpus_bleu(TRANSLATIONS, [REFERENCES]).score
    assert 5.0 < expected < 60.0
    assert metric.get_metric(reset=True) == {"BLEU": pytest.approx(expected, abs=1e-9)}
    assert metric.get_metric() == {"BLEU": 0.0}


def test_chinese_is_split_into_characters_where_that_is_asked_for() -> None:
    translations, references = ["他在家里看书。"], ["他在家看书。"]
    metric = bleu(tokenize="zh")
    metric(translations, references)
    expected = corpus_bleu(translations, [references], tokenize="zh").score
    assert metric.get_metric()["BLEU"] == pytest.approx(expected, abs=1e-9)
    assert expected > corpus_bleu(translations, [references]).score


def test_tokens_in_place_of_texts_are_refused() -> None:
    for translations, references in (([["a", "b"]], ["a b"]), (["a b"], [["a", "b"]]), ("a", "a")):
        with pytest.raises(ConfigurationError, match="lists of texts"):
            bleu()(translations, references)  # type: ignore[arg-type]


def test_a_splitting_that_sacrebleu_has_not_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match="found 'spaces'"):
        bleu(tokenize="spaces")


def test_without_the_package_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "sacrebleu.metrics", None)
    with pytest.raises(ConfigurationError, match=r"elmo_components\[translation\]"):
        bleu()


def test_processes_with_batches_of_different_sizes_have_the_figure_of_all_texts(
    tmp_path: Path,
) -> None:
    start_processes(_score_a_part, args=(str(tmp_path),), nprocs=2, start_method="fork")
    expected = corpus_bleu(TRANSLATIONS, [REFERENCES]).score
    for rank in range(2):
        assert float((tmp_path / str(rank)).read_text()) == pytest.approx(expected, abs=1e-9)


def _score_a_part(rank: int, folder: str) -> None:
    """Scores some of the texts in one of two processes."""
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2
    )
    metric = bleu()
    # batches of 1 and 4 texts in one process, of 1 and none in the other
    for first, last in ((0, 1), (2, 6)) if rank == 0 else ((1, 2), (2, 2)):
        metric(TRANSLATIONS[first:last], REFERENCES[first:last])
    Path(folder, str(rank)).write_text(repr(metric.get_metric()["BLEU"]))
    distributed.destroy_process_group()
