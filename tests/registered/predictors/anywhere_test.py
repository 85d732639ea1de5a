"""Archives that load in any folder without a plug-in file, and from the Hugging Face Hub."""

import json
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import allennlp_models.tagging  # noqa: F401
import pytest
from allennlp.common import Params, file_utils
from allennlp.common.checks import ConfigurationError
from allennlp.models import Model
from allennlp.predictors import Predictor

from elmo_components.registered.predictors.tagger import ElmoTaggerPredictor
from tests.hub_server import Repository, served_hub

ROOT = Path(__file__).parents[3]
SENTENCE = "Ms. Haag plays Elianti in New York ."


@pytest.fixture
def archive(fixtures: Path, tmp_path: Path) -> Path:
    """The folder of an unpacked archive, with the files that `allennlp push-to-hf` uploads."""
    folder = tmp_path / "archive"
    with tarfile.open(fixtures / "before" / "tagger.tar.gz") as file:
        file.extractall(folder)
    (folder / "meta.json").unlink()
    return folder


def change(folder: Path, reader: dict[str, Any]) -> None:
    path = folder / "config.json"
    config = json.loads(path.read_text())
    config["dataset_reader"].update(reader)
    path.write_text(json.dumps(config))


def test_an_archive_with_a_readers_full_name_needs_no_option(archive: Path, tmp_path: Path) -> None:
    change(archive, {"type": "elmo_components.registered.ColumnReader"})
    (tmp_path / "empty").mkdir()
    # a new process, in which nothing has registered the components
    code = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
import allennlp_models.tagging
from allennlp.predictors import Predictor
assert "elmo_components" not in sys.modules
predictor = Predictor.from_path({str(archive)!r}, import_plugins=False)
print(*predictor.predict_json({{"sentence": {SENTENCE!r}}})["words"])
"""
    command = [sys.executable, "-c", code]
    words = subprocess.run(command, cwd=tmp_path / "empty", capture_output=True, check=True).stdout
    assert words.decode().splitlines()[-1] == SENTENCE


@pytest.mark.parametrize(
    ("config", "predictor"),
    [
        ({"type": "crf_tagger"}, "sentence_tagger"),
        ({"type": "basic_classifier"}, "text_classifier"),
        ({"type": "bcn"}, "elmo_classifier"),
        ({"type": "elmo_language_model"}, "elmo_language_model"),
        ({"type": "elmo_word_in_context"}, "elmo_word_in_context"),
        ({"type": "elmo_seq2seq"}, "elmo_translator"),
    ],
)
def test_each_model_has_a_default_predictor(config: dict[str, str], predictor: str) -> None:
    model, _ = Model.resolve_class_name(config["type"])
    assert model.default_predictor == predictor
    assert predictor in Predictor.list_available()


def test_the_layout_of_push_to_hf_loads_from_the_hub(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("huggingface_hub", minversion="0.24")
    monkeypatch.setattr(file_utils, "CACHE_DIRECTORY", str(tmp_path / "allennlp"))
    assert (archive / "vocabulary" / ".lock").exists()
    with served_hub(tmp_path / "cache", monkeypatch) as hub:
        hub.repositories["somebody/tagger"] = Repository({"main": archive})
        predictor = Predictor.from_path("hf://somebody/tagger", import_plugins=False)
    assert isinstance(predictor, ElmoTaggerPredictor)
    assert predictor.predict_json({"sentence": SENTENCE})["words"] == SENTENCE.split()
    assert "weights.th" in hub.files


def test_an_unknown_repository_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    errors = pytest.importorskip("huggingface_hub", minversion="0.24").utils
    monkeypatch.setattr(file_utils, "CACHE_DIRECTORY", str(tmp_path / "allennlp"))
    refused = pytest.raises(errors.RepositoryNotFoundError, match="nobody/nothing")
    with served_hub(tmp_path / "cache", monkeypatch), refused:
        Predictor.from_path("hf://nobody/nothing", import_plugins=False)


def test_an_archive_with_an_unknown_reader_says_how_to_import_it(archive: Path) -> None:
    change(archive, {"type": "elmo_colums"})
    with pytest.raises(ConfigurationError, match="--include-package"):
        Predictor.from_path(str(archive), import_plugins=False)


def test_a_full_name_is_a_reader_like_a_registered_one() -> None:
    from allennlp.data import DatasetReader

    full = DatasetReader.from_params(
        Params({"type": "elmo_components.registered.ColumnReader", "separator": "\t"})
    )
    assert type(full) is DatasetReader.by_name("elmo_columns")
