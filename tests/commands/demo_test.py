"""Tests the command that serves the page, without the serving."""

import socket
from pathlib import Path
from typing import Any

import pytest

from elmo_components.commands import demo
from elmo_components.demo.page import HOST
from tests.commands.running import run

PORT = 47860


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What would be served."""
    pytest.importorskip("gradio", minversion="6")
    calls: list[dict[str, Any]] = []

    def serve(page: Any, *, port: int) -> None:
        calls.append({"page": page, "port": port})
        monkeypatch.setattr(page, "block_thread", lambda: None)

    monkeypatch.setattr(demo, "serve", serve)
    return calls


def test_the_page_is_served_with_a_model_and_without_an_archive(
    served: list[dict[str, Any]], tiny_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(demo, "--model", tiny_folder, "--port", PORT)
    (call,) = served
    assert call["port"] == PORT
    assert f"Open http://{HOST}:{PORT} in a browser" in capsys.readouterr().out


def test_an_archive_adds_the_function_that_tags(
    served: list[dict[str, Any]], tiny_folder: Path, fixtures: Path
) -> None:
    pytest.importorskip("allennlp")
    archive = fixtures / "before" / "tagger.tar.gz"
    run(demo, archive, "--model", tiny_folder, "--port", PORT)
    names = {function.api_name for function in served[0]["page"].fns.values()}
    assert {"tag", "uses"} <= names
    run(demo, archive, "--port", PORT)
    pages = [
        " ".join(str(getattr(block, "value", "")) for block in call["page"].blocks.values())
        for call in served
    ]
    # a model of the same sizes is another one; the archive's own has its mix
    assert "no mix of this model" in pages[0]
    assert "no mix of this model" not in pages[1]
    assert str(archive) in pages[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--model", "nothing"), "no checkpoint at nothing"),
        (("nothing.tar.gz",), r"no archive nothing.tar.gz. Give the model.tar.gz"),
        (("--language", "klingon"), "'klingon', which must be a code"),
        (("--port", "70000"), "--port must be 1 to 65535; found 70000"),
    ],
)
def test_wrong_arguments_are_one_line(
    served: list[dict[str, Any]], arguments: tuple[str, ...], message: str
) -> None:
    if "--port" not in arguments:
        arguments = (*arguments, "--port", str(PORT))
    with pytest.raises((ValueError, OSError), match=message) as caught:
        run(demo, *arguments)
    assert "\n" not in str(caught.value)
    assert not served


def test_a_port_in_use_is_an_error_before_anything_is_loaded(
    served: list[dict[str, Any]],
) -> None:
    with socket.socket() as server:
        server.bind((HOST, 0))
        server.listen()
        port = server.getsockname()[1]
        with pytest.raises(OSError, match=f"Port {port} is in use. Choose another with --port"):
            run(demo, "--model", "nothing", "--port", port)
