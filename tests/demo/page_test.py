"""Tests the page as its users meet it: over HTTP, and in headless Chromium where there is one."""

import re
import socket
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import pytest

from elmo_components.demo.examples import TEXTS
from elmo_components.demo.page import HOST, build_page, check_port, serve
from elmo_components.demo.tagging import TextTagger
from elmo_components.elmo import Elmo
from elmo_components.inspection.report import inspect
from elmo_components.pretraining.tokenization import SpacyRules
from tests.demo.browser import Browser, find_chromium
from tests.demo.pipes import entity_pipeline

TEXT = "Ada met Bob ."
USES = "The bank is near .\nA bank lends money .\nOur bank closed ."


def free_port() -> int:
    with socket.socket() as server:
        server.bind((HOST, 0))
        return int(server.getsockname()[1])


@pytest.fixture(scope="module")
def address(fixtures: Path) -> Iterator[str]:
    pytest.importorskip("gradio", minversion="6")
    folder = fixtures / "models" / "tiny"
    tagger = TextTagger(entity_pipeline())
    elmo, inspection = Elmo.from_pretrained(folder), inspect(folder)
    page = build_page(elmo, inspection, tagger=tagger, split=SpacyRules("en").words)
    port = free_port()
    serve(page, port=port)
    yield f"http://{HOST}:{port}"
    page.close(verbose=False)


@pytest.fixture(scope="module")
def client(address: str) -> Any:
    gradio_client = pytest.importorskip("gradio_client")
    return gradio_client.Client(
        address,
        verbose=False,
        analytics_enabled=False,
        # A request takes three threads, and waits for ever for the last: Gradio's issue 13760.
        max_workers=100,
        # In seconds, for an answer of the server; 5 is too few on a busy machine.
        httpx_kwargs={"timeout": 120},
    )


@pytest.fixture(scope="module")
def browser(address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    pytest.importorskip("aiohttp")
    if find_chromium() is None:
        pytest.skip("needs chromium: apt-get install -y chromium")
    with Browser(tmp_path_factory.mktemp("chromium")) as running:
        running.open(address)
        yield running


def test_twenty_requests_at_once_are_all_answered(client: Any) -> None:
    texts = [f"Ada met {place} ." for place in range(10)]
    with ThreadPoolExecutor(20) as pool:
        tagged = [pool.submit(client.predict, text, api_name="/tag") for text in texts]
        used = [
            pool.submit(client.predict, "bank", USES, layer, api_name="/uses")
            for layer in ("top", "mean", "0", "1", "2") * 2
        ]
        answers = [future.result(timeout=120) for future in tagged]
        maps = [future.result(timeout=120)[0] for future in used]
    for text, answer in zip(texts, answers):
        assert f"</mark>{text.removeprefix('Ada')}</div>" in answer
    assert all("<svg" in one for one in maps)


@pytest.mark.parametrize(
    ("inputs", "name", "message"),
    [
        (("",), "/tag", "Enter a text"),
        (("a" * 10_001,), "/tag", "at most 10,000 characters; found 10,001"),
        (("", USES, "top"), "/uses", "Enter a word"),
        (("river", USES, "top"), "/uses", "found nowhere"),
    ],
)
def test_bad_input_is_an_error_with_its_message(
    client: Any, inputs: tuple[str, ...], name: str, message: str
) -> None:
    with pytest.raises(Exception, match=message):
        client.predict(*inputs, api_name=name)


def test_a_port_in_use_is_named_with_the_option(address: str) -> None:
    port = int(address.rpartition(":")[2])
    with pytest.raises(OSError, match=rf"Port {port} is in use. Choose another with --port"):
        check_port(port)


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_a_number_that_is_no_port_is_an_error(port: int) -> None:
    with pytest.raises(ValueError, match=f"--port must be 1 to 65535; found {port}"):
        check_port(port)


def test_a_missing_gradio_names_the_extra(monkeypatch: pytest.MonkeyPatch, tiny: Elmo) -> None:
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(ValueError, match=r"gradio: pip install 'elmo_components\[demo\]'"):
        build_page(tiny, inspect("english"))


def test_without_an_archive_the_tab_says_how_to_get_one(tiny_folder: Path, tiny: Elmo) -> None:
    pytest.importorskip("gradio", minversion="6")
    page = build_page(tiny, inspect(tiny_folder))
    texts = [str(getattr(block, "value", "")) for block in page.blocks.values()]
    assert any("elmo demo output/ner/model.tar.gz" in text for text in texts)
    assert "tag" not in {function.api_name for function in page.fns.values()}


def test_in_a_browser_each_tab_works_and_nothing_but_this_machine_is_asked(
    browser: Browser,
) -> None:
    browser.fill("textarea", TEXT)
    browser.click("#find-entities")
    browser.wait_for("document.querySelectorAll('#entities mark').length === 2")
    browser.click("button[role=tab]", "Word uses")
    browser.click("#compare-uses")
    browser.wait_for("document.querySelectorAll('#map circle').length === 10")
    browser.click("button", "cold")
    browser.wait_for("document.querySelectorAll('#map circle').length === 8")
    browser.click("button[role=tab]", "Model")
    browser.wait_for("document.querySelectorAll('.elmo-layer').length === 3")
    hosts = {urlparse(url).hostname for url in browser.urls if not url.startswith("data:")}
    assert hosts == {HOST}
    assert not browser.errors


def test_in_a_browser_an_error_is_shown_with_its_message(browser: Browser) -> None:
    browser.click("button[role=tab]", "Entities")
    browser.fill("textarea", " ")
    browser.click("#find-entities")
    shown = browser.wait_for("document.querySelector('.toast-body')?.textContent")
    assert re.search("Enter a text", shown)


def test_in_a_narrow_window_nothing_is_cut_off(browser: Browser) -> None:
    browser.resize(400, 900)
    browser.click("button", TEXTS[1][:20])
    browser.wait_for("document.querySelector('#entities')?.textContent.includes('no entity')")
    width = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    for tab in ("Entities", "Word uses", "Model"):
        browser.click("button[role=tab]", tab)
        assert browser.evaluate(width), tab
