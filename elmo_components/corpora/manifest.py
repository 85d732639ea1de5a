"""The file beside the outputs of a corpus that holds its settings, its model and its partitions."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from elmo_components.alphabet import shown
from elmo_components.corpora.partition_job import TEMPORARY
from elmo_components.corpora.partitions import Partition
from elmo_components.corpora.places import HIDDEN, Place
from elmo_components.embedding.settings import agrees

__all__ = [
    "MANIFEST",
    "SUCCESS",
    "finished_outputs",
    "left_out",
    "open_manifest",
    "record_left_out",
]

MANIFEST = "_elmo_job.json"
# An empty file, as Hadoop and Spark write it: all partitions are done.
SUCCESS = "_SUCCESS"
VERSION = 1
# The numbers of sentences that finished outputs are without, where there are any.
LEFT_OUT = "left_out"


def open_manifest(
    folder: Place, settings: Mapping[str, Any], partitions: Iterable[Partition], *, restart: bool
) -> set[str]:
    """
    Writes the manifest of a job, or checks and extends that of its earlier starts.

    # Parameters

    folder : `Place`
        The folder of the outputs, which is created.
    settings : `Mapping[str, Any]`
        All that changes the outputs, as JSON.
    restart : `bool`
        Whether to delete the outputs of earlier starts.

    # Returns

    `set[str]`
        The outputs that are finished.

    # Raises

    `FileExistsError` for a file, or a folder with other files; `ValueError` for a job with other
    settings, and for an input whose size changed after its output was written.
    """
    path = folder.joined(MANIFEST)
    if folder.exists() and not folder.is_folder():
        raise FileExistsError(f"{folder} is a file. OUTPUT must be a folder")
    before = _read(path) if path.exists() else {"settings": dict(settings), "partitions": {}}
    files = finished_outputs(folder)
    foreign = files - set(before["partitions"])
    if foreign:
        raise FileExistsError(
            f"{folder} has files that this job did not write, such as {min(foreign)}. Give a new "
            "folder"
        )
    now = json.loads(json.dumps(settings))
    partitions = list(partitions)
    if restart:
        for output in files:
            folder.joined(output).remove()
        before, files = {"settings": now, "partitions": {}}, set()
    old = before["settings"]
    differences = [
        f"{name} was {shown(old.get(name))} and is {shown(now.get(name))}"
        for name in sorted({**old, **now})
        if not agrees(name, old.get(name), now.get(name))
    ]
    if differences and files:
        raise ValueError(
            f"{folder} is of a job with other settings: {'; '.join(differences)}. Use the same "
            "settings to resume it, another folder, or --force to start again"
        )
    described = {partition.output: _described(partition) for partition in partitions}
    for output in sorted(files & set(described)):
        if before["partitions"][output] != described[output]:
            raise ValueError(
                f"{described[output]['source']} has changed since {output} was written. Delete "
                f"{folder.joined(output)} to write it again, or use --force to start again"
            )
    folder.system.create_dir(folder.path, recursive=True)
    folder.joined(TEMPORARY).remove()
    folder.joined(SUCCESS).remove()
    # outputs of inputs that are not given this time stay
    kept = {output: before["partitions"][output] for output in files}
    numbers = before.get(LEFT_OUT, {})
    manifest = {
        "version": VERSION,
        "settings": now,
        "partitions": {**kept, **described},
        LEFT_OUT: {output: numbers[output] for output in files & set(numbers)},
    }
    path.write(json.dumps(manifest, indent=1).encode())
    return files & set(described)


def finished_outputs(folder: Place) -> set[str]:
    """Returns the outputs in a folder, by their paths in it; without what is hidden."""
    found = (file.relative(folder.path) for file, _ in folder.files())
    return {path for path in found if not path.startswith(HIDDEN)}


def record_left_out(folder: Place, numbers: Mapping[str, int]) -> None:
    """Stores the numbers of sentences that outputs are without."""
    path = folder.joined(MANIFEST)
    manifest = json.loads(path.read())
    manifest[LEFT_OUT].update(numbers)
    path.write(json.dumps(manifest, indent=1).encode())


def left_out(folder: Place, outputs: Iterable[str]) -> int:
    """Returns the number of sentences that finished outputs are without."""
    numbers = json.loads(folder.joined(MANIFEST).read())[LEFT_OUT]
    return sum(numbers.get(output, 0) for output in outputs)


def _described(partition: Partition) -> dict[str, Any]:
    groups = partition.row_groups
    return {
        "source": str(partition.source),
        "size": partition.size,
        "row_groups": None if groups is None else list(groups),
    }


def _read(path: Place) -> dict[str, Any]:
    try:
        manifest = json.loads(path.read())
        if manifest["version"] == VERSION:
            return {
                **{name: dict(manifest[name]) for name in ("settings", "partitions")},
                LEFT_OUT: dict(manifest.get(LEFT_OUT, {})),
            }
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{path} must be the manifest of a job; found {error!r}") from error
    raise ValueError(
        f"{path} must have the version {VERSION}; found {manifest['version']!r}. Finish the job "
        "with the release of elmo_components that began it, or give a new folder"
    )
