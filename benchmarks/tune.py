"""
ELMo trained further on the text of a task's training data, without its labels.

compare.py calls it for the kind `elmo_tuned`. The package's checkpoint has no softmax, so that over
the task's words starts afresh; the biLM goes on from what it is. What is trained is in
tune.libsonnet.
"""

import json
import math
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CONFIG = Path(__file__).parent / "tune.libsonnet"
NUM_EPOCHS = 5
# of english.libsonnet, where sentences of like length share a batch
BATCH_TOKENS = 4096
# of the sampled softmax, or half the words if they are few
MOST_SAMPLES = 4096


def tune(config: Mapping[str, Any], folder: Path) -> Path:
    """
    Returns the checkpoint in `folder`, and makes it unless it is there.

    Parameters
    ----------
    config : `Mapping[str, Any]`
        A task's, for its reader and files.
    folder : `Path`
        For all that comes of it; it must be there.
    """
    checkpoint = folder / "tuned.safetensors"
    if checkpoint.exists():
        return checkpoint
    files = {"train": folder / "text.txt", "development": folder / "dev_text.txt"}
    num_tokens = write_text(config, "train_data_path", files["train"])
    write_text(config, "validation_data_path", files["development"])
    vocabulary = folder / "vocabulary"
    with open(folder / "log.txt", "w", encoding="utf-8") as log:

        def allennlp(*arguments: object) -> None:
            command = [sys.executable, "-m", "allennlp", *map(str, arguments)]
            command += ["--include-package", "elmo_components"]
            subprocess.run(command, stdout=log, stderr=log, check=True)

        allennlp("elmo-vocabulary", files["train"], "--output", vocabulary, "--force")
        num_words = (vocabulary / "vocab.txt").read_text(encoding="utf-8").count("\n")
        settings = {
            **{name: str(path.resolve()) for name, path in files.items()},
            "vocabulary": str(vocabulary.resolve()),
            "num_samples": min(MOST_SAMPLES, num_words // 2),
            "num_epochs": NUM_EPOCHS,
            "steps_per_epoch": math.ceil(num_tokens / BATCH_TOKENS),
        }
        path = folder / "tune.jsonnet"
        path.write_text(f"(import {json.dumps(str(CONFIG))})({json.dumps(settings)})\n")
        allennlp("train", path, "--serialization-dir", folder / "model", "--force")
        part = folder / "part.safetensors"
        allennlp("elmo-export", folder / "model" / "model.tar.gz", part, "--without-softmax")
        part.rename(checkpoint)
    return checkpoint


def write_text(config: Mapping[str, Any], part: str, path: Path) -> int:
    """
    Writes the sentences of a task's file, one a line.

    Returns
    -------
    `int`
        How many tokens there are, the marks of sentences included.
    """
    from allennlp.common import Params
    from allennlp.common.plugins import import_plugins
    from allennlp.data import DatasetReader

    import_plugins()
    # no word needs an index to be written
    reader = DatasetReader.from_params(Params({**config["dataset_reader"], "token_indexers": {}}))
    num_tokens = 0
    with open(path, "w", encoding="utf-8") as lines:
        for instance in reader.read(config[part]):
            words = [token.text for token in instance["tokens"].tokens]
            num_tokens += len(words) + 2
            print(*words, file=lines)
    return num_tokens
