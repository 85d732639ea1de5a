"""Tests names and downloads of repositories, with a server on this machine in the Hub's place."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Optional

import pytest

from elmo_components.integrations.hub import HubName, download, parse_name
from tests.hub_server import HubServer, Repository, served_hub

NAME = HubName("somebody/elmo")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    pytest.importorskip("huggingface_hub", minversion="0.24")
    for revision in ("main", "v1"):
        folder = tmp_path / revision
        folder.mkdir()
        (folder / "config.json").write_text(f'"{revision}"')
        (folder / "run.py").write_text("raise SystemExit")
    with served_hub(tmp_path / "cache", monkeypatch) as server:
        revisions = {"main": tmp_path / "main", "v1": tmp_path / "v1"}
        server.repositories[NAME.repository] = Repository(revisions)
        yield server


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("somebody/elmo", NAME),
        ("hf://somebody/elmo", NAME),
        ("hf://somebody/elmo@v1", HubName("somebody/elmo", "v1")),
        ("english", None),
        ("models/weights.hdf5", None),
        ("models/model.tar.gz", None),
        ("../models", None),
        ("./models", None),
        ("/models/tiny", None),
        ("a/b/c", None),
        ("https://host/elmo", None),
        ("somebody/el mo", None),
    ],
)
def test_a_name_of_the_hub_is_told_from_a_path(source: str, expected: Optional[HubName]) -> None:
    assert parse_name(source) == expected


@pytest.mark.parametrize("source", ["hf://elmo", "hf://a/b/c", "hf://", "hf://../elmo@v1"])
def test_an_address_of_no_repository_is_an_error(source: str) -> None:
    with pytest.raises(ValueError, match=r"organisation/name.*found 'hf://"):
        parse_name(source)


def test_only_the_named_files_are_downloaded_and_only_once(hub: HubServer) -> None:
    folder = download(NAME, ["config.json", "weights.th"])
    assert [path.name for path in folder.iterdir()] == ["config.json"]
    assert hub.files == ["config.json"]
    download(NAME, ["config.json"])
    assert hub.files.count("config.json") == 1


def test_a_revision_is_a_branch_a_tag_or_a_commit(hub: HubServer) -> None:
    tagged = download(HubName("somebody/elmo", "v1"), ["config.json"])
    assert (tagged / "config.json").read_text() == '"v1"'
    assert download(HubName("somebody/elmo", tagged.name), ["config.json"]) == tagged
    assert (download(NAME, ["config.json"]) / "config.json").read_text() == '"main"'


def test_without_a_network_the_cache_is_used(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = download(NAME, ["config.json"])
    before = len(hub.requests)
    assert download(NAME, ["config.json"], local_files_only=True) == folder
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert download(NAME, ["config.json"]) == folder
    with pytest.raises(FileNotFoundError, match=r"not in the cache.*HF_HUB_OFFLINE"):
        download(HubName("somebody/other"), ["config.json"])
    assert len(hub.requests) == before


def test_what_is_not_in_the_cache_is_an_error_without_downloads(hub: HubServer) -> None:
    with pytest.raises(FileNotFoundError, match=r"not in the cache.*local_files_only"):
        download(NAME, ["config.json"], local_files_only=True)
    assert not hub.requests


def test_an_unknown_repository_and_an_unknown_revision_are_errors(hub: HubServer) -> None:
    with pytest.raises(FileNotFoundError, match="no file or folder nobody/no, and no repository"):
        download(HubName("nobody/no"), ["config.json"])
    with pytest.raises(FileNotFoundError, match=r"somebody/elmo on .* has no revision 'v2'"):
        download(HubName("somebody/elmo", "v2"), ["config.json"])


def test_a_private_repository_needs_its_token(hub: HubServer, tmp_path: Path) -> None:
    hub.repositories["somebody/secret"] = Repository({"main": tmp_path / "main"}, token="hf_1")
    secret = HubName("somebody/secret")
    with pytest.raises(FileNotFoundError, match=r"private one.*token"):
        download(secret, ["config.json"], token="hf_2")
    assert (download(secret, ["config.json"], token="hf_1") / "config.json").is_file()


def test_a_gated_repository_says_that_its_terms_must_be_accepted(
    hub: HubServer, tmp_path: Path
) -> None:
    gated = Repository({"main": tmp_path / "main"}, token="hf_1", is_gated=True)
    hub.repositories["somebody/gated"] = gated
    with pytest.raises(PermissionError, match=r"somebody/gated on .* is gated. Accept its terms"):
        download(HubName("somebody/gated"), ["config.json"])


def test_a_hub_that_cannot_be_reached_is_an_error(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    # a port that nobody listens on
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ConnectionError, match=r"http://127.0.0.1:9 cannot be reached"):
        download(NAME, ["config.json"])


def test_errors_are_one_line(hub: HubServer) -> None:
    with pytest.raises(OSError) as caught:
        download(HubName("nobody/no"), ["config.json"])
    assert "\n" not in str(caught.value)


def test_a_missing_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ValueError, match=r"pip install 'elmo_components\[hub\]'"):
        download(NAME, ["config.json"])
