"""The page in a real browser: what a visitor sees and does. Skipped where there is no Chromium.

Set STREAMFX_SCREENSHOTS to a folder to keep what the page looks like, dark, light and on a phone.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

import streamfx
from streamfx.pipeline.stats import Snapshot
from streamfx.run.report import Report
from tests import engines
from tests.browser import Tab, browser, chromium
from tests.servers import wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(chromium() is None, reason="no Chromium is installed (apt install chromium)"),
]

SIZE = (160, 96)
SOURCE = f"test:bars?size={SIZE[0]}x{SIZE[1]}&fps=15&live=1"
NUMBER = "Number(document.querySelector('#stage')?.dataset.number ?? -1)"
CHAIN = (
    "[...document.querySelectorAll('#chain .name')]"
    ".map(e => e.textContent.split(' ').pop().toLowerCase()).join()"
)
BY_WEBRTC = "document.querySelector('#stage')?.dataset.way === 'stream'"
SAID = "document.querySelector('#said').textContent"


@pytest.fixture
def folder(tmp_path: Path, compiled: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    engines.make_engine(tmp_path / "engines", "tiny")
    engines.make_engine(tmp_path / "engines", "other", seed=11)
    monkeypatch.setenv("STREAMFX_CACHE", compiled)
    monkeypatch.setenv("STREAMFX_ENGINES", str(tmp_path / "engines"))
    (tmp_path / "downloads").mkdir()
    (tmp_path / "recordings").mkdir()
    yield tmp_path
    wait_until(lambda: not [t for t in threading.enumerate() if t.name.startswith("streamfx-site")])


class Run:
    """A live run with a page, until it is told to end."""

    def __init__(self, folder: Path, output: str, source: str = SOURCE, *settings: str) -> None:
        self.address = ""
        self.report: Report | None = None
        self._come, self._stop = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, args=(folder, output, source, settings), name="run")
        self._thread.start()
        assert self._come.wait(60)

    def end(self) -> Report:
        """End the run, and return its report."""
        self._stop.set()
        self._thread.join(60)
        assert self.report is not None
        return self.report

    def _run(self, folder: Path, output: str, source: str, settings: tuple[str, ...]) -> None:
        def come(address: str) -> None:
            self.address = address
            self._come.set()

        def look(snapshot: Snapshot) -> None:
            if self._stop.is_set() and not snapshot.stopping:
                raise KeyboardInterrupt  # a first Ctrl-C: the run ends properly

        self.report = streamfx.live(
            source,
            output,
            effects=["tiny"],
            factor=2,
            threads=1,
            seconds=120,
            settings=[f"web.recordings={folder / 'recordings'}", *settings],
            progress=look,
            announce=come,
        )


async def moving(tab: Tab) -> None:
    """Wait until pictures come."""
    number = await tab.run(NUMBER)
    await tab.until(f"{NUMBER} > {number} + 2")


async def pixels(tab: Tab, canvas: str) -> list[int]:
    """Return the colours of a canvas at a coarse grid."""
    found = await tab.run(
        f"(c => {{ const k = document.createElement('canvas'); k.width = 8; k.height = 8;"
        f" const x = k.getContext('2d'); x.drawImage(c, 0, 0, 8, 8);"
        f" return [...x.getImageData(0, 0, 8, 8).data]; }})(document.querySelector('{canvas}'))"
    )
    return [int(value) for value in found]


async def acts_on_parts(tab: Tab, other: Tab) -> None:
    async def ready() -> None:
        await tab.until("!document.querySelector('#chain-note').textContent")

    def pressed(button: str) -> str:
        return f"document.querySelector('{button}')?.ariaPressed === 'true'"

    await ready()
    assert await tab.run(pressed("#all-0"))
    await tab.click("#background-0")
    await other.until(pressed("#background-0"))
    await ready()
    await tab.click("#all-0")
    await other.until(pressed("#all-0"))
    await tab.click("#add")
    await tab.click("#choose-backdrop")
    await other.until(f"{CHAIN} === 'tiny,other,backdrop'")
    await ready()
    await tab.until(pressed("#background-2"))
    await tab.run(
        "(e => { e.value = '#ff0000'; e.dispatchEvent(new Event('change')); })"
        "(document.querySelector('#colour-2'))"
    )
    # The bars hold nobody, so that the colour is everywhere.
    await other.until(  # the tab in front: one behind it gets no pictures
        "(c => { const k = document.createElement('canvas'); const x = k.getContext('2d');"
        " x.drawImage(c, 0, 0, 1, 1); const [r, g] = x.getImageData(0, 0, 1, 1).data;"
        " return r > 200 && g < 60; })(document.querySelector('#after'))"
    )
    await tab.click("#remove-2")
    await other.until(f"{CHAIN} === 'tiny,other'")
    await ready()


def test_a_visitor_watches_compares_changes_keeps_and_leaves(folder: Path) -> None:
    async def visit(run: Run) -> None:
        async with browser(folder / "browser") as chrome:
            tab = await chrome.open(run.address, folder / "downloads")
            await tab.until(BY_WEBRTC)
            await moving(tab)
            await compares(tab)
            await changes(tab)
            other = await chrome.open(run.address)
            await moving(other)
            await agrees(tab, other)
            await acts_on_parts(tab, other)
            await other.close()
            await tab.until("document.querySelector('#foot').textContent.endsWith('· 1 viewer')")
            await keeps_effects(tab)
            await is_seen_otherwise(tab)
            await keeps(tab)
            await looks(tab)
            run._stop.set()
            await tab.until("document.querySelector('#status').textContent === 'the run has ended'")
            assert [each for each in tab.problems if "ERR_CONNECTION_REFUSED" not in each] == []

    async def compares(tab: Tab) -> None:
        after, before = await pixels(tab, "#after"), await pixels(tab, "#before")
        assert np.abs(np.subtract(after, before)).mean() > 3
        await tab.drag("#wipe", 0.5, 0.25)
        assert abs(float(await tab.run("document.querySelector('#wipe').value")) - 25) < 2
        await tab.press("ArrowRight", 39)
        assert abs(float(await tab.run("document.querySelector('#wipe').value")) - 27) < 2
        assert "percent before" in await tab.run("document.querySelector('#wipe').ariaValueText")

    async def changes(tab: Tab) -> None:
        await tab.until("document.querySelector('#fps-out').textContent !== '–'")
        await tab.run("document.querySelector('#control-0-strength').focus()")
        await tab.press("Home", 36)
        await tab.until("document.querySelector('#control-0-strength-value').textContent === '0 %'")
        await tab.until("document.querySelector('#stage').dataset.same === 'yes'")
        await tab.press("End", 35)
        await tab.until("document.querySelector('#stage').dataset.same === 'no'")
        await tab.click("#bypass")
        await tab.until("document.querySelector('#after-chip').textContent === 'bypassed'")
        await tab.until("document.querySelector('#stage').dataset.same === 'yes'")
        await tab.click("#bypass")
        await tab.until("document.querySelector('#after-chip').textContent === 'after'")

    async def agrees(tab: Tab, other: Tab) -> None:
        await tab.click("#choose-other")
        for each in (tab, other):
            await each.until(f"{CHAIN} === 'other'")
        assert "2 viewers" in await other.run("document.querySelector('#foot').textContent")
        await tab.click("#add")
        await tab.click("#choose-tiny")
        await other.until(f"{CHAIN} === 'other,tiny'")
        await tab.until(f"{CHAIN} === 'other,tiny' && !document.querySelector('#chain-note').textContent")
        await tab.click("#earlier-1")
        await other.until(f"{CHAIN} === 'tiny,other'")
        # It cannot go further up, and the focus is not lost on account of that.
        await tab.until("document.activeElement.id === 'effect-0'")

    async def keeps_effects(tab: Tab) -> None:
        await tab.until("!document.querySelector('#remove-0').disabled")
        await tab.run("document.querySelector('#kept').open = true")
        await tab.click("#keep")
        await tab.run("document.querySelector('#keep-name').value = 'Both <b>'")
        await tab.click("#keep-form [type=submit]")
        await tab.until("document.querySelector('#presets .preset')?.textContent === 'Both <b>'")
        await tab.click("#remove-0")
        await tab.until(f"{CHAIN} === 'other' && !document.querySelector('#chain-note').textContent")
        await tab.click("#presets .preset")
        await tab.until(f"{CHAIN} === 'tiny,other'")
        assert "does not" not in await tab.run(SAID)

    async def is_seen_otherwise(tab: Tab) -> None:
        stage = "document.querySelector('#stage')"
        await tab.click("#mirror")
        assert await tab.run(f"{stage}.dataset.mirror") == "yes"
        assert await tab.run("localStorage.getItem('streamfx live.mirror')") == "true"
        await tab.click("#full")
        await tab.until("document.fullscreenElement?.id === 'stage'")
        await tab.click("#leave-full")
        await tab.until("!document.fullscreenElement")
        await tab.until("document.querySelector('#plain').textContent.includes('a second')")
        assert not await tab.run("document.querySelector('#figures-details').open")

    async def keeps(tab: Tab) -> None:
        await tab.click("#snapshot")
        await tab.until(f"{SAID}.includes('before.png')")
        await asyncio.to_thread(wait_until, lambda: any((folder / "downloads").glob("*_after.png")))
        await tab.click("#record")
        await tab.until("document.querySelector('#record').ariaPressed === 'true'")
        await moving(tab)
        await tab.click("#record")
        await tab.until(f"{SAID}.includes('Recorded to')")
        await tab.click("#said a[href^=recordings]")
        await asyncio.to_thread(wait_until, lambda: any((folder / "downloads").glob("*.mkv")))

    async def looks(tab: Tab) -> None:
        shots = Path(os.environ.get("STREAMFX_SCREENSHOTS", folder))
        for name, width, height, dark in (
            ("dark", 1360, 900, True), ("light", 1360, 900, False), ("phone", 360, 780, True),
            ("sideways", 844, 390, True),
        ):  # fmt: skip
            await tab.look(shots / f"{name}.png", width=width, height=height, dark=dark)
            assert await tab.run("document.documentElement.scrollWidth") <= width, "nothing is cut off"
        ground = "getComputedStyle(document.body).backgroundColor"
        dark_ground = await tab.run(ground)
        await tab.look(shots / "phone-light.png", width=360, height=780, dark=False)
        assert await tab.run(ground) != dark_ground

    run = Run(folder, "web:0")
    try:
        asyncio.run(visit(run))
    finally:
        report = run.end()
    (shot,) = (folder / "downloads").glob("*_after.png")
    with av.open(str(shot)) as picture:
        assert (picture.streams.video[0].width, picture.streams.video[0].height) == SIZE
    (recording,) = (folder / "recordings").glob("*.mkv")
    with av.open(str(recording)) as file:
        assert len(list(file.decode(video=0))) > 1
    what = [each.what for each in report.changes]
    assert any(each.startswith("tiny: strength ") for each in what)
    assert "effects tiny → other" in what
    assert any(note.startswith("viewers of the page: 2 at a time") for note in report.notes)


def test_with_a_token_the_page_opens_from_the_whole_address_and_hides_it(folder: Path) -> None:
    async def visit(run: Run) -> None:
        port = run.address.split(":")[2].partition("/")[0]
        async with browser(folder / "browser") as chrome:
            stranger = await chrome.open(f"http://127.0.0.1:{port}/")
            await stranger.until("document.body?.textContent.includes('Open the whole address')")
            query = run.address.partition("?")[2]
            tab = await chrome.open(f"http://127.0.0.1:{port}/?{query}")
            await moving(tab)
            assert await tab.run("location.search") == ""
            again = await chrome.open(f"http://127.0.0.1:{port}/")  # the cookie lets it in
            await moving(again)

    run = Run(folder, "web:0.0.0.0:0")
    try:
        asyncio.run(visit(run))
    finally:
        run.end()


def test_a_picture_that_is_repeated_is_shown_as_old_until_another_comes(folder: Path) -> None:
    async def visit(run: Run) -> None:
        async with browser(folder / "browser") as chrome:
            tab = await chrome.open(run.address)
            await moving(tab)
            await tab.until("!document.querySelector('#stale').hidden")
            said = await tab.run("document.querySelector('#stale').textContent")
            assert said.startswith("No new picture for ")
            assert await tab.run("document.querySelector('#status').textContent") == "no new picture"
            await tab.until("document.querySelector('#stale').hidden")
            await tab.until("document.querySelector('#status').textContent === 'live'")

    run = Run(folder, "web:0", f"fault:slow?opening=0&every=8&for=4.5:{SOURCE.partition('&live')[0]}")
    try:
        asyncio.run(visit(run))
    finally:
        run.end()


def test_a_server_that_was_started_anew_is_explained_and_found_with_its_new_address(folder: Path) -> None:
    async def visit(run: Run) -> None:
        port = run.address.split(":")[2].partition("/")[0]
        async with browser(folder / "browser") as chrome:
            tab = await chrome.open(run.address)
            await moving(tab)
            await asyncio.to_thread(run.end)
            await tab.until("document.querySelector('#status').textContent !== 'live'")
            runs.append(await asyncio.to_thread(Run, folder, f"web:{port}"))
            await tab.until("document.querySelector('#status').textContent === 'started anew'")
            curtain = await tab.run("document.querySelector('#curtain').textContent")
            assert "Open the address that it has printed" in curtain
            await moving(await chrome.open(runs[-1].address))
            await tab.until("document.querySelector('#status').textContent === 'live'")

    runs = [Run(folder, "web:0")]
    try:
        asyncio.run(visit(runs[0]))
    finally:
        runs[-1].end()


def test_a_viewer_too_many_for_webrtc_sees_pictures_one_by_one_until_a_place_is_free(folder: Path) -> None:
    async def visit(run: Run) -> None:
        way = "document.querySelector('#stage').dataset.way"
        async with browser(folder / "browser") as chrome:
            tab = await chrome.open(run.address)
            await tab.until(BY_WEBRTC)
            other = await chrome.open(run.address)
            await moving(other)
            assert await other.run(way) == "pictures"
            await tab.close()
            await other.run("location.reload()")
            await other.until(BY_WEBRTC)

    run = Run(folder, "web:0", SOURCE, "web.streams=1")
    try:
        asyncio.run(visit(run))
    finally:
        assert "watched by WebRTC: 1 at a time" in str(run.end().notes)
