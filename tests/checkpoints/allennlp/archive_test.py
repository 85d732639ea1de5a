"""Tests AllenNLP archives and training folders."""

import copy
import errno
import gzip
import json
import logging
import shutil
import sys
import tarfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from allennlp.common import Params
from allennlp.data import Vocabulary
from allennlp.models import Model
from allennlp.modules.elmo import batch_to_ids

import elmo_components.registered  # noqa: F401
from elmo_components.checkpoints import CheckpointError, identify, load
from elmo_components.checkpoints.allennlp import archive as allennlp_archive
from elmo_components.config import ElmoConfig
from elmo_components.elmo import Elmo
from tests.closeness import assert_close

TEXT = [["The", "bank", "of", "the", "river"], ["na\u00efve"], ["x" * 60, "\u65e5\u672c\u8a9e"]]
ALLENNLP = "text_field_embedder.token_embedder_elmo._elmo._elmo_lstm"


def options_in(tiny_folder: Path, **lstm: object) -> dict[str, Any]:
    options = json.loads((tiny_folder / "options.json").read_text())
    options["lstm"].update(lstm)
    return options


def stock(folder: Path, tiny_folder: Path, **lstm: object) -> dict[str, Any]:
    """AllenNLP's own embedder of the tiny weights, with changed options of its own in `folder`."""
    folder.mkdir(exist_ok=True)
    path = folder / "its-options.json"
    path.write_text(json.dumps(options_in(tiny_folder, **lstm)))
    return {
        "type": "elmo_token_embedder",
        "options_file": str(path),
        "weight_file": str(tiny_folder / "weights.hdf5"),
    }


def tagger(embedders: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "simple_tagger",
        "text_field_embedder": {"token_embedders": embedders},
        "encoder": {"type": "pass_through", "input_dim": 16 * len(embedders)},
    }


def archived(
    folder: Path, model: dict[str, Any], *, legacy: bool = False, **settings: object
) -> tuple[Path, Model]:
    """Makes a model that has not been trained; returns its folder, archived too, and itself."""
    vocab = Vocabulary()
    for label in ("A", "B"):
        vocab.add_token_to_namespace(label, "labels")
    folder.mkdir(exist_ok=True)
    vocab.save_to_files(str(folder / "vocabulary"))
    (folder / "config.json").write_text(json.dumps({**settings, "model": model}))
    built = Model.from_params(vocab=vocab, params=Params(copy.deepcopy(model))).eval()
    weights = folder / "weights.th"
    torch.save(built.state_dict(), weights, _use_new_zipfile_serialization=not legacy)
    with tarfile.open(folder / "model.tar.gz", "w:gz") as archive:
        for name in ("config.json", "weights.th", "vocabulary"):
            archive.add(folder / name, arcname=name)
    return folder, built


def layers_of(model: Model) -> torch.Tensor:
    """All layers by AllenNLP's own ELMo."""
    bilm = model.get_submodule(ALLENNLP)
    bilm._elmo_lstm.reset_states()
    return torch.stack(bilm(batch_to_ids(TEXT))["activations"])


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("name", ["", "model.tar.gz"])
def test_allennlps_own_elmo_gives_the_same_vectors(
    tmp_path: Path, tiny_folder: Path, name: str, legacy: bool
) -> None:
    embedder = stock(tmp_path, tiny_folder)
    folder, model = archived(tmp_path, tagger({"elmo": embedder}), legacy=legacy)
    assert identify(folder / name) is allennlp_archive
    ours = Elmo.from_pretrained(folder / name)
    assert ours.config == load(tiny_folder).config
    found = ours.bilm(batch_to_ids(TEXT)).layers
    assert_close(found, layers_of(model))
    # AllenNLP has 1 added to the forget gate's bias, which rounds it
    expected = load(tiny_folder).tensors
    for name, tensor in load(folder).tensors.items():
        tolerance = 2.0**-21 if name.endswith("s.0.bias") or name.endswith("s.1.bias") else 0.0
        torch.testing.assert_close(tensor, expected[name], rtol=0.0, atol=tolerance)


