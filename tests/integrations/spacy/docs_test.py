"""Runs the blocks of docs/spacy.md, with the fixtures' models and little training."""

import re
import shlex
import shutil
from pathlib import Path

import pytest
from spacy.cli.evaluate import evaluate
from spacy.cli.train import train
from spacy.language import Language

from elmo_components.integrations.spacy import factories, tok2vec  # noqa: F401
from tests.conftest import ROOT
from tests.integrations.spacy.training_configs_test import readable

PAGE = (ROOT / "docs" / "spacy.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)
EMBED = "[components.tok2vec.model.embed]"


def test_the_blocks_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fixtures: Path, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("fixtures").symlink_to(fixtures)
    Path("output", "ner").mkdir(parents=True)
    shutil.copy(fixtures / "before" / "tagger.tar.gz", "output/ner/model.tar.gz")
    # one session, as a reader has it
    session: dict[str, object] = {}
    for language, text in BLOCKS:
        if language == "python":
            exec(compile(text, "spacy.md", "exec"), session)
    assert f"# {capsys.readouterr().out.splitlines()[0]}\n" in PAGE
    (commands,) = (text for name, text in BLOCKS if name == "bash" and "spacy train" in text)
    first, second = map(shlex.split, commands.splitlines())
    config, options = first[2], dict(zip(first[3::2], first[4::2]))
    train(
        readable(ROOT / config, tmp_path),
        Path(options.pop("--output")),
        overrides={
            **{name.removeprefix("--"): value for name, value in options.items()},
            "training.max_steps": 2,
            "training.eval_frequency": 1,
            "components.tok2vec.model.embed.model": "fixtures/models/tiny",
        },
    )
    assert second[:2] == ["spacy", "evaluate"] and second[4:] == ["--gold-preproc"]
    assert "tag_acc" in evaluate(second[2], Path(second[3]), gold_preproc=True)


def test_the_block_of_a_configuration_is_that_of_the_files() -> None:
    (block,) = (text for name, text in BLOCKS if name == "ini")
    for path in (ROOT / "training_configs" / "spacy").glob("*.cfg"):
        assert block in path.read_text(encoding="utf-8")


def test_settings_and_defaults_are_the_pipe_s() -> None:
    table = dict(re.findall(r"^\| `(\w+)` \|.*\| (\S+) \|$", PAGE, flags=re.MULTILINE))
    defaults = Language.get_factory_meta("elmo").default_config
    assert {name: value.strip('`"') for name, value in table.items()} == {
        name: str(value) for name, value in defaults.items()
    }
