"""Drives headless Chromium through its DevTools protocol, with aiohttp's client of websockets."""

import asyncio
import base64
import re
import shutil
import subprocess
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Optional
from urllib.parse import urlparse

__all__ = ["Browser", "find_chromium"]

# In seconds, for the browser's start and for what a page must show.
TIMEOUT = 60.0
OPTIONS = (
    "--headless=new",
    # tests may run as root, in a container
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--remote-debugging-port=0",
)


def find_chromium() -> Optional[str]:
    """Returns the path of Chromium or Chrome, or `None` without one."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((path for path in map(shutil.which, names) if path), None)


class Browser:
    """A page in headless Chromium; a context manager. `urls` are all that the page requested."""

    def __init__(self, folder: Path, *, width: int = 1200, height: int = 900) -> None:
        self._folder, self._size = folder, (width, height)
        self._number = 0
        self._loop = asyncio.new_event_loop()
        self.urls: list[str] = []
        self.errors: list[str] = []

    def __enter__(self) -> "Browser":
        chromium = find_chromium()
        assert chromium is not None
        self._process = subprocess.Popen(
            [chromium, *OPTIONS, f"--user-data-dir={self._folder}", "about:blank"],
            stderr=subprocess.PIPE,
            text=True,
        )
        self._run(self._connect())
        return self

    def __exit__(self, *details: object) -> None:
        self._run(self._session.close())
        self._loop.close()
        self._process.kill()
        self._process.communicate()

    def open(self, address: str) -> None:
        """Goes to an address."""
        self.call("Page.navigate", url=address)

    def evaluate(self, expression: str) -> Any:
        """Returns the value of a JavaScript expression."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait_for(self, expression: str) -> Any:
        """Returns the value of an expression as soon as it is true."""
        for _ in range(int(TIMEOUT / 0.2)):
            value = self.evaluate(expression)
            if value:
                return value
            self._run(self._listen(0.2))
        raise TimeoutError(f"{expression} did not become true; errors: {self.errors}")

    def click(self, selector: str, text: str = "") -> None:
        """Clicks the first element of a CSS selector that has a text, once it is there."""
        found = (
            f"[...document.querySelectorAll({selector!r})]"
            f".find(one => one.textContent.trim().startsWith({text!r}))"
        )
        self.wait_for(f"!!({found})")
        self.evaluate(f"({found}).click()")

    def fill(self, selector: str, text: str) -> None:
        """Replaces the text of an input, as typing does."""
        self.wait_for(f"!!document.querySelector({selector!r})")
        self.evaluate(
            f"(one => {{ one.focus(); one.select(); }})(document.querySelector({selector!r}))"
        )
        self.call("Input.insertText", text=text)

    def resize(self, width: int, height: int) -> None:
        """Changes the size of the window."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def screenshot(self, path: Path) -> None:
        """Writes a picture of the window as PNG."""
        answer = self.call("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(answer["data"]))

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Returns the answer of the DevTools protocol to a call."""
        return self._run(self._call(method, parameters))

    def _run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return self._loop.run_until_complete(asyncio.wait_for(coroutine, TIMEOUT))

    async def _connect(self) -> None:
        import aiohttp

        assert self._process.stderr is not None
        address = None
        while address is None:
            line = await self._loop.run_in_executor(None, self._process.stderr.readline)
            assert line, "Chromium ended"
            address = re.search(r"ws://\S+", line)
        self._session = aiohttp.ClientSession()
        host = urlparse(address[0]).netloc
        async with self._session.get(f"http://{host}/json/list") as response:
            pages = [one for one in await response.json() if one["type"] == "page"]
        self._socket = await self._session.ws_connect(
            pages[0]["webSocketDebuggerUrl"], max_msg_size=0
        )
        for domain in ("Page", "Runtime", "Network", "Log"):
            await self._call(f"{domain}.enable", {})
        width, height = self._size
        await self._call(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
        )

    async def _call(self, method: str, parameters: dict[str, Any]) -> dict[str, Any]:
        self._number += 1
        await self._socket.send_json({"id": self._number, "method": method, "params": parameters})
        while True:
            message = await self._socket.receive_json()
            if message.get("id") == self._number:
                assert "error" not in message, message
                return message["result"]
            self._note(message)

    async def _listen(self, seconds: float) -> None:
        try:
            while True:
                self._note(await asyncio.wait_for(self._socket.receive_json(), seconds))
        except asyncio.TimeoutError:
            pass

    def _note(self, message: dict[str, Any]) -> None:
        method, details = message.get("method"), message.get("params", {})
        if method == "Network.requestWillBeSent":
            self.urls.append(details["request"]["url"])
        elif method == "Network.webSocketCreated":
            self.urls.append(details["url"])
        elif method == "Runtime.exceptionThrown":
            self.errors.append(str(details["exceptionDetails"])[:500])
        elif method == "Log.entryAdded" and details["entry"]["level"] == "error":
            self.errors.append(f"{details['entry']['text']} {details['entry'].get('url', '')}")
