"""Tests of the pipe "elmo_tagger", with a tagger that has learned a few sentences by heart."""

import shutil
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import allennlp_models.tagging  # noqa: F401
import pytest
import spacy
from allennlp.commands.train import train_model
from allennlp.common import Params
from allennlp.common.checks import ConfigurationError
from spacy.language import Language
from spacy.tokens import Doc, DocBin, Span
from spacy.training import Example

import elmo_components.integrations.spacy.factories
import elmo_components.registered

NAMES = """Ana\tB-person
Díaz\tI-person
,\tO
in\tO
Oslo\tB-location

's\tO
port\tO
York\tB-location
In\tO

Oslo\tB-location
the\tO
Ana\tB-person
in\tO
"""
PARTS = "Dogs\tNOUN\nbark\tVERB\n.\tPUNCT\n\nCats\tNOUN\nsleep\tVERB\n.\tPUNCT\n"


def train(folder: Path, data: str, model: dict[str, Any]) -> Path:
    """Returns the archive of a tagger that knows `data` by heart."""
    folder.mkdir()
    (folder / "data.txt").write_text(data, encoding="utf-8")
    embedder = {"token_embedders": {"tokens": {"type": "embedding", "embedding_dim": 16}}}
    config = {
        "dataset_reader": {"type": "elmo_columns"},
        "train_data_path": str(folder / "data.txt"),
        "model": {
            **model,
            "text_field_embedder": embedder,
            "encoder": {"type": "pass_through", "input_dim": 16},
        },
        "data_loader": {"batch_size": 4},
        "trainer": {
            "num_epochs": 80,
            "optimizer": {"type": "adam", "lr": 0.1},
            "cuda_device": -1,
            "checkpointer": None,
        },
    }
    train_model(Params(config), str(folder / "out"))
    return folder / "out" / "model.tar.gz"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    return train(folder / "names", NAMES, {"type": "crf_tagger", "label_encoding": "BIO"})


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(tmp_path_factory.mktemp("trained") / "parts", PARTS, {"type": "simple_tagger"})


def pipeline(archive: Path, **settings: Any) -> Language:
    nlp = spacy.blank("en")
    nlp.add_pipe("elmo_tagger", config={"archive": str(archive), **settings})
    return nlp


def entities(doc: Doc) -> list[tuple[str, str]]:
    return [(ent.text, ent.label_) for ent in doc.ents]


def test_entities_have_a_label_and_a_probability(archive: Path) -> None:
    doc = pipeline(archive)("Ana Díaz, in Oslo")
    assert entities(doc) == [("Ana Díaz", "person"), ("Oslo", "location")]
    assert all(0.9 < ent._.elmo_score <= 1.0 for ent in doc.ents)
    assert [token.ent_iob_ for token in doc] == ["B", "I", "O", "O", "B"]
    assert doc[0:1]._.elmo_score is None


def test_a_stream_equals_its_documents_in_their_order(archive: Path) -> None:
    nlp = pipeline(archive, batch_size=2)
    texts = ["Ana in Oslo", "", "  \n ", "the York", "Ana Díaz, in Oslo the port", "York"]
    expected = [(entities(doc), [ent._.elmo_score for ent in doc.ents]) for doc in map(nlp, texts)]
    for settings in ({}, {"batch_size": 1}, {"n_process": 2}):
        docs = list(nlp.pipe(texts, **settings))
        assert [doc.text for doc in docs] == texts
        for doc, (found, scores) in zip(docs, expected):
            assert entities(doc) == found
            assert [ent._.elmo_score for ent in doc.ents] == pytest.approx(scores, abs=1e-6)


def test_white_space_is_no_token_of_the_model(archive: Path) -> None:
    doc = pipeline(archive)("in\n Ana \n Díaz , in Oslo")
    assert entities(doc) == [("Ana \n Díaz", "person"), ("Oslo", "location")]


def test_sentences_are_tagged_separately(archive: Path) -> None:
    nlp = spacy.blank("en")
    words = ["Ana", "Díaz"]
    nlp.add_pipe("elmo_tagger", config={"archive": str(archive)})
    together = nlp.get_pipe("elmo_tagger")(Doc(nlp.vocab, words))
    apart = nlp.get_pipe("elmo_tagger")(Doc(nlp.vocab, words, sent_starts=[True, True]))
    assert entities(together) == [("Ana Díaz", "person")]
    # no entity crosses a sentence's end
    assert all(len(ent) == 1 for ent in apart.ents)


def test_entities_of_earlier_pipes_stay(archive: Path) -> None:
    nlp = spacy.blank("en")
    nlp.add_pipe("entity_ruler").add_patterns([{"label": "GREETING", "pattern": "in Oslo"}])
    nlp.add_pipe("elmo_tagger", config={"archive": str(archive)})
    doc = nlp("Ana Díaz, in Oslo")
    assert entities(doc) == [("Ana Díaz", "person"), ("in Oslo", "GREETING")]
    assert doc.ents[1]._.elmo_score is None


def test_blocked_tokens_stay_outside(archive: Path) -> None:
    nlp = pipeline(archive)
    doc = nlp.make_doc("Ana Díaz, in Oslo")
    doc.set_ents([], blocked=[doc[1:2]], default="missing")
    assert entities(nlp.get_pipe("elmo_tagger")(doc)) == [("Oslo", "location")]


def test_entities_without_a_type_have_a_label(tmp_path: Path) -> None:
    terms = "the\tO\nbattery\tB\nlife\tI\nis\tO\n\nlong\tO\nlife\tB\n"
    model = {"type": "crf_tagger", "label_encoding": "BIO"}
    doc = pipeline(train(tmp_path / "terms", terms, model))("the battery life is")
    assert entities(doc) == [("battery life", "ENTITY")]


