"""A real browser for tests of pages: Chromium, driven through its DevTools protocol. Needs aiohttp."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_WAIT_SECONDS = 60.0


def chromium() -> str | None:
    """Return the path of a Chromium, None where there is none."""
    return next(filter(None, map(shutil.which, _NAMES)), None)


class Tab:
    """One page in the browser."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.problems: list[str] = []
        self._socket = socket
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._reading = asyncio.create_task(self._read())

    async def ask(self, method: str, **parameters: object) -> dict[str, Any]:
        """Send a command of the protocol and return its result."""
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        async with asyncio.timeout(_WAIT_SECONDS):
            found: dict[str, Any] = await answer
            return found

    async def run(self, script: str) -> Any:
        """Return what a script gives, waiting for it where it is a promise."""
        result = await self.ask(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True, userGesture=True
        )
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    async def until(self, script: str) -> Any:
        """Wait until a script gives something true, and return that."""
        async with asyncio.timeout(_WAIT_SECONDS):
            while not (found := await self.run(script)):
                await asyncio.sleep(0.05)
        return found

    async def click(self, selector: str) -> None:
        """Click in the middle of an element, as a hand would."""
        x, y = await self._middle(selector)
        await self._mouse("mousePressed", x, y)
        await self._mouse("mouseReleased", x, y)

    async def drag(self, selector: str, start: float, end: float) -> None:
        """Drag across an element; start and end are shares of its width."""
        left, top, width, height = await self._box(selector)
        y = top + height / 2
        await self._mouse("mousePressed", left + start * width, y)
        for step in range(1, 9):
            await self._mouse("mouseMoved", left + (start + (end - start) * step / 8) * width, y)
        await self._mouse("mouseReleased", left + end * width, y)

    async def press(self, key: str, code: int) -> None:
        """Press a key and let it go."""
        for kind in ("keyDown", "keyUp"):
            await self.ask("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)

    async def look(self, path: Path, *, width: int, height: int, dark: bool, whole: bool = False) -> None:
        """Save a screenshot (PNG) of the page at a size, in a colour scheme."""
        await self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.ask("Emulation.setEmulatedMedia", features=[scheme])
        await asyncio.sleep(0.3)
        shot = await self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))

    async def close(self) -> None:
        """Close the page."""
        with contextlib.suppress(Exception):
            await self.ask("Page.close")
        self._reading.cancel()
        await self._socket.close()

    async def _mouse(self, kind: str, x: float, y: float) -> None:
        await self.ask(
            "Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=1, clickCount=1
        )

    async def _box(self, selector: str) -> tuple[float, float, float, float]:
        found = await self.run(
            f"(e => {{ e.scrollIntoView({{block: 'center', behavior: 'instant'}}); "
            f"const b = e.getBoundingClientRect(); return [b.left, b.top, b.width, b.height]; }})"
            f"(document.querySelector({json.dumps(selector)}))"
        )
        left, top, width, height = found
        return left, top, width, height

    async def _middle(self, selector: str) -> tuple[float, float]:
        left, top, width, height = await self._box(selector)
        return left + width / 2, top + height / 2

    async def _read(self) -> None:
        async for message in self._socket:
            data = json.loads(message.data)
            if answer := self._answers.pop(data.get("id", 0), None):
                if not answer.done():
                    answer.set_result(data.get("result", {"exceptionDetails": data.get("error")}))
            elif data.get("method") == "Runtime.exceptionThrown":
                self.problems.append(json.dumps(data["params"]["exceptionDetails"]))
            elif data.get("method") == "Log.entryAdded" and data["params"]["entry"]["level"] == "error":
                self.problems.append(data["params"]["entry"]["text"])


class Browser:
    """A running Chromium."""

    def __init__(self, session: aiohttp.ClientSession, port: int) -> None:
        self._session, self._port = session, port

    async def open(self, address: str, downloads: Path | None = None) -> Tab:
        """Open a page in a tab of its own."""
        base = f"http://127.0.0.1:{self._port}"
        async with self._session.put(f"{base}/json/new?about:blank") as response:
            target = await response.json()
        socket = await self._session.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=1 << 27)
        tab = Tab(socket)
        for domain in ("Page", "Runtime", "Log"):
            await tab.ask(f"{domain}.enable")
        if downloads is not None:
            await tab.ask("Page.setDownloadBehavior", behavior="allow", downloadPath=str(downloads))
        await tab.ask("Page.navigate", url=address)
        return tab


@asynccontextmanager
async def browser(folder: Path, camera: Path | None = None) -> AsyncIterator[Browser]:
    """Start Chromium without a window, and end it again.

    Args:
        folder: folder for its files; it should be empty.
        camera: a video (y4m or mjpeg) that it has for a camera, allowed to every page; None: no camera.
    """
    program = chromium()
    assert program is not None
    options = [
        "--headless=new", "--remote-debugging-port=0", f"--user-data-dir={folder}", "--no-first-run",
        "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking", "--hide-scrollbars",
        "--disable-component-update", "--window-size=1280,900",
    ]  # fmt: skip
    if camera is not None:
        options += [
            "--use-fake-device-for-media-stream",
            "--use-fake-ui-for-media-stream",
            f"--use-file-for-fake-video-capture={camera}",
        ]
    if os.geteuid() == 0:
        options.append("--no-sandbox")
    process = subprocess.Popen(
        [program, *options, "about:blank"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        said = folder / "DevToolsActivePort"
        async with asyncio.timeout(_WAIT_SECONDS):
            while not (said.exists() and "\n" in said.read_text()):
                assert process.poll() is None, "Chromium ended at once"
                await asyncio.sleep(0.05)
        async with aiohttp.ClientSession() as session:
            yield Browser(session, int(said.read_text().splitlines()[0]))
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
