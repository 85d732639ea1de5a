"""Tests of registered/training/progress.py."""

from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from allennlp.training.callbacks import TrainerCallback
from allennlp.training.gradient_descent_trainer import GradientDescentTrainer

from elmo_components.registered.training import progress
from tests.registered.training.recorded import SENTENCES, configuration, sentences, train


def test_tokens_per_second_reach_the_progress_bar_and_tensorboard(data: Path) -> None:
    from tensorboardX.proto.event_pb2 import Event

    shown = []

    @TrainerCallback.register("shown", exist_ok=True)
    class Shown(TrainerCallback):
        def on_batch(self, trainer: GradientDescentTrainer, *args: Any, **kwargs: Any) -> None:
            if kwargs["is_training"]:
                shown.append(args[2].get("tokens_per_second"))

    clock = iter(range(0, 10_000, 10))
    settings = configuration(data)
    settings["dataset_reader"]["shuffle_seed"] = None
    settings["trainer"].update(num_epochs=1, learning_rate_scheduler=None)
    settings["trainer"]["callbacks"] = [
        "elmo_progress",
        "shown",
        {"type": "tensorboard", "summary_interval": 1, "should_log_learning_rate": True},
    ]
    settings["data_loader"] = {"batch_size": SENTENCES}
    with mock.patch.object(progress.time, "perf_counter", lambda: next(clock)):
        train(settings, data / "run")
    # a step for each word, and one for the sentence's end
    tokens = [
        sum(len(line.split()) + 1 for line in sentences(shard, SENTENCES)) for shard in range(3)
    ]
    assert shown == [None, tokens[1] / 10, (tokens[1] + tokens[2]) / 20]
    (log,) = (data / "run" / "log" / "train").iterdir()
    # each event stands between its length, 8 bytes and a checksum of 4, and another checksum
    content, logged = log.read_bytes(), []
    while content:
        length = int.from_bytes(content[:8], "little")
        event = Event.FromString(content[12 : 12 + length])
        content = content[16 + length :]
        logged += [
            value.simple_value
            for value in event.summary.value
            if value.tag == "train/batch_tokens_per_second"
        ]
    assert logged == pytest.approx(shown[1:])


@pytest.mark.parametrize("steps, warned", [(4, 1), (6, 0)])
def test_a_learning_rate_that_falls_to_0_too_early_is_logged_once(
    data: Path, steps: int, warned: int
) -> None:
    settings = configuration(data, trainer={"num_epochs": 1, "callbacks": ["elmo_progress"]})
    settings["data_loader"] = {"batch_size": 12}
    settings["dataset_reader"]["shuffle_seed"] = None
    schedule = {"type": "linear_with_warmup", "warmup_steps": 2, "num_steps_per_epoch": steps}
    settings["trainer"]["learning_rate_scheduler"] = schedule
    train(settings, data / "run")
    assert (data / "run" / "out.log").read_text().count("The learning rate is 0 from") == warned