def test_without_options_the_shapes_tell_the_sizes_and_a_warning_the_rest(
    tmp_path: Path, tiny_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    embedder = stock(tmp_path, tiny_folder, cell_clip=3, proj_clip=3)
    folder, model = archived(tmp_path, tagger({"elmo": embedder}))
    (folder / "its-options.json").unlink()
    with caplog.at_level(logging.WARNING):
        ours = Elmo.from_pretrained(folder / "model.tar.gz")
    assert "taken as published: cell_clip 3, proj_clip 3, relu, skips. Give" in caplog.text
    assert ours.config == ElmoConfig.from_options(options_in(tiny_folder, cell_clip=3, proj_clip=3))
    found = ours.bilm(batch_to_ids(TEXT)).layers
    assert_close(found, layers_of(model))


def test_options_that_are_given_decide_what_shapes_cannot_tell(
    tmp_path: Path, tiny_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    options = options_in(tiny_folder, cell_clip=0.25)
    embedder = stock(tmp_path, tiny_folder, cell_clip=0.25)
    folder, model = archived(tmp_path, tagger({"elmo": embedder}))
    (folder / "its-options.json").rename(tmp_path / "moved.json")
    ours = Elmo.from_pretrained(folder, options=tmp_path / "moved.json")
    assert "taken as published" not in caplog.text
    assert ours.config == ElmoConfig.from_options(options)
    found = ours.bilm(batch_to_ids(TEXT)).layers
    assert_close(found, layers_of(model))
    options["lstm"]["dim"] = 17
    with pytest.raises(CheckpointError, match=r"lstm\.dim is 16 there, and 17 is wanted"):
        Elmo.from_pretrained(folder, options=options)


def test_the_options_that_an_old_archive_holds_are_read(tmp_path: Path, tiny_folder: Path) -> None:
    embedder = stock(tmp_path, tiny_folder)
    folder, _ = archived(tmp_path, tagger({"elmo": embedder}))
    key = "fta/model.text_field_embedder.token_embedders.elmo.options_file"
    (folder / "fta").mkdir()
    (folder / "its-options.json").rename(folder / key)
    with tarfile.open(folder / "old.tar.gz", "w:gz") as archive:
        for name in ("config.json", "weights.th", "vocabulary", key):
            archive.add(folder / name, arcname=name)
    assert load(folder / "old.tar.gz").config == load(tiny_folder).config


def test_our_embedder_comes_back_to_the_last_bit(tmp_path: Path, tiny_folder: Path) -> None:
    embedder = {
        "type": "elmo",
        "architecture": options_in(tiny_folder),
        "pretrained_file": str(tiny_folder),
    }
    folder, _ = archived(tmp_path, tagger({"elmo": embedder}))
    expected, found = load(tiny_folder), load(folder / "model.tar.gz", softmax=True)
    assert found.config == expected.config and found.vocabulary is None
    assert found.tensors.keys() == expected.tensors.keys()
    assert all(torch.equal(found.tensors[name], expected.tensors[name]) for name in found.tensors)


@pytest.mark.parametrize("is_there", [True, False])
def test_a_model_fine_tuned_from_an_archive_is_read(
    tmp_path: Path, tiny_folder: Path, caplog: pytest.LogCaptureFixture, is_there: bool
) -> None:
    # AllenNLP's `from_archive` states the first archive's path alone
    embedder = {"type": "elmo", "architecture": options_in(tiny_folder)}
    first, model = archived(tmp_path / "first", tagger({"elmo": embedder}))
    tuned = Path(shutil.copytree(first, tmp_path / "tuned"))
    settings = {"model": {"type": "from_archive", "archive_file": f"{first}/model.tar.gz"}}
    (tuned / "config.json").write_text(json.dumps(settings))
    if not is_there:
        shutil.rmtree(first)
    found = load(tuned)
    expected = load(tiny_folder).config
    if is_there:
        assert found.config == expected
        names = [record.name for record in caplog.records if record.levelno >= logging.WARNING]
        assert not [name for name in names if name.startswith("elmo_components")]
    else:
        assert "taken as published" in caplog.text
        lstm = replace(expected.lstm, cell_clip=3.0, projection_clip=3.0)
        assert found.config == replace(expected, lstm=lstm)
    state = model.get_submodule("text_field_embedder.token_embedder_elmo._elmo.bilm").state_dict()
    assert all(torch.equal(found.tensors[name], state[name]) for name in found.tensors)


@pytest.mark.parametrize("first", ["half.tar.gz", "folder", "private"])
def test_a_first_archive_that_cannot_be_read_is_a_warning(
    tmp_path: Path,
    tiny_folder: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    first: str,
) -> None:
    matches = allennlp_archive.matches

    def matching(path: Path) -> bool:
        if path.name == "private":
            raise PermissionError(errno.EACCES, "Permission denied")
        return matches(path)

    monkeypatch.setattr(allennlp_archive, "matches", matching)
    embedder = {"type": "elmo", "architecture": options_in(tiny_folder)}
    folder, _ = archived(tmp_path / "tuned", tagger({"elmo": embedder}))
    (tmp_path / "half.tar.gz").write_bytes(gzip.compress(bytes(2000))[:-9])
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "config.json").write_text("{")
    (tmp_path / "folder" / "weights.th").touch()
    settings = {"model": {"type": "from_archive", "archive_file": str(tmp_path / first)}}
    (folder / "config.json").write_text(json.dumps(settings))
    assert load(folder).config.lstm.cell_clip == 3.0
    assert "The archive that it was fine-tuned from cannot be read" in caplog.text


@pytest.mark.parametrize("path", ["//host/share/a", r"\\host\share\a", r"\??\UNC\host\share\a"])
def test_windows_asks_no_other_machine(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert allennlp_archive._local(path) == Path(path)
    monkeypatch.setattr(sys, "platform", "win32")
    assert allennlp_archive._local(path) is None
    assert allennlp_archive._local("a.tar.gz") == Path("a.tar.gz")


def test_one_of_several_is_picked_by_name(tmp_path: Path, tiny_folder: Path) -> None:
    embedders = {
        "elmo": stock(tmp_path, tiny_folder),
        "other": {"type": "elmo", "architecture": options_in(tiny_folder)},
    }
    folder, model = archived(tmp_path, tagger(embedders))
    other = "text_field_embedder.token_embedder_other._elmo.bilm"
    message = rf"must hold one biLM, .*found {ALLENNLP}, {other} in a .*'simple_tagger'\. .*--part"
    with pytest.raises(CheckpointError, match=message):
        load(folder)
    found = allennlp_archive.load(folder, part=other)
    expected = model.get_submodule(other).state_dict()
    assert all(torch.equal(found.tensors[name], expected[name]) for name in expected)
    assert allennlp_archive.load(folder, part=ALLENNLP).config == found.config
    with pytest.raises(CheckpointError, match=r"must hold a biLM named 'elmo', "):
        allennlp_archive.load(folder, part="elmo")


def test_a_model_with_no_elmo_is_an_error(tmp_path: Path) -> None:
    embedder = {"type": "pass_through", "hidden_dim": 16}
    folder, _ = archived(tmp_path, tagger({"numbers": embedder}))
    with pytest.raises(CheckpointError, match="found none in a model of the type 'simple_tagger'"):
        load(folder)


def member(name: str, contents: bytes = b"", **fields: Any) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(contents)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, contents


def tar(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    """A tar file, whose headers may say what is not so."""
    blocks = []
    for info, contents in members:
        padding = -len(contents) % tarfile.BLOCKSIZE
        blocks += [info.tobuf(tarfile.PAX_FORMAT), contents, bytes(padding)]
    return b"".join([*blocks, bytes(2 * tarfile.BLOCKSIZE)])


CONFIG = member("config.json", b"{}")


# fixtures/broken/archives has more
@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (tar(member("vocabulary/../../o.txt", b"t")), "would lie outside of it"),
        (tar(member("fta/..\\..\\o.txt", b"t")), "would lie outside of it"),
        (
            tar(CONFIG, member("weights.th", type=tarfile.LNKTYPE, linkname="config.json")),
            "must be a file or a folder",
        ),
        (
            tar(CONFIG, member("weights.th", b"", size=1 << 27)),
            "an archive of its size may have",
        ),
        (tar(member("x", bytes(6 << 20), type=tarfile.XHDTYPE)), "a header must be shorter"),
        (tar(member("x", bytes(6 << 20), type=tarfile.GNUTYPE_LONGNAME)), "a header must be"),
        (tar(*[member("x", bytes(9), type=tarfile.XHDTYPE)] * 5000), "must be a whole"),
        (tar(CONFIG) + bytes(70 << 20), "it has more than 67,108,864 bytes"),
        (b"no tar at all, but long enough to be read as the header of one" * 20, "must be a whole"),
        (tar(CONFIG), r"has no config\.json or no weights\.th or best\.th"),
        (tar(member("weights.th", b"text")), r"has no config\.json or no weights\.th"),
        (tar(CONFIG, member("weights.th", b"text")), "cannot be used: "),
        (tar(member("config.json", b"["), member("weights.th")), "must be JSON: Expecting value"),
        (tar(member("config.json", b"[]"), member("weights.th")), "an object; found list"),
    ],
)
def test_a_hostile_archive_is_an_error_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, contents: bytes, message: str
) -> None:
    folder = tmp_path / "inner" / "folder"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    path = folder / "model.tar.gz"
    path.write_bytes(gzip.compress(contents, compresslevel=1))
    started = time.process_time()
    with pytest.raises(CheckpointError, match=message):
        load(path)
    assert time.process_time() - started < 1.0
    assert [entry for entry in tmp_path.rglob("*") if entry.is_file()] == [path]


