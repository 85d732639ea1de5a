"""
Character ids to word vectors: `CharCnn` beside AllenNLP's `_ElmoCharacterEncoder`.

    python benchmarks/char_cnn_bench.py [FILE] [--words 1000] [--repeats 9] [--threads 2]

FILE has a sentence a line, its tokens separated by spaces, and may be compressed (.xz); without one
it is fixtures/data/parallel/train.tsv. Its first words are one running sentence for both, with
the same random weights of the published shapes, and sentence marks. They take turns; medians are
printed as JSON, in milliseconds. "cold" has no cache, "warm" has seen the words before.
"""

import argparse
import json
import lzma
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from allennlp.modules.elmo import _ElmoCharacterEncoder

from elmo_components.bilm import BiLm
from elmo_components.char_cnn import CharCnn
from elmo_components.characters import BOS_IDS, EOS_IDS, CharacterMapper
from elmo_components.checkpoints.bilm_tf import save
from elmo_components.checkpoints.checkpoint import Checkpoint
from elmo_components.config import CharCnnConfig, ElmoConfig, LstmConfig

DATA = Path(__file__).parent.parent / "fixtures" / "data" / "parallel" / "train.tsv"
FILTERS = ((1, 32), (2, 32), (3, 64), (4, 128), (5, 256), (6, 512), (7, 1024))
# highways, hidden size
SHAPES = {"original": (2, 512), "small": (1, 128)}


def encoders(highways: int, hidden_size: int) -> tuple[CharCnn, _ElmoCharacterEncoder]:
    """Returns ours, without a cache, and AllenNLP's with the same weights."""
    char_cnn = CharCnnConfig(16, FILTERS, highways, "relu")
    # the file must have an LSTM, which nothing here uses
    config = ElmoConfig(char_cnn, LstmConfig(hidden_size, 1, 1, None, None, False))
    bilm = BiLm(config)
    with tempfile.TemporaryDirectory() as folder:
        save(Checkpoint(config, bilm.state_dict()), Path(folder))
        theirs = _ElmoCharacterEncoder(
            f"{folder}/options.json", f"{folder}/weights.hdf5", requires_grad=True
        )
    ours = CharCnn(char_cnn, hidden_size=hidden_size, cache_size=0)
    ours.load_state_dict(bilm.char_cnn.state_dict())
    return ours, theirs


def medians(calls: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Returns each call's median in milliseconds; they take turns, after one turn not counted."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats + 1):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            times[name].append((time.perf_counter() - start) * 1e3)
    return {name: round(statistics.median(values[1:]), 2) for name, values in times.items()}


def measured(words: list[str], highways: int, hidden_size: int, repeats: int) -> dict:
    """Returns the medians of one shape, and AllenNLP's as multiples of ours."""
    ours, theirs = encoders(highways, hidden_size)
    cached = CharCnn(ours.config, hidden_size=hidden_size)
    cached.load_state_dict(ours.state_dict())
    cached.requires_grad_(False)
    ids = CharacterMapper().batch_ids([words])
    # AllenNLP's encoder adds the sentence marks itself
    marks = [torch.from_numpy(mark.copy()).view(1, 1, -1) for mark in (BOS_IDS, EOS_IDS)]
    marked = torch.cat([marks[0], ids, marks[1]], dim=1)

    def forward_theirs() -> torch.Tensor:
        return theirs(ids)["token_embedding"]

    with torch.no_grad():
        torch.testing.assert_close(ours(marked), forward_theirs(), rtol=0, atol=2e-6)
        times = medians(
            {
                "allennlp": forward_theirs,
                "cold": lambda: ours(marked),
                "warm": lambda: cached(marked),
            },
            repeats,
        )
    training = medians(
        {
            "allennlp": lambda: forward_theirs().sum().backward(),
            "ours": lambda: ours(marked).sum().backward(),
        },
        repeats,
    )
    return {
        "forward": times,
        "forward_and_backward": training,
        "times_allennlp": {
            "cold": round(times["allennlp"] / times["cold"], 1),
            "warm": round(times["allennlp"] / times["warm"], 1),
            "forward_and_backward": round(training["allennlp"] / training["ours"], 1),
        },
    }


def main() -> None:
    """Prints the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", nargs="?", type=Path, default=DATA)
    parser.add_argument("--words", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    words: list[str] = []
    opener = lzma.open if arguments.file.suffix == ".xz" else open
    with opener(arguments.file, "rt", encoding="utf-8") as lines:
        for line in lines:
            words += line.split()
            if len(words) >= arguments.words:
                break
    words = words[: arguments.words]
    result: dict = {"words": len(words), "different": len(set(words))}
    for name, (highways, hidden_size) in SHAPES.items():
        result[name] = measured(words, highways, hidden_size, arguments.repeats)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
