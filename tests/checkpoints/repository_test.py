"""Tests `Elmo.save_pretrained`, and `Elmo.from_pretrained` from a folder and from the Hub."""

import json
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import yaml

from elmo_components import checkpoints
from elmo_components.checkpoints import CheckpointError
from elmo_components.elmo import Elmo
from tests.hub_server import HubServer, Repository, served_hub


@pytest.fixture
def saved(tiny: Elmo, tmp_path: Path) -> Path:
    tiny.save_pretrained(tmp_path / "saved")
    return tmp_path / "saved"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    pytest.importorskip("huggingface_hub", minversion="0.24")
    # away from folders that have a repository's name
    monkeypatch.chdir(tmp_path)
    with served_hub(tmp_path / "cache", monkeypatch) as server:
        yield server


def assert_same(first: Elmo, second: Elmo) -> None:
    assert first.config == second.config
    for name, tensor in first.bilm.state_dict().items():
        assert torch.equal(tensor, second.bilm.state_dict()[name])


def header(card: Path) -> dict[str, object]:
    _, text, _ = card.read_text(encoding="utf-8").split("---\n", 2)
    return yaml.safe_load(text)


def test_a_saved_folder_has_three_files_and_loads_with_equal_tensors(
    tiny: Elmo, saved: Path
) -> None:
    assert sorted(path.name for path in saved.iterdir()) == [
        "README.md",
        "config.json",
        "model.safetensors",
    ]
    assert_same(Elmo.from_pretrained(saved), tiny)
    # its parts are in known formats too
    assert_same(Elmo.from_pretrained(saved / "model.safetensors"), tiny)
    assert checkpoints.read_options(saved / "config.json") == tiny.config


def test_float16_halves_the_file(tiny: Elmo, saved: Path, tmp_path: Path) -> None:
    tiny.save_pretrained(tmp_path / "half", dtype=torch.float16)
    half, whole = (
        (folder / "model.safetensors").stat().st_size for folder in (tmp_path / "half", saved)
    )
    assert half < 0.8 * whole
    assert "in float16" in (tmp_path / "half" / "README.md").read_text()


def test_the_card_has_metadata_measured_sizes_and_the_author_s_text(
    tiny: Elmo, tmp_path: Path
) -> None:
    tiny.save_pretrained(
        tmp_path, languages=["en", "no"], license="cc-by-4.0", description="Trained on *poems*."
    )
    metadata = header(tmp_path / "README.md")
    assert metadata["library_name"] == "elmo_components"
    assert metadata["pipeline_tag"] == "feature-extraction"
    # YAML 1.1 reads a bare no as false
    assert metadata["language"] == ["en", "no"]
    assert metadata["license"] == "cc-by-4.0"
    card = (tmp_path / "README.md").read_text()
    number = sum(parameter.numel() for parameter in tiny.bilm.parameters())
    size = (tmp_path / "model.safetensors").stat().st_size
    assert f"| parameters | {number:,} |" in card
    assert f"{size / 1e6:,.1f} MB in float32" in card
    assert "Trained on *poems*." in card


