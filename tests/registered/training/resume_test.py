"""Tests of registered/training/resume.py by trainings that are killed."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, Optional

import pytest
import torch
from allennlp.common import Params
from allennlp.common.checks import ConfigurationError
from allennlp.data import DatasetReader, Vocabulary
from allennlp.data.data_loaders import MultiProcessDataLoader
from allennlp.training.checkpointer import Checkpointer

from elmo_components.registered.training.resumable_loader import ResumableLoader
from elmo_components.registered.training.resume import ElmoResume
from tests.conftest import ROOT
from tests.registered.training.recorded import (
    SENTENCES,
    batches,
    configuration,
    metrics_of,
    openings,
    records,
    run,
    sentences,
    train,
)

STREAMS = {"type": "elmo_corpus", "packing": "streams", "num_streams": 4, "unroll_steps": 8}
TEACHER = {
    "type": "elmo",
    "pretrained_file": str(ROOT / "fixtures" / "models" / "tiny"),
    "size": 16,
    "decay_steps": 30,
}
VARIANTS: dict[str, dict[str, Any]] = {
    "sentences": {},
    "teacher": {
        "dataset_reader": {"teacher_indexer": {"type": "elmo_character_ids"}},
        "model": {"teacher": TEACHER},
    },
    # all instances are in memory, and counting the batches draws random numbers
    "in memory": {
        "dataset_reader": {"shuffle_seed": None},
        "data_loader": {"max_instances_in_memory": None},
    },
    "streams": {
        "dataset_reader": STREAMS,
        "validation_dataset_reader": {**STREAMS, "num_streams": 3},
        "data_loader": {"batch_sampler": None, "batch_size": 4, "max_instances_in_memory": 4},
        "validation_data_loader": {"batch_size": 3, "max_instances_in_memory": 3},
    },
    # epochs that end within a pass over the corpus, so that the streams go on after a validation,
    # and groups of batches of which the last one of an epoch is smaller
    "streams, parted": {
        "dataset_reader": STREAMS,
        "validation_dataset_reader": STREAMS,
        "data_loader": {
            "batch_sampler": None,
            "batch_size": 4,
            "max_instances_in_memory": 4,
            "batches_per_epoch": 11,
        },
        "validation_data_loader": {"batch_size": 4, "max_instances_in_memory": 4},
    },
}
# stands for the number of an epoch's last batch
LAST = -1


@pytest.mark.parametrize(
    "variant, accumulated, kills",
    [
        # in the first epoch, before and after its first checkpoint; when all batches of an epoch
        # are trained; when it has ended; after the checkpoint of that; later in an epoch
        ("sentences", 1, [(0, 2), (0, 5), (0, LAST), (1, None), (2, 1), (2, 5)]),
        ("teacher", 1, [(1, 5)]),
        ("in memory", 1, [(1, 5), (2, 1)]),
        ("streams", 1, [(0, 5), (1, LAST)]),
        ("streams, parted", 2, [(1, 5), (1, LAST), (2, 1)]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_resumed_training_has_the_losses_of_one_without_a_kill(
    variant: str, accumulated: int, kills: list[tuple[int, Optional[int]]], data: Path
) -> None:
    settings = configuration(data, **VARIANTS[variant])
    settings["trainer"]["num_gradient_accumulation_steps"] = accumulated
    run(settings, data / "whole")
    whole = records(data / "whole")
    expected = batches(whole)
    last = {epoch: max(batch for other, batch in expected if other == epoch) for epoch in range(3)}
    assert min(last.values()) > 5
    # a teacher's cached words are gone after a kill, and other batches of words differ in last bits
    relative = 1e-6 if variant == "teacher" else None
    for number, (epoch, batch) in enumerate(kills):
        kill = (epoch, last[epoch] if batch == LAST else batch)
        folder = data / f"killed{number}"
        run(settings, folder, kill=kill)
        before = len(records(folder))
        run(settings, folder, recover=True)
        resumed = records(folder)[before:]
        found = batches(resumed)
        # the last checkpoint is one of each third batch and of each epoch's end; the recorder kills
        # before the checkpoint of the batch itself
        start = (epoch, ((kill[1] or last[epoch] + 1) - 1) // 3 * 3 + 1)
        assert sorted(found) == sorted(place for place in expected if place >= start), kill
        for place, values in found.items():
            for name, value in expected[place].items():
                if name != "words":
                    value = pytest.approx(value, abs=1e-6, rel=relative)
                assert values[name] == value, (kill, place, name)
        for path in ("metrics_epoch_0.json", "metrics_epoch_1.json", "metrics.json"):
            assert metrics_of(folder / path) == pytest.approx(
                metrics_of(data / "whole" / path), abs=1e-6, rel=relative
            )
        if variant == "sentences":
            # three shards an epoch, none of a finished one
            assert openings(resumed) == openings(whole)[3 * epoch :]
            assert len(openings(resumed)) == 3 * (3 - epoch)


def tagger(data: Path) -> dict[str, Any]:
    """The configuration of AllenNLP's own tagger, reader and metrics, in memory and shuffled."""
    tagged = [
        " ".join(f"{word}###{tag}" for word, tag in zip(line.split(), "ABAC" * 3))
        for line in sentences(0, SENTENCES)
    ]
    (data / "tagged.txt").write_text("\n".join(tagged))
    settings = configuration(data)
    return {
        "dataset_reader": {
            "type": "sequence_tagging",
            "token_indexers": {"words": {"type": "single_id"}},
        },
        "train_data_path": str(data / "tagged.txt"),
        "validation_data_path": str(data / "tagged.txt"),
        "model": {
            "type": "simple_tagger",
            "text_field_embedder": {
                "token_embedders": {"words": {"type": "embedding", "embedding_dim": 4}}
            },
            "encoder": {
                "type": "lstm",
                "input_size": 4,
                "hidden_size": 4,
                "num_layers": 2,
                "dropout": 0.2,
            },
            "calculate_span_f1": False,
        },
        "data_loader": {"batch_size": 4, "shuffle": True},
        "trainer": {
            **settings["trainer"],
            "validation_metric": "+accuracy",
            "callbacks": ["elmo_resume", "record"],
        },
    }


