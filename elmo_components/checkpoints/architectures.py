"""The architectures of known models, and those stored in archives."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from elmo_components.checkpoints.untrusted.json_text import MAX_JSON, parse_json
from elmo_components.config import CharCnnConfig, ElmoConfig, LstmConfig

__all__ = ["ARCHITECTURES", "NAMESPACE", "architectures_of"]

# The namespace of the vocabulary, and so the file in an archive, with architectures that were read
# from files: JSON objects with "path" and "options".
NAMESPACE = "elmo_architectures"

PUBLISHED_FILTERS = ((1, 32), (2, 32), (3, 64), (4, 128), (5, 256), (6, 512), (7, 1024))


def _config(
    cell_size: int,
    hidden_size: int,
    num_highway_layers: int,
    filters: tuple[tuple[int, int], ...] = PUBLISHED_FILTERS,
) -> ElmoConfig:
    return ElmoConfig(
        char_cnn=CharCnnConfig(
            embedding_size=16,
            filters=filters,
            num_highway_layers=num_highway_layers,
            activation="relu",
        ),
        lstm=LstmConfig(
            hidden_size=hidden_size,
            cell_size=cell_size,
            num_layers=2,
            cell_clip=3,
            projection_clip=3,
            skip_connections=True,
        ),
    )


SHIPPED = _config(512, 256, 1, (*PUBLISHED_FILTERS[:5], (6, 256)))

# Names are those of `Elmo.from_pretrained`. "chinese" has an alphabet, which is in its file alone.
ARCHITECTURES = {
    "english": SHIPPED,
    "german": SHIPPED,
    "small": _config(1024, 128, 1),
    "medium": _config(2048, 256, 1),
    "original": _config(4096, 512, 2),
    "original-5.5b": _config(4096, 512, 2),
    "pubmed": _config(4096, 512, 2),
    "portuguese": _config(4096, 512, 2),
}


def architectures_of(folder: Path, sections: Iterable[Mapping[str, Any]]) -> Iterator[ElmoConfig]:
    """
    Yields the architectures that the sections of an archive's configuration name.

    # Raises

    `ValueError` for a stored architecture that is damaged.
    """
    for section in sections:
        name = section.get("architecture")
        if isinstance(name, str) and name in ARCHITECTURES:
            yield ARCHITECTURES[name]
    stored = folder / "vocabulary" / f"{NAMESPACE}.txt"
    if stored.is_file():
        with stored.open("rb") as file:
            lines = file.read(MAX_JSON).decode("utf-8").splitlines()
        for line in lines:
            if line.startswith("{"):
                yield ElmoConfig.from_options(parse_json(line).get("options"))
