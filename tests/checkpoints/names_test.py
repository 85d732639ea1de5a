"""Tests names and downloads of checkpoints, with a server on this machine."""

import hashlib
import logging
import shutil
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Optional

import pytest
import torch
import urllib3.util.retry

from elmo_components import checkpoints
from elmo_components.checkpoints import CheckpointError
from elmo_components.checkpoints.names import PUBLISHED, Published, resolve
from elmo_components.elmo import Elmo

WEIGHTS, OPTIONS = "elmo_tiny_weights.hdf5", "elmo_tiny_options.json"


class Handler(SimpleHTTPRequestHandler):
    """Serves a folder; what comes under `cut/` ends after half of what it says."""

    def translate_path(self, path: str) -> str:
        return super().translate_path(path.replace("/cut/", "/"))

    def copyfile(self, source: object, outputfile: object) -> None:
        contents = source.read()  # type: ignore[attr-defined]
        end = len(contents) // 2 if self.path.startswith("/cut/") else None
        outputfile.write(contents[:end])  # type: ignore[attr-defined]

    def log_message(self, *arguments: object) -> None:
        """Says nothing."""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    cached_path = pytest.importorskip("cached_path")
    # else half a minute goes by before a server is given up
    monkeypatch.setattr(urllib3.util.retry.Retry, "sleep", lambda *arguments, **named: None)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    before = cached_path.get_cache_dir()
    cached_path.set_cache_dir(tmp_path / "cache")
    yield tmp_path / "cache"
    cached_path.set_cache_dir(before)


@pytest.fixture
def served(tmp_path: Path, tiny_folder: Path) -> Path:
    folder = tmp_path / "served"
    folder.mkdir()
    shutil.copy(tiny_folder / "weights.hdf5", folder / WEIGHTS)
    shutil.copy(tiny_folder / "options.json", folder / OPTIONS)
    shutil.copy(tiny_folder.with_suffix(".safetensors"), folder / "tiny.safetensors")
    return folder


@pytest.fixture
def server(served: Path) -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(served))) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def address(server: ThreadingHTTPServer, cache: Path) -> str:
    return f"http://127.0.0.1:{server.server_port}"


def files_in(cache: Path) -> list[str]:
    """The names of what the cache holds, but for locks."""
    return sorted(
        path.name for path in cache.rglob("*") if path.is_file() and path.suffix != ".lock"
    )


def test_weights_at_an_address_are_loaded_with_the_options_of_their_name(
    address: str, cache: Path, tiny_folder: Path
) -> None:
    expected = checkpoints.load(tiny_folder)
    for _ in range(2):
        found = checkpoints.load(f"{address}/{WEIGHTS}")
        assert found.config == expected.config
        assert all(
            torch.equal(found.tensors[name], expected.tensors[name]) for name in found.tensors
        )
    assert checkpoints.identify(f"{address}/{WEIGHTS}") is checkpoints.bilm_tf
    # under their own names, and each in the cache once
    assert {WEIGHTS, OPTIONS} <= set(files_in(cache))
    place = resolve(f"{address}/{WEIGHTS}")
    assert place.stat().st_nlink == 2 and place.parent.parent.name == "elmo_components"


def test_options_elsewhere_are_given_as_an_address_a_path_or_their_contents(
    address: str, served: Path, tiny_folder: Path
) -> None:
    (served / OPTIONS).rename(served / "other.json")
    weights = f"{address}/{WEIGHTS}"
    with pytest.raises(CheckpointError, match=rf"must be at {address}/{OPTIONS}, or be given"):
        Elmo.from_pretrained(weights)
    config = checkpoints.load(tiny_folder).config
    for options in (f"{address}/other.json", served / "other.json", config.to_options()):
        assert Elmo.from_pretrained(weights, options=options).config == config


def test_an_interrupted_download_is_an_error_and_leaves_nothing(address: str, cache: Path) -> None:
    with pytest.raises(CheckpointError, match=rf"{address}/cut/{WEIGHTS} .*(bytes|Incomplete)"):
        checkpoints.load(f"{address}/cut/{WEIGHTS}")
    assert files_in(cache) == []
    # the server's other files are not in its way
    checkpoints.load(f"{address}/{WEIGHTS}")


def test_what_is_not_there_is_an_error_that_names_the_address(address: str, cache: Path) -> None:
    with pytest.raises(CheckpointError, match=rf"{address}/none\.hdf5 cannot be downloaded"):
        checkpoints.load(f"{address}/none.hdf5")
    assert files_in(cache) == []


def test_without_a_network_the_cache_serves_and_else_it_is_an_error(
    address: str, cache: Path, server: ThreadingHTTPServer
) -> None:
    first = checkpoints.load(f"{address}/{WEIGHTS}")
    held = files_in(cache)
    server.shutdown()
    server.server_close()
    again = checkpoints.load(f"{address}/{WEIGHTS}")
    assert again.config == first.config
    with pytest.raises(CheckpointError, match=r"cannot be downloaded.*Check the address and the"):
        checkpoints.load(f"{address}/tiny.safetensors")
    assert files_in(cache) == held


def publish(monkeypatch: pytest.MonkeyPatch, address: str, sha256: Optional[str] = None) -> None:
    published = Published(f"{address}/{WEIGHTS}", f"{address}/{OPTIONS}", sha256)
    monkeypatch.setitem(PUBLISHED, "small", published)


def test_a_published_name_is_downloaded_and_its_sha256_is_checked(
    address: str, cache: Path, served: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = hashlib.sha256((served / WEIGHTS).read_bytes()).hexdigest()
    publish(monkeypatch, address, "0" * 64)
    message = rf"{address}/{WEIGHTS} must have the sha256 0{{64}}; found {digest}.*was removed"
    # by its address too
    for source in ("small", f"{address}/{WEIGHTS}"):
        with pytest.raises(CheckpointError, match=message):
            checkpoints.load(source)
        assert files_in(cache) == []
    publish(monkeypatch, address, digest)
    checkpoints.load("small")
    # what comes to harm in the cache is found too
    with resolve("small").open("r+b") as file:
        file.write(b"harm")
    with pytest.raises(CheckpointError, match="must have the sha256"):
        checkpoints.load("small")
    checkpoints.load("small")


def test_options_that_are_not_there_are_a_warning_where_they_are_given(
    address: str, served: Path, tiny_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (served / OPTIONS).unlink()
    config = checkpoints.load(tiny_folder).config
    with caplog.at_level(logging.WARNING):
        assert checkpoints.load(f"{address}/{WEIGHTS}", config).config == config
    assert f"given options are not compared to published ones: {address}/{OPTIONS}" in caplog.text


def test_what_is_no_path_and_no_name_is_an_error_that_lists_the_names() -> None:
    shipped = "'english', 'german', 'chinese'"
    wanted = f"{shipped}, 'small', 'medium', 'original', 'original-5.5b', 'pubmed', 'portuguese'"
    with pytest.raises(FileNotFoundError, match=f"no checkpoint at smal. .*{wanted}"):
        resolve("smal")


def test_without_the_extra_for_downloads_the_error_names_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "cached_path", None)
    with pytest.raises(ValueError, match=r"pip install 'elmo_components\[hub\]'.*https://"):
        resolve("small")