def test_an_existing_card_is_not_changed(
    tiny: Elmo, saved: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (saved / "README.md").write_text("mine")
    tiny.save_pretrained(saved)
    assert (saved / "README.md").read_text() == "mine"
    assert "README.md exists and is not changed" in caplog.text


def test_trained_mixes_are_named_as_not_saved(
    tiny: Elmo, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tiny.save_pretrained(tmp_path / "first")
    assert "mixes" not in caplog.text
    with torch.no_grad():
        tiny.scalar_mixes[0].gamma.fill_(2.0)
    tiny.save_pretrained(tmp_path / "second")
    assert "scalar mixes, which were trained, are not saved" in caplog.text


def test_languages_are_a_list(tiny: Elmo, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="languages must be a list of codes; found 'en'"):
        tiny.save_pretrained(tmp_path / "saved", languages="en")


def test_a_file_in_the_folder_s_place_is_an_error(tiny: Elmo, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match="must be a folder"):
        tiny.save_pretrained(tmp_path / "file")


def test_a_training_folder_s_config_is_not_replaced(tiny: Elmo, tmp_path: Path) -> None:
    for text in ('{"model": {}, "dataset_reader": {}}', "broken"):
        (tmp_path / "config.json").write_text(text)
        with pytest.raises(
            FileExistsError, match=r"found that of something else, such as a training"
        ):
            tiny.save_pretrained(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


def test_a_parametrized_model_is_refused(tiny: Elmo, tmp_path: Path) -> None:
    projection = tiny.bilm.char_cnn.projection
    torch.nn.utils.parametrize.register_parametrization(projection, "weight", torch.nn.Identity())
    with pytest.raises(CheckpointError, match=r"char_cnn.projection.weight is missing"):
        tiny.save_pretrained(tmp_path / "saved")
    assert not (tmp_path / "saved").exists()


def test_a_config_of_other_sizes_is_an_error(saved: Path) -> None:
    config = json.loads((saved / "config.json").read_text())
    config["lstm"]["n_layers"] = 7
    (saved / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=r"lstm.n_layers"):
        Elmo.from_pretrained(saved)
    (saved / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"config.json cannot be used"):
        Elmo.from_pretrained(saved)


@pytest.mark.parametrize("name", ["somebody/elmo", "hf://somebody/elmo"])
def test_a_repository_loads_by_its_name(hub: HubServer, tiny: Elmo, saved: Path, name: str) -> None:
    (saved / "modeling_elmo.py").write_text("raise SystemExit")
    hub.repositories["somebody/elmo"] = Repository({"main": saved})
    assert_same(Elmo.from_pretrained(name), tiny)
    assert sorted(set(hub.files)) == ["config.json", "model.safetensors"]
    # and everywhere else that takes a checkpoint
    assert checkpoints.load(name).config == tiny.config
    assert_same(Elmo.from_pretrained(name, local_files_only=True), tiny)


def test_a_revision_and_a_token_are_passed_on(hub: HubServer, tiny: Elmo, saved: Path) -> None:
    hub.repositories["somebody/elmo"] = Repository({"v1": saved}, token="hf_1")
    assert_same(Elmo.from_pretrained("somebody/elmo", revision="v1", token="hf_1"), tiny)
    assert_same(Elmo.from_pretrained("hf://somebody/elmo@v1", token="hf_1"), tiny)
    with pytest.raises(FileNotFoundError, match="no revision 'v2'"):
        Elmo.from_pretrained("somebody/elmo", revision="v2", token="hf_1")
    with pytest.raises(ValueError, match="revision must be given once"):
        Elmo.from_pretrained("hf://somebody/elmo@v1", revision="v2")


def test_published_files_and_allennlp_archives_load_from_a_repository(
    hub: HubServer, tiny: Elmo, tiny_folder: Path, fixtures: Path, tmp_path: Path
) -> None:
    with tarfile.open(fixtures / "before" / "tagger.tar.gz") as file:
        file.extractall(tmp_path / "tagger")
    hub.repositories["somebody/published"] = Repository({"main": tiny_folder})
    hub.repositories["somebody/tagger"] = Repository({"main": tmp_path / "tagger"})
    assert_same(Elmo.from_pretrained("somebody/published"), tiny)
    expected = Elmo.from_pretrained(fixtures / "before" / "tagger.tar.gz")
    assert_same(Elmo.from_pretrained("somebody/tagger"), expected)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"notes.md": ""}, "has no ELMo: it must have config.json or options.json"),
        ({"config.json": '{"model_type": "bert"}', "model.safetensors": ""}, "another kind"),
        ({"config.json": "{"}, "must be JSON"),
        (
            {"config.json": '{"model_type": "elmo"}'},
            "has no ELMo: it must have model.safetensors.* interrupted, repeat it with a network",
        ),
    ],
)
def test_a_repository_without_an_elmo_is_an_error(
    hub: HubServer, tmp_path: Path, files: dict[str, str], message: str
) -> None:
    (tmp_path / "other").mkdir()
    for name, text in files.items():
        (tmp_path / "other" / name).write_text(text)
    hub.repositories["somebody/other"] = Repository({"main": tmp_path / "other"})
    with pytest.raises(CheckpointError, match=message) as caught:
        Elmo.from_pretrained("somebody/other")
    assert "somebody/other" in str(caught.value)
    assert "model.safetensors" not in hub.files


def test_a_path_comes_before_a_repository(
    hub: HubServer, tiny: Elmo, saved: Path, tmp_path: Path
) -> None:
    shutil.copytree(saved, tmp_path / "somebody" / "elmo")
    assert_same(Elmo.from_pretrained("somebody/elmo"), tiny)
    # a mistyped path: its folder exists
    with pytest.raises(FileNotFoundError, match=r"no checkpoint at somebody/elmi.*hf://"):
        Elmo.from_pretrained("somebody/elmi")
    assert not hub.requests


def test_settings_of_the_hub_need_a_repository(saved: Path) -> None:
    with pytest.raises(ValueError, match="revision and token must be given with a repository"):
        Elmo.from_pretrained(str(saved), revision="v1", token="hf_1")
    with pytest.raises(ValueError, match="local_files_only must be given with a repository"):
        Elmo.from_pretrained("english", local_files_only=True)
