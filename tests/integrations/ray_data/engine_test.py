"""Tests of integrations/ray_data in one Ray session, with real actors; one of them is killed."""

import os
import pickle
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy
import pytest

from elmo_components.commands import embed
from elmo_components.elmo import Elmo
from elmo_components.embedding.selection import VectorChoice
from elmo_components.integrations.ray_data.engine import fitting
from elmo_components.integrations.ray_data.session import session
from elmo_components.ray import ElmoBatchEmbedder, SharedElmo
from tests.closeness import assert_close
from tests.commands.running import run

pyarrow = pytest.importorskip("pyarrow")
ray = pytest.importorskip("ray", reason="needs Ray: pip install 'elmo_components[ray]'")
pytest.importorskip("ray.data")

SENTENCES = [["The", "bank", "of", "the", "river"], ["A", "bank"], ["One"], []]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A session that the commands of this file find running."""
    with ExitStack() as stack:
        try:
            connected = stack.enter_context(session(None, payload_bytes=0, cpus=2))
        # on a machine with too much other work
        except ConnectionError as error:
            if "timed out" not in str(error) and "Deadline" not in str(error):
                raise
            pytest.skip(f"Ray does not start in time on this busy machine: {error}")
        yield connected


def kill_a_worker(folder: Path, killed: list[int]) -> None:
    """Kills the process of the first worker that has begun to write its partition."""
    while not killed:
        for path in folder.glob("_temporary/*/*.parquet"):
            killed.append(int(path.name.split("-")[-2]))
            os.kill(killed[0], signal.SIGKILL)
            return
        time.sleep(0.01)


def test_a_killed_worker_and_a_broken_partition_change_no_other_output(
    cluster: Any, tiny_folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for name in ("a.txt", "b.txt", "c.txt"):
        lines = [f"{name} The bank of river {number}" for number in range(1500)]
        (corpus / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    options = ["--average", "--weight-file", tiny_folder]
    run(embed, corpus, tmp_path / "local", *options, "--engine", "local")
    (corpus / "d.parquet").write_bytes(b"broken")
    killed: list[int] = []
    killer = threading.Thread(target=kill_a_worker, args=(tmp_path / "out", killed), daemon=True)
    killer.start()
    capfd.readouterr()
    with pytest.raises(SystemExit) as end:
        run(embed, corpus, tmp_path / "out", *options, "--engine", "ray", "--workers", "2")
    assert end.value.code == 1 and killed
    # other data sets of this process must not lose blocks without an error
    assert cluster.data.DataContext.get_current().max_errored_blocks == 0
    printed = capfd.readouterr()
    assert "done again after the death of 1 worker" in printed.err
    assert "FAILED d.parquet:" in printed.err and "3 of 4 partitions are done" in printed.out
    assert not (tmp_path / "out" / "_SUCCESS").exists()
    for name in ("a.txt", "b.txt", "c.txt"):
        output = f"{name}.parquet"
        assert (tmp_path / "out" / output).read_bytes() == (
            tmp_path / "local" / output
        ).read_bytes()


def test_actors_add_vectors_to_a_data_set(cluster: Any, tiny: Elmo) -> None:
    data = cluster.data.from_items(
        [{"tokens": tokens, "id": number} for number, tokens in enumerate(SENTENCES[:3])]
    )
    found = data.map_batches(
        ElmoBatchEmbedder,
        fn_constructor_kwargs={
            "model": SharedElmo(tiny),
            "choice": VectorChoice("mean", pooling="mean"),
            "tensors": True,
        },
        batch_format="pyarrow",
        batch_size=2,
        compute=cluster.data.ActorPoolStrategy(size=1),
        num_cpus=1,
    ).take_all()
    assert sorted(row["id"] for row in found) == [0, 1, 2]
    for row in found:
        expected = tiny.embed([SENTENCES[row["id"]]], layers="mean")[0].mean(axis=0)
        assert_close(numpy.asarray(row["vectors"]), expected)


@pytest.mark.parametrize(
    "choice",
    [
        VectorChoice("top"),
        VectorChoice("all"),
        VectorChoice((0.2, 0.5, 0.3), pooling="max"),
        VectorChoice("all", pooling="mean", float16=True),
    ],
)
def test_the_columns_are_the_selected_vectors(
    tiny: Elmo, tiny_folder: Path, choice: VectorChoice
) -> None:
    table = pyarrow.table({"sentence": [" ".join(one) for one in SENTENCES]})
    found = ElmoBatchEmbedder(tiny_folder, choice=choice)(table)
    for row, tokens in enumerate(SENTENCES):
        expected = choice.choose(tiny.embed([tokens], layers=choice.embedded)[0])
        names = ["vectors"] if choice.layers != "all" else [f"layer_{n}" for n in range(3)]
        for number, name in enumerate(names):
            value = numpy.array(found.column(name)[row].as_py(), choice.dtype)
            one = expected[number] if choice.layers == "all" else expected
            assert_close(value.reshape(one.shape), one, tolerance=2e-3 if choice.float16 else 1e-5)


def test_a_tensor_has_all_layers_of_a_sentence(tiny: Elmo, tiny_folder: Path) -> None:
    choice = VectorChoice("all", pooling="mean")
    table = pyarrow.table({"tokens": SENTENCES})
    found = ElmoBatchEmbedder(tiny_folder, choice=choice, tensors=True)(table).column("vectors")
    assert str(found.type).startswith("extension<arrow.fixed_shape_tensor")
    assert found.type.shape == [3, 16]
    expected = tiny.embed([SENTENCES[0]])[0].mean(axis=1)
    assert_close(found.combine_chunks().to_numpy_ndarray()[0], expected)


def test_a_table_without_rows_gets_a_column_of_the_same_type(tiny_folder: Path) -> None:
    choice = VectorChoice("all", pooling="mean")
    embedder = ElmoBatchEmbedder(tiny_folder, choice=choice, tensors=True)
    table = pyarrow.table({"tokens": SENTENCES})
    found = embedder(table.slice(0, 0)).column("vectors")
    assert len(found) == 0
    assert found.type == embedder(table).column("vectors").type


def test_a_worker_must_fit_one_machine() -> None:
    machines = [{"CPU": 2.0, "GPU": 1.0}, {"CPU": 3.0}, {}]
    assert sum(fitting(machine, threads=1, gpus=0) for machine in machines) == 5
    assert sum(fitting(machine, threads=2, gpus=0) for machine in machines) == 2
    assert sum(fitting(machine, threads=1, gpus=1) for machine in machines) == 1
    assert not any(fitting(machine, threads=4, gpus=0) for machine in machines)


def test_wrong_batches_are_refused(tiny_folder: Path) -> None:
    embedder = ElmoBatchEmbedder(tiny_folder, choice=VectorChoice("top"))
    with pytest.raises(TypeError, match='batch_format="pyarrow"'):
        embedder({"tokens": numpy.array(["a"])})
    with pytest.raises(ValueError, match="must have the column tokens or sentence or text"):
        embedder(pyarrow.table({"x": ["a"]}))
    with pytest.raises(ValueError, match="row 1 of a batch: must be a string or a list"):
        embedder(pyarrow.table({"text": ["a", None]}))
    with pytest.raises(ValueError, match="a column 'vectors' already"):
        embedder(pyarrow.table({"text": ["a"], "vectors": [1]}))
    with pytest.raises(ValueError, match="must have a pooling"):
        ElmoBatchEmbedder(tiny_folder, choice=VectorChoice("top"), tensors=True)
    with pytest.raises(ValueError, match="threads must be 1 or more"):
        ElmoBatchEmbedder(tiny_folder, choice=VectorChoice("top"), threads=0)


def test_actors_share_the_weights_memory(cluster: Any, tiny: Elmo) -> None:
    shared = SharedElmo(tiny)
    assert len(pickle.dumps(shared.config)) < 10_000
    bilms = [shared.load() for _ in range(2)]
    for first, second in zip(*(bilm.parameters() for bilm in bilms)):
        assert first.data_ptr() == second.data_ptr()
    for name, weight in tiny.bilm.state_dict().items():
        assert bool((bilms[0].state_dict()[name] == weight).all()), name
