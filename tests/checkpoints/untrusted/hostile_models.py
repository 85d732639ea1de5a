"""The smallest models in each format, whose files are mostly not numbers: what is to be broken."""

import io
import json
import tarfile
import tempfile
from functools import cache
from pathlib import Path

import torch

from elmo_components.checkpoints import Checkpoint, many_langs, save
from elmo_components.config import CharCnnConfig, ElmoConfig, LstmConfig
from elmo_components.modules.bilm import BiLm

__all__ = ["archive_members", "many_langs_files", "native_file", "packed", "published_files"]

WORDS = ("</S>", "<S>", "<UNK>", "caf\u00e9", "bank")
LSTM = LstmConfig(2, 3, 1, 3.0, 3.0, True)
BY_BYTES = CharCnnConfig(1, ((1, 1), (2, 2)), 1, "relu")
BY_CODE_POINTS = CharCnnConfig(
    2, ((1, 1), (2, 2)), 1, "relu", "ab\u4e2d", "code_points", "<oov>\nbank\ncaf\u00e9", 2
)


def _model(cnn: CharCnnConfig, *, with_softmax: bool) -> Checkpoint:
    config = ElmoConfig(cnn, LSTM)
    generator = torch.Generator().manual_seed(5)
    shapes = {name: tensor.shape for name, tensor in BiLm(config).state_dict().items()}
    if with_softmax:
        rows = len(WORDS)
        shapes.update({"softmax.weight": torch.Size([rows, 2]), "softmax.bias": torch.Size([rows])})
    tensors = {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    tensors["char_cnn.character_embedding.weight"][0] = 0.0
    return Checkpoint(config, tensors, WORDS if with_softmax else None)


@cache
def native_file() -> bytes:
    """Returns a file in our own format."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.safetensors")
        save(_model(BY_BYTES, with_softmax=True), path)
        return path.read_bytes()


@cache
def published_files() -> dict[str, bytes]:
    """Returns the files of a folder in the published format."""
    with tempfile.TemporaryDirectory() as folder:
        save(_model(BY_BYTES, with_softmax=True), folder)
        return {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}


@cache
def many_langs_files() -> dict[str, bytes]:
    """Returns the files of a folder of ELMoForManyLangs."""
    with tempfile.TemporaryDirectory() as folder:
        many_langs.save(_model(BY_CODE_POINTS, with_softmax=False), Path(folder))
        return {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}


@cache
def archive_members(*, legacy: bool) -> dict[str, bytes]:
    """Returns the members of an AllenNLP archive, the weights in either form of torch's."""
    checkpoint = _model(BY_BYTES, with_softmax=False)
    place = "text_field_embedder.token_embedder_elmo._elmo"
    state = {f"{place}.bilm.{name}": tensor for name, tensor in checkpoint.tensors.items()}
    state[f"{place}.scalar_mixes.0.gamma"] = torch.ones(1)
    state[f"{place}.scalar_mixes.0.weights"] = torch.zeros(2)
    state["steps"] = torch.tensor(3)
    weights = io.BytesIO()
    torch.save(state, weights, _use_new_zipfile_serialization=not legacy)
    embedder = {"type": "elmo", "architecture": checkpoint.config.to_options()}
    model = {"type": "tagger", "text_field_embedder": {"token_embedders": {"elmo": embedder}}}
    return {
        "config.json": json.dumps({"model": model}).encode(),
        "weights.th": weights.getvalue(),
        "vocabulary/tokens.txt": b"@@UNKNOWN@@\nbank\n",
    }


def packed(members: dict[str, bytes]) -> bytes:
    """Returns a tar.gz of such members."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        for name, contents in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(contents)
            archive.addfile(entry, io.BytesIO(contents))
    return data.getvalue()
