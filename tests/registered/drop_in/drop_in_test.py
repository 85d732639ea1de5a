"""Tests of the drop-in: its results equal those of AllenNLP's own classes."""

import copy
import inspect
import logging
import pickle
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional

import numpy
import pytest
import torch
from allennlp.common import FromParams, Params
from allennlp.common.checks import ConfigurationError
from allennlp.common.util import import_module_and_submodules
from allennlp.data import Token, TokenIndexer, Vocabulary
from allennlp.data.fields import ListField, TextField
from allennlp.data.token_indexers import ELMoTokenCharactersIndexer
from allennlp.models import Model
from allennlp.models.archival import archive_model, load_archive
from allennlp.modules import TokenEmbedder
from allennlp.modules.elmo import Elmo, batch_to_ids
from allennlp.modules.token_embedders import ElmoTokenEmbedder
from torch import distributed
from torch.multiprocessing import start_processes

from elmo_components.registered.drop_in.elmo import (
    DropInElmo,
    DropInElmoIndexer,
    DropInElmoTokenEmbedder,
    install,
    uninstall,
)
from tests.characters_test import WORDS
from tests.closeness import assert_close
from tests.registered.token_embedders.parity_test import BATCHES

IDS = batch_to_ids(BATCHES[0])
SETTINGS: list[dict[str, Any]] = [
    {},
    {"do_layer_norm": True},
    {"projection_dim": 5},
    {"scalar_mix_parameters": [0.3, -1.0, 2.0]},
    {"requires_grad": True},
]


@pytest.fixture(autouse=True)
def installed() -> Iterator[None]:
    """What importing `elmo_components.drop_in` does, undone for other tests."""
    install()
    yield
    uninstall()


