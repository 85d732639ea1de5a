"""
A server on this machine that speaks the little of the Hugging Face Hub's HTTP API that
`huggingface_hub.snapshot_download` uses.
"""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple, Optional
from urllib.parse import unquote, urlparse

import pytest

__all__ = ["HubServer", "Repository", "served_hub"]


class Repository(NamedTuple):
    """A repository: a folder for each revision, and who may read it."""

    revisions: dict[str, Path]
    token: Optional[str] = None
    is_gated: bool = False


class HubServer(ThreadingHTTPServer):
    """Serves `repositories`, whose keys are "organisation/name". Lists requests in `requests`."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repositories: dict[str, Repository] = {}
        self.requests: list[str] = []

    @property
    def endpoint(self) -> str:
        """The value for `HF_ENDPOINT`."""
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def files(self) -> list[str]:
        """The names of the files that were downloaded."""
        downloads = [
            line for line in self.requests if line.startswith("GET") and "/resolve/" in line
        ]
        return [line.rpartition("/")[2] for line in downloads]


class _Handler(BaseHTTPRequestHandler):
    server: HubServer

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def log_message(self, *arguments: object) -> None:
        """Says nothing."""

    def _answer(self) -> None:
        path = unquote(urlparse(self.path).path)
        self.server.requests.append(f"{self.command} {path}")
        name, action, rest = self._parsed(path)
        repository = self.server.repositories.get(name)
        if repository is None:
            # the Hub does not tell a missing repository from a private one
            return self._refuse(401, "RepoNotFound")
        if repository.token is not None:
            given = self.headers.get("Authorization", "")
            if given != f"Bearer {repository.token}":
                code = "GatedRepo" if repository.is_gated else "RepoNotFound"
                return self._refuse(403 if repository.is_gated else 401, code)
        revision, _, file = rest.partition("/")
        folder = self._folder(repository, revision or "main")
        if folder is None:
            return self._refuse(404, "RevisionNotFound")
        if action != "resolve":
            listed = self._tree(folder) if action == "tree" else self._info(name, folder)
            return self._send(json.dumps(listed).encode(), folder)
        if not (folder / file).is_file():
            return self._refuse(404, "EntryNotFound")
        return self._send((folder / file).read_bytes(), folder)

    def _parsed(self, path: str) -> tuple[str, str, str]:
        """
        Returns a repository's name, "revision", "tree" (from huggingface_hub 1 on) or "resolve",
        and a revision or "revision/file".
        """
        path = path.removeprefix("/api/models/").lstrip("/")
        actions = [action for action in ("revision", "tree", "resolve") if f"/{action}/" in path]
        name, _, rest = path.partition(f"/{actions[0]}/" if actions else "/")
        return name, actions[0] if actions else "", rest

    def _folder(self, repository: Repository, revision: str) -> Optional[Path]:
        by_commit = {_commit(folder): folder for folder in repository.revisions.values()}
        return repository.revisions.get(revision) or by_commit.get(revision)

    def _info(self, name: str, folder: Path) -> dict[str, object]:
        siblings = [{"rfilename": file["path"]} for file in self._tree(folder)]
        return {"id": name, "modelId": name, "sha": _commit(folder), "siblings": siblings}

    def _tree(self, folder: Path) -> list[dict[str, object]]:
        return [
            {
                "type": "file",
                "path": str(path.relative_to(folder)),
                "size": path.stat().st_size,
                "oid": hashlib.sha1(path.read_bytes()).hexdigest(),
            }
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        ]

    def _send(self, contents: bytes, folder: Path) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(contents)))
        self.send_header("ETag", f'"{hashlib.sha256(contents).hexdigest()}"')
        self.send_header("X-Repo-Commit", _commit(folder))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(contents)

    def _refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("X-Error-Message", code)
        self.send_header("Content-Length", "0")
        self.end_headers()


@contextmanager
def served_hub(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """Yields a running server that `huggingface_hub` uses in place of the Hub, with a cache."""
    from huggingface_hub import constants, file_download

    with HubServer() as server:
        template = server.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "ENDPOINT", server.endpoint)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(file_download, "HUGGINGFACE_CO_URL_TEMPLATE", template, raising=False)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
        monkeypatch.setenv("HF_TOKEN", "")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def _commit(folder: Path) -> str:
    return hashlib.sha1(str(folder).encode()).hexdigest()