@pytest.mark.parametrize("kept", [100, -1])
def test_a_truncated_archive_is_an_error(tmp_path: Path, tiny_folder: Path, kept: int) -> None:
    folder, _ = archived(tmp_path, tagger({"elmo": stock(tmp_path, tiny_folder)}))
    path = folder / "model.tar.gz"
    path.write_bytes(path.read_bytes()[:kept])
    # without its last byte all files are whole still
    with pytest.raises(CheckpointError, match=r"must be a whole model\.tar\.gz"):
        load(path)


def test_tensors_that_do_not_fit_are_listed(tmp_path: Path, tiny_folder: Path) -> None:
    folder, model = archived(tmp_path, tagger({"elmo": stock(tmp_path, tiny_folder)}))
    state = model.state_dict()
    encoder, lstm = f"{ALLENNLP}._token_embedder", f"{ALLENNLP}._elmo_lstm"
    del state[f"{lstm}.backward_layer_1.state_projection.weight"]
    state[f"{encoder}._projection.bias"] = torch.zeros(9)
    state[f"{encoder}.something"] = torch.zeros(1)
    torch.save(state, folder / "weights.th")
    with pytest.raises(CheckpointError) as raised:
        load(folder)
    for part in (
        "_elmo_lstm.backward_layer_1.state_projection.weight is missing",
        "_token_embedder._projection.bias is of shape (9,), not (8,)",
        "_token_embedder.something is not a parameter",
    ):
        assert part in str(raised.value)


def test_weights_that_are_not_finite_are_named(tmp_path: Path, tiny_folder: Path) -> None:
    folder, model = archived(tmp_path, tagger({"elmo": stock(tmp_path, tiny_folder)}))
    state = model.state_dict()
    state[f"{ALLENNLP}._token_embedder._projection.bias"][3] = float("nan")
    torch.save(state, folder / "weights.th")
    with pytest.raises(CheckpointError, match=r"_projection\.bias has values that are not finite"):
        load(folder)


def test_a_folder_of_a_training_that_has_no_weights_yet_is_no_archive(
    tmp_path: Path, tiny_folder: Path
) -> None:
    folder, _ = archived(tmp_path, tagger({"elmo": stock(tmp_path, tiny_folder)}))
    shutil.move(folder / "weights.th", folder / "best.th")
    assert allennlp_archive.matches(folder)
    (folder / "best.th").unlink()
    assert not allennlp_archive.matches(folder)
    assert not allennlp_archive.matches(tmp_path / "its-options.json")