def test_other_tags_become_tags(parts: Path) -> None:
    nlp = pipeline(parts)
    doc = nlp("Dogs sleep.")
    assert [token.tag_ for token in doc] == ["NOUN", "VERB", "PUNCT"]
    assert [token.pos_ for token in doc] == ["NOUN", "VERB", "PUNCT"]
    assert all(0.9 < token._.elmo_score <= 1.0 for token in doc)
    gold = Doc(nlp.vocab, ["Dogs", "sleep", "."], tags=["NOUN", "VERB", "X"])
    assert nlp.evaluate([Example(nlp.make_doc("Dogs sleep."), gold)])["tag_acc"] == 2 / 3


def test_entities_are_scored(archive: Path) -> None:
    nlp = pipeline(archive)
    gold = Doc(nlp.vocab, ["Ana", "in", "Oslo"], ents=["B-person", "O", "O"])
    scores = nlp.evaluate([Example(nlp.make_doc("Ana in Oslo"), gold)])
    assert (scores["ents_p"], scores["ents_r"]) == (0.5, 1.0)


def test_a_saved_pipeline_has_its_archive(archive: Path, tmp_path: Path) -> None:
    mine = shutil.copy(archive, tmp_path / "mine.tar.gz")
    pipeline(mine).to_disk(tmp_path / "saved")
    Path(mine).unlink()
    shutil.move(tmp_path / "saved", tmp_path / "moved")
    nlp = spacy.load(tmp_path / "moved")
    assert entities(nlp("Ana in Oslo")) == [("Ana", "person"), ("Oslo", "location")]
    # onto itself, elsewhere, and as bytes
    for folder in ("moved", "again"):
        nlp.to_disk(tmp_path / folder)
        assert len(spacy.load(tmp_path / folder)("Ana in Oslo").ents) == 2
    loaded = spacy.blank("en")
    loaded.add_pipe("elmo_tagger")
    loaded.from_bytes(nlp.to_bytes())
    assert len(loaded("Ana in Oslo").ents) == 2
    loaded.to_disk(tmp_path / "from_bytes")
    assert len(spacy.load(tmp_path / "from_bytes")("Ana in Oslo").ents) == 2


def test_scores_are_stored_with_documents(archive: Path) -> None:
    nlp = pipeline(archive)
    doc = nlp("Ana in Oslo")
    binary = DocBin(docs=[doc], store_user_data=True).to_bytes()
    (read,) = DocBin().from_bytes(binary).get_docs(nlp.vocab)
    assert [ent._.elmo_score for ent in read.ents] == [ent._.elmo_score for ent in doc.ents]


def test_no_archive_is_an_error_that_shows_how_to_name_one(tmp_path: Path) -> None:
    nlp = spacy.blank("en")
    nlp.add_pipe("elmo_tagger")
    with pytest.raises(ConfigurationError, match=r'config=\{"archive": "model.tar.gz"\}'):
        nlp("Ana")
    missing = pipeline(tmp_path / "missing.tar.gz")
    with pytest.raises(FileNotFoundError, match=r"does not exist: .*missing\.tar\.gz"):
        missing("Ana")
    with pytest.raises(ConfigurationError, match="batch_size must be 1 or more; found 0"):
        pipeline(tmp_path / "missing.tar.gz", batch_size=0)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("models/tiny.safetensors", "found another kind of file"),
        ("models/tiny", "found a folder"),
        ("before/language_model.tar.gz", "found a ElmoLanguageModel"),
    ],
)
def test_another_file_is_an_error_that_says_what_it_is(
    path: str, message: str, fixtures: Path
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        pipeline(fixtures / path)


@pytest.mark.parametrize("config", ["{}", '{"model": 3}', "nothing"])
def test_an_archive_without_a_model_is_an_error(config: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(config)
    with tarfile.open(tmp_path / "model.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "config.json", arcname="config.json")
    with pytest.raises(ConfigurationError, match="found another kind of file"):
        pipeline(tmp_path / "model.tar.gz")


def test_a_classifier_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "data.txt").write_text("good\tYes .\nbad\tNo .\n")
    config = {
        "dataset_reader": {"type": "elmo_labelled_lines"},
        "train_data_path": str(tmp_path / "data.txt"),
        "model": {
            "type": "basic_classifier",
            "text_field_embedder": {
                "token_embedders": {"tokens": {"type": "embedding", "embedding_dim": 4}}
            },
            "seq2vec_encoder": {"type": "boe", "embedding_dim": 4},
        },
        "data_loader": {"batch_size": 2},
        "trainer": {"num_epochs": 1, "optimizer": {"type": "sgd", "lr": 0.1}, "cuda_device": -1},
    }
    train_model(Params(config), str(tmp_path / "out"))
    with pytest.raises(ConfigurationError, match=r"must have a tagger.*found a BasicClassifier"):
        pipeline(tmp_path / "out" / "model.tar.gz")


def test_without_allennlp_an_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    factories = elmo_components.integrations.spacy.factories
    monkeypatch.setattr(factories, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match='"elmo_tagger" needs AllenNLP'):
        spacy.blank("en").add_pipe("elmo_tagger")


def test_an_archive_of_a_frozen_elmo_runs(fixtures: Path) -> None:
    nlp = pipeline(fixtures / "before" / "tagger.tar.gz")
    (doc,) = nlp.pipe(["Ana lives in Oslo ."])
    spans: Iterable[Span] = doc.ents
    assert all(0.0 <= span._.elmo_score <= 1.0 for span in spans)
