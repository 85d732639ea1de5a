"""Every shipped configuration trains, and its archive predicts and evaluates on its own."""

import io
import json
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Optional

import _jsonnet
import pytest
from allennlp.commands import main
from allennlp.commands.train import train_model
from allennlp.common import Params
from allennlp.common.plugins import import_plugins
from allennlp.data import Batch
from allennlp.models.archival import load_archive
from allennlp.predictors import Predictor

import elmo_components.registered  # noqa: F401
from elmo_components.config import ElmoConfig
from elmo_components.modules.bilm import BiLm
from tests.conftest import ROOT
from tests.registered.models.teachers_test import transformer

import_plugins()

CONFIGS = sorted((ROOT / "training_configs").rglob("*.jsonnet"))
PREDICTORS = {
    "tagging": "elmo_tagger",
    "classification": "elmo_classifier",
    "translation": "elmo_translator",
}
# Where it is another one than its folder's, by the configuration's name.
OTHER_PREDICTORS = {"wic": "elmo_word_in_context"}
# The models of allennlp-models, by folder: a key of what they predict. AllenNLP's predictors for
# the last three need spaCy's model.
OUTPUTS = {
    "entailment": "label",
    "reading": "best_span_str",
    "srl": "tags",
    "coref": "clusters",
    "parsing": "trees",
}
# What embeds text for a task; the others are language models.
TASKS = [path for path in CONFIGS if path.parent.name in PREDICTORS]
WITH_ELMO = [
    path
    for path in CONFIGS
    if path.parent.name in [*PREDICTORS, *OUTPUTS] and "without_elmo" not in path.stem
]
# What learns from a teacher, whose head is trained with it.
DISTILLED = [path for path in CONFIGS if path.stem.startswith("distil")]
# Enough to go through everything once.
FEW = {"dataset_reader.max_instances": 60, "trainer.num_epochs": 1}


def predictor_of(path: Path) -> Optional[str]:
    """The name of what predicts with a configuration's model; `None` for a language model's."""
    return OTHER_PREDICTORS.get(path.stem, PREDICTORS.get(path.parent.name))


