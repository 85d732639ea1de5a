"""What the runs of a comparison found, read from their folders."""

import json
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

NAMES = {
    "learned": "learned with the task",
    "word2vec": "word2vec",
    "word2vec_frozen": "word2vec, frozen",
    "fasttext": "fastText",
    "elmo": "ELMo",
    "elmo_no_dropout": "ELMo, without dropout",
    "elmo_tuned": "ELMo, fine-tuned on the text",
    "elmo_trained": "ELMo, trained with the task",
    "elmo_learned": "ELMo and learned",
    "elmo_word2vec": "ELMo and word2vec",
    "elmo_fasttext": "ELMo and fastText",
    "transformer": "MiniLM (transformer), frozen",
}
# in the tables, but in no picture
LAYERS = {
    "elmo_layer_0": "ELMo, layer 0 (characters) alone",
    "elmo_layer_1": "ELMo, layer 1 alone",
    "elmo_layer_2": "ELMo, layer 2 alone",
    "elmo_mean": "ELMo, mean of all",
    "elmo_layers": "ELMo, all layers side by side",
}
# Runs of the English models that came with the package earlier; no longer made.
EARLIER = {
    f"{model}_{kind}": f"{model} {name}"
    for model in ("second", "first")
    for kind, name in {**NAMES, **LAYERS}.items()
    if "ELMo" in name
}
TASKS = {
    "ner": "Named entities, WNUT-17, F1",
    "pos": "Parts of speech, UD EWT, accuracy",
    "sst5": "Sentiment, SST-5, accuracy",
    "trec6": "Questions, TREC-6, accuracy",
}
PROBES = {"pos": "parts of speech, UD EWT", "wic": "senses, WiC"}


class Result(NamedTuple):
    """One run, as its folder says."""

    name: str
    task: str
    kind: str
    share: float
    seed: int
    found: Mapping[str, Any]


def read(output: Path) -> Iterable[Result]:
    """Yields the runs that were finished."""
    for path in sorted((output / "runs").glob("*/run.json")):
        name = path.parent.name
        task, kind, share, seed = name.split("-")
        found = json.loads(path.read_text(encoding="utf-8"))
        yield Result(name, task, kind, float(share), int(seed), found)


def mean(results: Iterable[Result], key: str = "score") -> float:
    """Returns the mean of what runs found."""
    return statistics.mean(result.found[key] for result in results)


def by_kind(
    results: Iterable[Result], task: str, share: float = 1.0, *, names: Mapping[str, str] = NAMES
) -> dict[str, list[Result]]:
    """Returns a task's runs with a share of the data, in the order of `names`."""
    found = defaultdict(list)
    for result in results:
        if result.task == task and result.share == share:
            found[result.kind].append(result)
    return {kind: found[kind] for kind in names if kind in found}
