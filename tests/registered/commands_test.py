"""Tests of commands.py, and of the commands in docs/embedding.md."""

import gzip
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from allennlp.commands import main
from allennlp.common import Params
from allennlp.common.checks import ConfigurationError
from allennlp.data import DatasetReader

import elmo_components.registered  # noqa: F401
from elmo_components.checkpoints import load
from tests.checkpoints.allennlp.archive_test import archived, stock, tagger
from tests.conftest import ROOT

NAMES = ("embed", "convert", "export", "inspect", "vocabulary")


def command(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", ["allennlp", *map(str, arguments)])
    main("allennlp")


def test_the_commands_are_sub_commands_of_allennlp_and_their_help_has_examples(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        command(monkeypatch, "--help")
    commands = capsys.readouterr().out
    for name in NAMES:
        assert f"elmo-{name}" in commands
        with pytest.raises(SystemExit) as end:
            command(monkeypatch, f"elmo-{name}", "--help")
        assert end.value.code == 0
        printed = capsys.readouterr().out
        assert (
            re.search(r"examples?:\n  allennlp elmo-", printed) and "--include-package" in printed
        )


def test_errors_of_the_user_are_configuration_errors(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    nowhere = tmp_path / "nowhere"
    for arguments in (
        ("elmo-embed", nowhere, tmp_path / "a.npz", "--all"),
        ("elmo-convert", nowhere, tmp_path / "a"),
        ("elmo-export", nowhere, tmp_path / "a"),
        ("elmo-inspect", nowhere),
        ("elmo-vocabulary", nowhere, "--output", tmp_path / "a"),
    ):
        with pytest.raises(ConfigurationError, match="nowhere"):
            command(monkeypatch, *arguments)
    assert list(tmp_path.iterdir()) == []


def test_export_takes_the_bilm_out_of_an_archive(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    tiny_folder: Path,
) -> None:
    folder, _ = archived(tmp_path, tagger({"elmo": stock(tmp_path, tiny_folder)}))
    command(monkeypatch, "elmo-export", folder / "model.tar.gz", tmp_path / "a.safetensors")
    assert "with no softmax, in" in capsys.readouterr().out
    assert load(tmp_path / "a.safetensors").config == load(tiny_folder).config


@pytest.mark.parametrize("tokenizer", ["spacy_blank", '{"type": "spacy_blank", "language": "en"}'])
def test_the_tokenised_corpus_reads_as_the_corpus_does_with_the_tokenizer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tokenizer: str
) -> None:
    corpus, output, tokenized = tmp_path / "a.txt", tmp_path / "vocabulary", tmp_path / "tokenised"
    corpus.write_text(
        "The cat, the <UNK> </S>.\n\nthe cat 10\u00a0000 caf\u00e9s\x85the\n", "utf-8"
    )
    arguments = (corpus, "--output", output, "--tokenizer", tokenizer, "--tokenized", tokenized)
    command(monkeypatch, "elmo-vocabulary", *arguments)
    (part,) = tokenized.iterdir()
    lines = gzip.decompress(part.read_bytes()).decode()
    # white space within a token splits it
    assert lines == "The cat , the < UNK > < /S > .\nthe cat 10 000 caf\u00e9s the\n"

    def read(path: Path, **settings: object) -> list[list[str]]:
        reader = DatasetReader.from_params(Params({"type": "elmo_corpus", **settings}))
        return [[str(token.text) for token in instance["inputs"]] for instance in reader.read(path)]

    sentences = read(tokenized)
    assert sentences == read(corpus, tokenizer={"type": "spacy_blank"})
    words = (output / "vocab.txt").read_text("utf-8").split()
    assert set(words) == {"</S>", "<S>", "<UNK>", *(word for words in sentences for word in words)}


def test_an_unknown_tokenizer_is_a_configuration_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.txt").write_text("a\n")
    for tokenizer, message in (("{", "must be a name or JSON"), ("spaci", "spaci")):
        with pytest.raises(ConfigurationError, match=message):
            arguments = (tmp_path / "a.txt", "--output", "v", "--tokenizer", tokenizer)
            command(monkeypatch, "elmo-vocabulary", *arguments)


def test_the_commands_of_the_documentation_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pyarrow")
    shutil.copytree(ROOT / "fixtures", tmp_path / "fixtures")
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs" / "embedding.md").read_text(encoding="utf-8")
    ran = 0
    for language, block in re.findall(r"^```(\w+)\n(.*?)^```$", page, flags=re.M | re.S):
        if language == "python":
            exec(compile(block, "embedding.md", "exec"), {})
            continue
        for line in block.replace("\\\n", " ").splitlines():
            before, name, embed = line.rpartition("elmo embed")
            if not name:
                subprocess.run(["bash", "-euc", line], check=True)
                continue
            arguments = shlex.split(embed)
            piped = before.strip().rstrip("|").strip()
            with open(tmp_path / "piped", "w+b") as standard_input:
                if piped:
                    subprocess.run(["bash", "-euc", piped], check=True, stdout=standard_input)
                    standard_input.seek(0)
                monkeypatch.setattr(sys, "stdin", standard_input)
                command(monkeypatch, "elmo-embed", *arguments)
            assert Path(arguments[1]).exists()
            ran += 1
    assert ran >= 4
