"""Archives of AllenNLP's own models, whose default predictors would download a model of spaCy's."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import allennlp_models.tagging  # noqa: F401
import pytest
from allennlp.commands import main
from allennlp.commands.train import train_model
from allennlp.common import Params

import elmo_components.registered  # noqa: F401


@pytest.mark.parametrize(
    ("reader", "model", "data", "text", "expected"),
    [
        (
            {"type": "elmo_columns", "tokenizer": {"type": "spacy_blank", "language": "zh"}},
            {
                "type": "crf_tagger",
                "label_encoding": "BIO",
                "encoder": {"type": "pass_through", "input_dim": 4},
            },
            "我 B-a\n在 O\n",
            "\ufeff我在\n",
            {"words": ["我", "在"]},
        ),
        (
            {"type": "elmo_labelled_lines"},
            {"type": "basic_classifier", "seq2vec_encoder": {"type": "boe", "embedding_dim": 4}},
            "Fine\tgood\n",
            "\ufeffFine\n",
            {"label": "good"},
        ),
    ],
)
def test_an_archive_predicts_raw_text_without_a_download(
    reader: dict[str, Any],
    model: dict[str, Any],
    data: str,
    text: str,
    expected: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "data.txt").write_text(data, encoding="utf-8")
    embedder = {"token_embedders": {"tokens": {"type": "embedding", "embedding_dim": 4}}}
    config = {
        "dataset_reader": reader,
        "train_data_path": str(tmp_path / "data.txt"),
        "model": {**model, "text_field_embedder": embedder},
        "data_loader": {"batch_size": 2},
        "trainer": {"num_epochs": 1, "optimizer": {"type": "sgd", "lr": 0.1}, "cuda_device": -1},
    }
    train_model(Params(config), str(tmp_path / "out"))
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))
    archive, output = str(tmp_path / "out" / "model.tar.gz"), str(tmp_path / "out.jsonl")
    arguments = ["allennlp", "predict", archive, "-", "--silent", "--output-file", output]
    monkeypatch.setattr(sys, "argv", arguments)
    main()
    (line,) = Path(output).read_text().splitlines()
    prediction = json.loads(line)
    assert {key: prediction[key] for key in expected} == expected
