"""The architectures of the models that have a name."""

from elmo_components.config import CharCnnConfig, ElmoConfig, LstmConfig

__all__ = ["ARCHITECTURES"]

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


# Names are those of `Elmo.from_pretrained`.
ARCHITECTURES = {
    "english": _config(512, 256, 1, (*PUBLISHED_FILTERS[:5], (6, 256))),
    "small": _config(1024, 128, 1),
    "medium": _config(2048, 256, 1),
    "original": _config(4096, 512, 2),
    "original-5.5b": _config(4096, 512, 2),
    "pubmed": _config(4096, 512, 2),
    "portuguese": _config(4096, 512, 2),
}