def test_another_model_reader_and_loader_resume_exactly_too(data: Path) -> None:
    settings = tagger(data)
    run(settings, data / "whole")
    expected = batches(records(data / "whole"))
    run(settings, data / "killed", kill=(1, 5))
    before = len(records(data / "killed"))
    run(settings, data / "killed", recover=True)
    found = batches(records(data / "killed")[before:])
    assert min(found) == (1, 4)
    assert found == {place: expected[place] for place in expected if place >= (1, 4)}
    # the sums of the epoch's metrics include the batches before the kill
    for path in ("metrics_epoch_1.json", "metrics.json"):
        assert metrics_of(data / "killed" / path) == metrics_of(data / "whole" / path)


def test_an_epoch_that_is_left_early_is_over(data: Path) -> None:
    settings = configuration(data, dataset_reader={"shuffle_seed": None})
    reader = DatasetReader.from_params(Params(settings["dataset_reader"]))
    loader = MultiProcessDataLoader(
        reader, settings["train_data_path"], batch_size=8, max_instances_in_memory=16
    )
    loader.index_with(Vocabulary.from_files(settings["vocabulary"]["directory"], oov_token="<UNK>"))
    resumable = ResumableLoader(loader, torch.device("cpu"))
    number = len(list(resumable))
    # as AllenNLP leaves a process's batches when another has no more
    epoch = iter(resumable)
    next(epoch)
    next(epoch)
    epoch.close()
    assert resumable.place()["given"] == 0
    assert len(list(resumable)) == number > 3


def test_the_first_epochs_weights_are_the_best_after_a_resumption(data: Path) -> None:
    settings = configuration(data)
    # the worst epoch, which is the first one
    settings["trainer"]["validation_metric"] = "+perplexity"
    settings.update(evaluate_on_test=True, test_data_path=settings["validation_data_path"])
    run(settings, data / "whole")
    run(settings, data / "killed", kill=(1, 1))
    run(settings, data / "killed", recover=True)
    expected = metrics_of(data / "whole" / "metrics.json")
    assert expected["best_epoch"] == 0
    found = metrics_of(data / "killed" / "metrics.json")
    assert found == pytest.approx(expected, abs=1e-6)


def test_streams_continue_after_a_validation(data: Path) -> None:
    """Two epochs of five steps equal one of ten."""
    variant = VARIANTS["streams, parted"]
    losses = []
    for epochs, number in ((1, 10), (2, 5)):
        settings = configuration(data, **variant)
        settings["data_loader"]["batches_per_epoch"] = number
        settings["trainer"].update(num_epochs=epochs, learning_rate_scheduler=None)
        folder = data / f"epochs{epochs}"
        run(settings, folder)
        losses.append([values["batch_loss"] for values in batches(records(folder)).values()])
    assert len(losses[0]) == 10 and losses[0] == pytest.approx(losses[1], abs=1e-6)


def test_several_workers_and_another_checkpointer_are_refused(data: Path) -> None:
    settings = configuration(data, data_loader={"num_workers": 2})
    with pytest.raises(ConfigurationError, match="at most one data-loader worker"):
        train(settings, data / "run")
    settings = configuration(data, data_loader={"num_workers": 1})
    with pytest.raises(ConfigurationError, match="a worker draws other random numbers"):
        train(settings, data / "one")
    trainer: Any = SimpleNamespace(_distributed=True, _checkpointer=Checkpointer(data))
    with pytest.raises(ConfigurationError, match="needs the checkpointer elmo_checkpointer"):
        ElmoResume(str(data)).on_start(trainer)