@pytest.fixture
def stateful(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ELMO_STATEFUL", "1")


def warnings_of_ours(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if record.levelno >= logging.WARNING and record.name.startswith("elmo_components")
    ]


def pair(
    files: dict[str, str], **settings: Any
) -> tuple[ElmoTokenEmbedder, DropInElmoTokenEmbedder]:
    """AllenNLP's embedder and ours."""
    return ElmoTokenEmbedder(**files, **settings), DropInElmoTokenEmbedder(**files, **settings)


def test_importing_the_module_replaces_the_names_and_the_whole_package_does_not() -> None:
    uninstall()
    sys.modules.pop("elmo_components.drop_in", None)
    # what `--include-package` does
    import_module_and_submodules("elmo_components")
    assert TokenEmbedder.by_name("elmo_token_embedder") is ElmoTokenEmbedder
    assert TokenIndexer.by_name("elmo_characters") is ELMoTokenCharactersIndexer
    import_module_and_submodules("elmo_components.drop_in")
    assert TokenEmbedder.by_name("elmo_token_embedder") is DropInElmoTokenEmbedder
    assert TokenIndexer.by_name("elmo_characters") is DropInElmoIndexer


def test_a_model_that_takes_an_elmo_is_given_ours(files: dict[str, str]) -> None:
    class TakesElmo(FromParams):
        def __init__(self, elmo: Optional[Elmo] = None) -> None:
            self.elmo = elmo

    class OwnElmo(Elmo):
        pass

    def config() -> Params:
        return Params({**files, "num_output_representations": 2})

    assert type(TakesElmo.from_params(Params({"elmo": config()})).elmo) is DropInElmo
    assert type(OwnElmo.from_params(config())) is OwnElmo
    uninstall()
    assert type(TakesElmo.from_params(Params({"elmo": config()})).elmo) is Elmo


@pytest.mark.parametrize(
    "theirs, ours",
    [
        (Elmo, DropInElmo),
        (ElmoTokenEmbedder, DropInElmoTokenEmbedder),
        (ELMoTokenCharactersIndexer, DropInElmoIndexer),
    ],
)
def test_constructors_have_the_same_parameters(theirs: type, ours: type) -> None:
    expected, found = (
        [(name, parameter.default) for name, parameter in parameters.items()]
        for parameters in (inspect.signature(cls).parameters for cls in (theirs, ours))
    )
    assert found == expected


@pytest.mark.parametrize("settings", SETTINGS)
def test_parameters_are_the_same_to_the_last_bit(
    files: dict[str, str], settings: dict[str, Any]
) -> None:
    torch.manual_seed(7)
    theirs = ElmoTokenEmbedder(**files, **settings)
    after = torch.get_rng_state()
    torch.manual_seed(7)
    ours = DropInElmoTokenEmbedder(**files, **settings)
    # so that what a model draws after its ELMo is the same too
    assert torch.equal(torch.get_rng_state(), after)
    expected, found = dict(theirs.named_parameters()), dict(ours.named_parameters())
    assert list(found) == list(expected)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for name, parameter in found.items():
        assert parameter.requires_grad == expected[name].requires_grad
        assert torch.equal(parameter, expected[name]), name


def test_state_dicts_go_either_way(files: dict[str, str]) -> None:
    theirs, ours = pair(files, projection_dim=3)
    for source, target in ((theirs, ours), (ours, theirs)):
        for parameter in source.parameters():
            parameter.data.normal_()
        target.load_state_dict(source.state_dict())
        for expected, found in zip(source.parameters(), target.parameters()):
            assert torch.equal(found, expected)
        theirs._elmo._elmo_lstm._elmo_lstm.reset_states()
        torch.testing.assert_close(ours.eval()(IDS), theirs.eval()(IDS), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("settings", SETTINGS)
def test_stateful_numbers_are_the_same_over_five_batches(
    files: dict[str, str], settings: dict[str, Any], stateful: None
) -> None:
    torch.manual_seed(7)
    theirs = ElmoTokenEmbedder(**files, **settings).eval()
    torch.manual_seed(7)
    ours = DropInElmoTokenEmbedder(**files, **settings).eval()
    assert ours.get_output_dim() == theirs.get_output_dim()
    for batch in BATCHES:
        ids = batch_to_ids(batch)
        assert_close(ours(ids), theirs(ids))
    for embedder in (ours, theirs):
        embedder._elmo._elmo_lstm._elmo_lstm.reset_states()
    assert_close(ours(IDS), theirs(IDS))


def test_without_the_switch_no_state_is_kept(files: dict[str, str]) -> None:
    theirs, ours = (embedder.eval() for embedder in pair(files))
    for batch in BATCHES:
        theirs._elmo._elmo_lstm._elmo_lstm.reset_states()
        ids = batch_to_ids(batch)
        assert_close(ours(ids), theirs(ids))
    # the way in which code turned AllenNLP's state off turns ours on
    ours._elmo._elmo_lstm._elmo_lstm.stateful = True
    first = ours(IDS)
    assert not torch.allclose(ours(IDS), first)


def test_the_switch_is_0_or_1(files: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ELMO_STATEFUL", "yes")
    with pytest.raises(ConfigurationError, match="ELMO_STATEFUL must be 0 or 1; found 'yes'"):
        DropInElmoTokenEmbedder(**files)


def test_dropout_and_gradients_are_the_same(files: dict[str, str]) -> None:
    theirs, ours = pair(files, requires_grad=True, dropout=0.3)
    for embedder in (theirs, ours):
        torch.manual_seed(3)
        embedder.train()(IDS).pow(2).sum().backward()
    for (name, expected), found in zip(theirs.named_parameters(), ours.parameters()):
        assert_close(found.grad, expected.grad, name=name)


@pytest.mark.parametrize("keep_sentence_boundaries", [False, True])
def test_several_representations_are_the_same(
    files: dict[str, str], keep_sentence_boundaries: bool
) -> None:
    settings = {
        "num_output_representations": 2,
        "do_layer_norm": True,
        "keep_sentence_boundaries": keep_sentence_boundaries,
    }
    theirs, ours = (cls(**files, **settings).eval() for cls in (Elmo, DropInElmo))
    expected, found = theirs(IDS), ours(IDS)
    assert set(found) == set(expected)
    assert torch.equal(found["mask"], expected["mask"])
    for mine, other in zip(found["elmo_representations"], expected["elmo_representations"]):
        assert_close(mine, other)


def test_a_batch_of_empty_texts_has_the_shape_that_allennlp_gives_it(
    files: dict[str, str],
) -> None:
    ids = torch.zeros(2, 0, 50, dtype=torch.int64)
    theirs, ours = pair(files)
    assert ours.eval()(ids).shape == theirs.eval()(ids).shape == (2, 0, 16)


@pytest.mark.parametrize("requires_grad", [False, True])
def test_two_processes_have_the_mean_of_their_gradients(
    files: dict[str, str], requires_grad: bool, tmp_path: Path
) -> None:
    settings = {"requires_grad": requires_grad, "dropout": 0.0, "projection_dim": 3}
    embedders = []
    for ids in (IDS[:2], IDS[2:]):
        torch.manual_seed(5)
        embedders.append(DropInElmoTokenEmbedder(**files, **settings))
        embedders[-1](ids).pow(2).sum().backward()
    arguments = (files, settings, str(tmp_path))
    start_processes(_train_step, args=arguments, nprocs=2, start_method="fork")
    for rank in range(2):
        found = torch.load(tmp_path / f"gradients{rank}")
        for (name, one), other in zip(embedders[0].named_parameters(), embedders[1].parameters()):
            if one.requires_grad:
                assert_close(found.pop(name), (one.grad + other.grad) / 2, name=name)
        assert not found


def _train_step(rank: int, files: dict[str, str], settings: dict[str, Any], folder: str) -> None:
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2
    )
    torch.manual_seed(5)
    embedder = DropInElmoTokenEmbedder(**files, **settings)
    parallel = torch.nn.parallel.DistributedDataParallel(embedder)
    parallel((IDS[:2], IDS[2:])[rank]).pow(2).sum().backward()
    gradients = {
        name: parameter.grad
        for name, parameter in embedder.named_parameters()
        if parameter.requires_grad
    }
    torch.save(gradients, f"{folder}/gradients{rank}")
    distributed.destroy_process_group()


def test_another_module_is_taken_as_allennlp_takes_it(files: dict[str, str]) -> None:
    module = DropInElmo(**files, num_output_representations=1)._elmo_lstm
    ours = DropInElmo(None, None, 1, module=module, dropout=0.0)
    torch.testing.assert_close(
        ours(IDS)["elmo_representations"][0],
        DropInElmo(**files, num_output_representations=1, dropout=0.0)(IDS)["elmo_representations"][
            0
        ],
    )
    with pytest.raises(ConfigurationError, match="Don't provide options_file"):
        DropInElmo(**files, num_output_representations=1, module=module)


@pytest.mark.parametrize("requires_grad", [False, True])
def test_a_cached_vocabulary_gives_the_same_numbers(
    files: dict[str, str], requires_grad: bool
) -> None:
    words = ["@@PADDING@@", "@@UNKNOWN@@", "The", "bank", "river", "<S>"]
    theirs, ours = pair(files, vocab_to_cache=words, requires_grad=requires_grad)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    table = "_elmo._elmo_lstm._word_embedding.weight"
    assert_close(ours.state_dict()[table], theirs.state_dict()[table])
    ids = batch_to_ids([["The", "bank", "x"], ["river"]])
    # the second has a place beyond the vocabulary
    for places in ([[2, 3, 1], [4, 0, 0]], [[2, 3, 6], [4, 0, 0]], [[2, 0, 0], [1, 5, 3]]):
        theirs._elmo._elmo_lstm._elmo_lstm.reset_states()
        word_inputs = torch.tensor(places)
        expected = theirs.eval()(ids, word_inputs)
        assert_close(ours.eval()(ids, word_inputs), expected)


def test_word_inputs_without_a_vocabulary_are_ignored(
    files: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    ours = DropInElmoTokenEmbedder(**files).eval()
    assert torch.equal(ours(IDS, torch.ones(3, 5, dtype=torch.int64)), ours(IDS))
    (warning,) = warnings_of_ours(caplog)
    assert "word_inputs are ignored" in warning


def test_copies_and_moves_keep_what_computes_and_what_is_named_together(
    files: dict[str, str],
) -> None:
    original = DropInElmoTokenEmbedder(**files, requires_grad=True).eval()
    expected = original(IDS)
    for copied in (copy.deepcopy(original), pickle.loads(pickle.dumps(original))):
        torch.testing.assert_close(copied(IDS), expected)
        for parameter in copied.parameters():
            parameter.data.mul_(0.5)
        assert not torch.allclose(copied(IDS), expected)
        torch.testing.assert_close(original(IDS), expected)
    wide = copy.deepcopy(original).double()
    assert_close(wide(IDS), expected.double())
    assert {parameter.dtype for parameter in wide.parameters()} == {torch.float64}
    wide(IDS).sum().backward()
    assert all(parameter.grad is not None for parameter in wide.parameters())


def test_the_indexer_gives_the_same_ids() -> None:
    vocabulary = Vocabulary()
    for settings in (
        {},
        {"namespace": "other", "token_min_padding_length": 30},
        {"tokens_to_add": {"<S>": 5, "[MASK]": 6}},
    ):
        found, expected = (
            TokenIndexer.from_params(Params({"type": "elmo_characters", **copy.deepcopy(settings)}))
            if ours
            else ELMoTokenCharactersIndexer(**settings)
            for ours in (True, False)
        )
        assert isinstance(found, DropInElmoIndexer)
        tensors = []
        for indexer in (found, expected):
            indices = indexer.tokens_to_indices(
                [Token(word) for word in [*WORDS, "[MASK]"]], vocabulary
            )
            lengths = indexer.get_padding_lengths(indices)
            tensors.append(indexer.as_padded_tensor_dict(indices, lengths)["elmo_tokens"])
        assert torch.equal(*tensors)
        assert found == copy.deepcopy(found)
        assert found != DropInElmoIndexer(tokens_to_add={"x": 1})
        lists = ListField(
            [TextField([Token("a")], {"i": found}), TextField([Token("b")] * 2, {"i": found})]
        )
        lists.index(vocabulary)
        lengths = {**lists.get_padding_lengths(), "num_fields": 3}
        padded = lists.as_tensor(lengths)["i"]["elmo_tokens"]
        assert padded.shape[0] == 3 and not padded[2].any()


def tagger(files: dict[str, str], *, others: Optional[dict[str, str]] = None) -> dict[str, Any]:
    """A small tagger's configuration; with a second ELMo on request."""
    names = {"elmo": files} if others is None else {"elmo": files, "other": others}
    return {
        "dataset_reader": {
            "type": "sequence_tagging",
            "token_indexers": {name: {"type": "elmo_characters"} for name in names},
        },
        "model": {
            "type": "simple_tagger",
            "text_field_embedder": {
                "token_embedders": {
                    name: {"type": "elmo_token_embedder", **of_name}
                    for name, of_name in names.items()
                }
            },
            "encoder": {"type": "pass_through", "input_dim": 16 * len(names)},
        },
    }


def archived(config: dict[str, Any], folder: Path) -> Path:
    """Archives a model of that configuration, with other weights than the files have."""
    vocabulary = Vocabulary()
    for label in "ABC":
        vocabulary.add_token_to_namespace(label, "labels")
    model = Model.from_params(Params(copy.deepcopy(config["model"])), vocab=vocabulary)
    for parameter in model.parameters():
        parameter.data.add_(torch.randn(parameter.shape) * 0.01)
    folder.mkdir()
    vocabulary.save_to_files(str(folder / "vocabulary"))
    Params(copy.deepcopy(config)).to_file(str(folder / "config.json"))
    torch.save(model.state_dict(), folder / "best.th")
    return Path(archive_model(str(folder)))


def predictions(path: Path) -> numpy.ndarray:
    """The probabilities that a freshly loaded archive gives to the labels of some sentences."""
    archive = load_archive(path)
    instances = [
        archive.dataset_reader.text_to_instance([Token(word) for word in sentence])
        for sentence in BATCHES[0]
    ]
    for instance in instances:
        archive.dataset_reader.apply_token_indexers(instance)
    outputs = archive.model.eval().forward_on_instances(instances)
    return numpy.concatenate([output["class_probabilities"] for output in outputs])


def remove(files: dict[str, str], *names: str) -> None:
    for name in names:
        Path(files[name]).unlink()


@pytest.mark.parametrize("made_by_allennlp", [True, False])
def test_an_archive_loads_without_its_files(
    files: dict[str, str],
    tmp_path: Path,
    made_by_allennlp: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    if made_by_allennlp:
        uninstall()
    path = archived(tagger(files), tmp_path / "model")
    uninstall()
    # either is read by AllenNLP
    expected = predictions(path)
    install()
    assert_close(predictions(path), expected)
    remove(files, "weight_file")
    assert_close(predictions(path), expected)
    assert warnings_of_ours(caplog) == []
    remove(files, "options_file")
    assert_close(predictions(path), expected)
    (warning,) = warnings_of_ours(caplog)
    assert "cell_clip 3, proj_clip 3, activation relu, skip connections" in warning


def test_an_archive_keeps_to_its_options_while_they_are_there(
    tiny_folder: Path, tmp_path: Path
) -> None:
    files = {}
    for key, name in (("options_file", "options.json"), ("weight_file", "weights.hdf5")):
        files[key] = shutil.copy(tiny_folder / name, tmp_path)
    path = archived(tagger(files), tmp_path / "model")
    expected = predictions(path)
    remove(files, "weight_file")
    assert_close(predictions(path), expected, 1e-6)
    remove(files, "options_file")
    # this one is clipped lower than any that was published
    assert abs(predictions(path) - expected).max() > 1e-4


def test_an_archive_with_a_cached_vocabulary_loads(files: dict[str, str], tmp_path: Path) -> None:
    config = tagger(files)
    embedder = config["model"]["text_field_embedder"]["token_embedders"]["elmo"]
    embedder["vocab_to_cache"] = ["@@PADDING@@", "bank"]
    path = archived(config, tmp_path / "model")
    uninstall()
    expected = predictions(path)
    install()
    remove(files, "weight_file", "options_file")
    assert_close(predictions(path), expected)


def test_two_elmos_of_one_size_load_without_files_and_of_two_sizes_do_not(
    files: dict[str, str], tiny_folder: Path, tmp_path: Path
) -> None:
    path = archived(tagger(files, others=files), tmp_path / "model")
    expected = predictions(path)
    state = torch.load(tmp_path / "model" / "best.th")
    remove(files, "weight_file", "options_file")
    assert_close(predictions(path), expected, 1e-6)
    name = next(name for name in state if name.endswith("char_conv_2.weight") and "other" in name)
    state[name] = state[name][:, :, :2]
    torch.save(state, tmp_path / "model" / "best.th")
    with pytest.raises(ConfigurationError, match=r"ELMos of one architecture.*found 2, at"):
        load_archive(archive_model(str(tmp_path / "model")))


def test_files_that_are_missing_outside_an_archive_are_an_error(files: dict[str, str]) -> None:
    remove(files, "weight_file")
    with pytest.raises(ConfigurationError, match=r"weight_file must be readable; .*weights.hdf5"):
        DropInElmoTokenEmbedder(**files)
    remove(files, "options_file")
    with pytest.raises(ConfigurationError, match=r"options_file must be readable JSON; .*options"):
        DropInElmoTokenEmbedder(**files)


def test_the_options_that_are_named_count_and_not_those_beside_the_weights(
    files: dict[str, str],
) -> None:
    named = Path(files["options_file"]).rename(Path(files["options_file"]).with_name("named.json"))
    Path(files["options_file"]).write_text("{}")
    found = DropInElmoTokenEmbedder(str(named), files["weight_file"]).eval()(IDS)
    expected = ElmoTokenEmbedder(str(named), files["weight_file"]).eval()(IDS)
    assert_close(found, expected)


def test_options_that_cannot_be_are_an_error(files: dict[str, str]) -> None:
    Path(files["options_file"]).write_text("{}")
    with pytest.raises(ConfigurationError, match=r"options\.json: .*char_cnn must be an object"):
        DropInElmoTokenEmbedder(**files)


class _Hides(Model):
    """A model whose weights have no ELMo: it keeps one where no state dict looks."""

    def __init__(self, vocab: Vocabulary, elmo: Elmo) -> None:
        super().__init__(vocab)
        self.hidden = [elmo]
        self.linear = torch.nn.Linear(1, 1)


@pytest.fixture
def hiding(files: dict[str, str], tmp_path: Path) -> Iterator[Path]:
    """A training folder of such a model."""
    Model.register("hides")(_Hides)
    folder = tmp_path / "hiding"
    folder.mkdir()
    config = {
        "dataset_reader": {"type": "sequence_tagging"},
        "model": {"type": "hides", "elmo": {**files, "num_output_representations": 1}},
    }
    Params(config).to_file(str(folder / "config.json"))
    Vocabulary().save_to_files(str(folder / "vocabulary"))
    torch.save(
        {"linear.weight": torch.ones(1, 1), "linear.bias": torch.ones(1)}, folder / "best.th"
    )
    yield folder
    del Model._registry[Model]["hides"]


def test_weights_that_an_archive_has_not_are_read_at_the_first_call(
    hiding: Path, files: dict[str, str]
) -> None:
    (elmo,) = load_archive(hiding).model.hidden
    (expected,) = Elmo(**files, num_output_representations=1).eval()(IDS)["elmo_representations"]
    assert_close(elmo.eval()(IDS)["elmo_representations"][0], expected)
    remove(files, "weight_file")
    (elmo,) = load_archive(hiding).model.hidden
    with pytest.raises(ConfigurationError, match="weight_file must be readable"):
        elmo(IDS)
    remove(files, "options_file")
    with pytest.raises(ConfigurationError, match=r"ELMos of one architecture.*found 0"):
        load_archive(hiding)