def allennlp(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    """Runs a command as the shell would, without the seconds that a new process takes."""
    monkeypatch.setattr(sys, "argv", ["allennlp", *arguments])
    main()


@pytest.fixture(scope="module", autouse=True)
def readable() -> Iterator[None]:
    """Lets NLTK read the fixtures."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NLTK_DATA", str(ROOT))
        yield


@pytest.fixture(scope="module", params=CONFIGS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A configuration's path, and the folder that training with it wrote."""
    folder = tmp_path_factory.mktemp("trained") / request.param.stem
    few: dict[str, Any] = dict(FEW)
    if request.param.stem == "distil_transformer":
        # without a network
        folder_of_minilm = transformer()
        few["dataset_reader.teacher_indexer.model_name"] = folder_of_minilm
        few["model.teacher.embedder.model_name"] = folder_of_minilm
    if "batch_size" in Params.from_file(str(request.param))["data_loader"]["batch_sampler"]:
        few["data_loader.batch_sampler.batch_size"] = 30
    train_model(Params.from_file(str(request.param), json.dumps(few)), str(folder))
    return request.param, folder


def test_a_configuration_trains_and_is_evaluated_on_its_test_set(trained: Any) -> None:
    _, folder = trained
    metrics = json.loads((folder / "metrics.json").read_text())
    assert any(name.startswith("test_") for name in metrics)
    assert metrics["training_loss"] > 0.0


def test_the_tagger_of_names_learns(tmp_path: Path) -> None:
    # it is 0.88 after four epochs, and without learning 0
    path = ROOT / "training_configs" / "tagging" / "ner.jsonnet"
    train_model(Params.from_file(str(path), json.dumps({"trainer.num_epochs": 4})), str(tmp_path))
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["best_validation_f1-measure-overall"] > 0.7


def test_every_parameter_is_trained(trained: Any) -> None:
    path, folder = trained
    if path in DISTILLED:
        pytest.skip("an archive has no teacher; tests/registered/models/teachers_test.py has one")
    archive = load_archive(folder / "model.tar.gz")
    instances = list(archive.dataset_reader.read(Params.from_file(str(path))["train_data_path"]))
    for instance in instances[:8]:
        archive.dataset_reader.apply_token_indexers(instance)
    model = archive.model.train()
    model.forward_on_instances(instances[:1])
    for parameter in model.parameters():
        parameter.grad = None
    batch = Batch(instances[:8])
    batch.index_instances(model.vocab)
    model(**batch.as_tensor_dict())["loss"].backward()
    without = [
        name
        for name, parameter in model.named_parameters()
        if parameter.requires_grad and parameter.grad is None
    ]
    assert without == []


def test_an_archive_needs_no_other_file(
    trained: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, folder = trained
    data = Path(Params.from_file(str(path))["test_data_path"]).resolve()
    (folder / "model.tar.gz").rename(tmp_path / "model.tar.gz")
    gone = folder.rename(folder.with_suffix(".gone"))
    monkeypatch.chdir(tmp_path)
    if path in TASKS:
        predict_from_archive(monkeypatch, path)
    if path.parent.name in OUTPUTS:
        predict_test_data(OUTPUTS[path.parent.name], data)
    allennlp(monkeypatch, "evaluate", "model.tar.gz", str(data), "--output-file", "metrics.json")
    assert json.loads(Path("metrics.json").read_text())["loss"] > 0.0
    gone.rename(folder)
    (tmp_path / "model.tar.gz").rename(folder / "model.tar.gz")


def predict_from_archive(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    """Predicts with the archive in the current folder, of sentences in each form."""
    predictor = str(predictor_of(path))
    lines = 'Ana saw Oslo .\n\n{"tokens": ["Fine", "."]}\n{"sentence": ""}\n'
    if predictor == "elmo_word_in_context":
        places = '"second": ["Run", "!"], "first_index": 1, "second_index": 0'
        lines = f'{{"first": "They run .", {places}}}\n' * 3
    monkeypatch.setattr(sys, "stdin", io.StringIO(lines))
    allennlp(
        monkeypatch,
        *("predict", "model.tar.gz", "-", "--silent", "--output-file", "out.jsonl"),
        *("--predictor", predictor, "--include-package", "elmo_components"),
    )
    predictions = [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()]
    assert len(predictions) == 3
    if predictor == "elmo_tagger":
        # Chinese is tagged by characters
        words = list("AnasawOslo.") if path.stem == "ner_zh" else ["Ana", "saw", "Oslo", "."]
        found = [prediction["words"] for prediction in predictions]
        assert found == [words, ["Fine", "."], []]
    if predictor == "elmo_translator":
        translations = [prediction["translation"] for prediction in predictions]
        assert translations[0] and translations[1] and translations[2] == ""


def predict_test_data(key: str, data: Path) -> None:
    """Predicts with the archive in the current folder, of the first instances of a file."""
    archive = load_archive("model.tar.gz")
    reader = archive.validation_dataset_reader
    instances = list(islice(reader.read(str(data)), 3))
    for instance in instances:
        reader.apply_token_indexers(instance)
    outputs = archive.model.eval().forward_on_instances(instances)
    assert len(outputs) == 3 and all(key in output for output in outputs)
    examples = {
        "label": {"premise": "Ada sold it .", "hypothesis": "Nobody did ."},
        "best_span_str": {"passage": "Ada sold a kettle in Brink.", "question": "Who?"},
    }
    if key in examples:
        name = str(archive.model.default_predictor)
        prediction = Predictor.from_archive(archive, name).predict_json(examples[key])
        assert isinstance(prediction[key], str)


@pytest.mark.parametrize("path", WITH_ELMO, ids=lambda path: path.stem)
def test_a_configuration_is_importable_and_overridable(path: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.jsonnet"
    mine.write_text(
        f"""
        local elmo = import '{ROOT}/training_configs/elmo.libsonnet';
        (import '{path}') {{
          data:: {{ train: std.extVar('TRAIN'), development: 'dev', test: 'test' }},
          architecture:: elmo.architectures.small,
          pretrained_file:: 'weights.hdf5',
          trainer+: {{ num_epochs: 3 }},
        }}
        """
    )
    config = Params.from_file(str(mine), ext_vars={"TRAIN": "my-train"}).as_dict(quiet=True)
    assert (config["train_data_path"], config["test_data_path"]) == ("my-train", "test")
    assert config["trainer"]["num_epochs"] == 3
    (text_field_embedder,) = (
        config["model"][key]
        for key in ("text_field_embedder", "source_text_embedder")
        if key in config["model"]
    )
    embedders = text_field_embedder["token_embedders"].values()
    (embedder,) = (one for one in embedders if "architecture" in one)
    assert embedder["pretrained_file"] == "weights.hdf5"
    assert embedder["requires_grad"] is ("finetuned" in path.stem)
    assert embedder["architecture"]["lstm"]["dim"] == 1024
    # what is read must be of the size of what is embedded
    size = ElmoConfig.from_options(embedder["architecture"]).output_size
    model = config["model"]
    if "pre_encode_feedforward" in model:
        assert model["pre_encode_feedforward"]["input_dim"] >= size
    elif model["type"] != "elmo_word_in_context":
        names = ("encoder", "seq2vec_encoder", "phrase_layer", "context_layer")
        (encoder,) = (model[key] for key in names if key in model)
        assert encoder["input_size"] >= size


@pytest.mark.parametrize("path", WITH_ELMO, ids=lambda path: path.stem)
def test_words_are_spelt_as_the_architecture_has_them(path: Path) -> None:
    snippet = f"""
        local elmo = import '{ROOT}/training_configs/elmo.libsonnet';
        (import '{path}') {{ architecture:: elmo.with_alphabet(super.architecture, 'äöü') }}
    """
    config = json.loads(_jsonnet.evaluate_snippet("snippet", snippet))
    reader = config["dataset_reader"]
    (indexers,) = (
        reader[key] for key in ("token_indexers", "source_token_indexers") if key in reader
    )
    (indexer,) = (one for one in indexers.values() if one["type"] == "elmo_character_ids")
    assert indexer["alphabet"] == "äöü"


@pytest.mark.parametrize("name", ["chinese.libsonnet", "letters.jsonnet"])
def test_a_corpus_is_spelt_as_the_architecture_has_it(name: str) -> None:
    snippet = f"""
        (import '{ROOT}/training_configs/language_model/{name}') {{
          data:: {{ train: '', development: '', test: '', vocabulary: '' }},
          alphabet:: '年在',
        }}
    """
    config = json.loads(_jsonnet.evaluate_snippet("snippet", snippet))
    assert config["model"]["architecture"]["char_cnn"]["alphabet"] == "年在"
    for reader in ("dataset_reader", "validation_dataset_reader"):
        (indexer,) = config[reader]["token_indexers"].values()
        assert indexer["alphabet"] == "年在"


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_header_gives_data_command_and_result(path: Path) -> None:
    header = "".join(line for line in path.open() if line.startswith("//"))
    relative = path.relative_to(ROOT)
    for part in (
        "Data:",
        f"allennlp train {relative}",
        "--include-package elmo_components",
        "Measured:",
    ):
        assert part in header, f"{relative} must say {part!r}"


@pytest.mark.parametrize("stem", ["english", "english_distilled"])
def test_the_english_pre_training_has_a_model_that_can_be(stem: str) -> None:
    path = ROOT / "training_configs" / "language_model" / f"{stem}.libsonnet"
    snippet = f"""(import '{path}') {{
        data:: {{ train: 'train', development: 'dev', test: 'test', vocabulary: 'words' }},
        minilm:: 'minilm', start:: 'start', word_vectors:: 'vectors',
    }}"""
    config = json.loads(_jsonnet.evaluate_snippet("snippet", snippet))
    assert config["model"].get("pretrained_file") == {"english_distilled": "start"}.get(stem)
    assert (config["train_data_path"], config["vocabulary"]["directory"]) == ("train", "words")
    size = sum(
        parameter.numel()
        for parameter in BiLm(ElmoConfig.from_options(config["model"]["architecture"])).parameters()
    )
    # in float16
    assert 2 * size < 16e6
