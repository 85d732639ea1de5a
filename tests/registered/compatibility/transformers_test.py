"""Tests of the patch for newer transformers."""

import json
from pathlib import Path

from allennlp.data.tokenizers import PretrainedTransformerTokenizer

import elmo_components.registered  # noqa: F401


def test_a_transformer_s_tokenizer_can_be_made_and_adds_its_marks_once(tmp_path: Path) -> None:
    # fails without the patch on transformers 4.48, not on 4.20
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "the", "bank", "##er"]
    (tmp_path / "vocab.txt").write_text("\n".join(words) + "\n")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert", "vocab_size": 10}))
    tokenizer = PretrainedTransformerTokenizer(str(tmp_path))
    tokens = [token.text for token in tokenizer.tokenize("The banker")]
    assert tokens == ["[CLS]", "the", "bank", "##er", "[SEP]"]
    pieces, offsets = tokenizer.intra_word_tokenize(["the", "banker"])
    assert [token.text for token in pieces] == tokens
    assert offsets == [(1, 1), (2, 3)]
