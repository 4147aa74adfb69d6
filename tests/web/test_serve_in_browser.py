"""A visitor with a real browser and a camera: Chromium, whose camera is a file. Skipped where there is none.

Set STREAMFX_SCREENSHOTS to a folder to keep what the page looks like. The way there and back is measured and
printed (pytest -s); it is not judged here, because it is the machine's.
"""

from __future__ import annotations

import asyncio
import os
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from streamfx.capture.pattern import write_stamp
from streamfx.config.loading import load_config
from streamfx.config.serve import ServeConfig
from streamfx.serving import serving
from tests import engines
from tests.browser import Tab, browser, chromium
from tests.servers import wait_until

pytestmark = pytest.mark.skipif(chromium() is None, reason="no Chromium is installed (apt install chromium)")

CLIP = Path(__file__).parent.parent / "clips" / "bigbuckbunny.mp4"
STAMPS = Path(__file__).with_name("stamps.js").read_text(encoding="utf-8")
SIZE = (320, 180)
LIVE = "document.querySelector('#status').dataset.state === 'live'"
SAID = "document.querySelector('#said').textContent"
READY = "document.querySelector('#start') && !document.querySelector('#start').disabled"


@pytest.fixture
def folder(tmp_path: Path, compiled: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    engines.make_engine(tmp_path / "engines", "tiny")
    monkeypatch.setenv("STREAMFX_CACHE", compiled)
    monkeypatch.setenv("STREAMFX_ENGINES", str(tmp_path / "engines"))
    (tmp_path / "profile").mkdir()
    (tmp_path / "another").mkdir()
    yield tmp_path
    wait_until(lambda: not [t for t in threading.enumerate() if t.name.startswith("streamfx-site")])


def camera_file(path: Path, pictures: int = 60) -> Path:
    """Write a piece of the clip for the browser's camera (y4m), each picture stamped with its number."""
    width, height = SIZE
    with av.open(str(CLIP)) as clip, path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{width} H{height} F30:1 Ip A1:1 C420jpeg\n".encode())
        for number, picture in enumerate(clip.decode(video=0)):
            if number == pictures:
                break
            planes: NDArray[np.uint8] = (
                picture.reformat(width, height, "yuv420p").to_ndarray().astype(np.uint8)
            )
            write_stamp(planes[:height], number)
            file.write(b"FRAME\n" + planes.tobytes())
    return path


def settings() -> ServeConfig:
    given = {"port": 0, "effect": "tiny", "factor": 4, "threads": 1, "visitors": {"most": 1}}
    return load_config(None, (), given, model=ServeConfig)


def round_trips_ms(seen: dict[str, list[list[float]]]) -> list[float]:
    """Return the time from each picture of the camera on the page to the same picture coming back."""
    own: dict[int, float] = {}
    trips = []
    events = [(when, 0, stamp) for stamp, when, *_ in seen["own"]]
    events += [(when, 1, stamp) for stamp, when, *_ in seen["changed"]]
    for when, came_back, stamp in sorted(events):
        number, check = divmod(int(stamp), 256)
        if zlib.crc32(number.to_bytes(4, "big")) & 0xFF != check:
            continue
        if not came_back:
            own[number] = when
        elif number in own:
            trips.append(when - own.pop(number))
    return trips


async def colours(tab: Tab, video: str) -> NDArray[np.float64]:
    """Return the colours of a video at a coarse grid."""
    grid: list[int] = await tab.run(
        f"(() => {{ const c = document.createElement('canvas'); c.width = 32; c.height = 18; "
        f"const d = c.getContext('2d'); d.drawImage(document.querySelector('{video}'), 0, 0, 32, 18); "
        f"return [...d.getImageData(0, 6, 32, 12).data]; }})()"
    )
    return np.array(grid, dtype=float)


def test_a_visitor_sends_the_camera_sees_it_changed_turns_the_knobs_and_leaves(folder: Path) -> None:
    told: list[str] = []

    async def visit(address: str) -> None:
        async with browser(folder / "profile", camera_file(folder / "camera.y4m")) as chrome:
            tab = await chrome.open(address, folder / "another")
            await tab.until(READY)
            await tab.run("document.querySelector('#bypass').click()")
            await tab.click("#start")
            await tab.until(LIVE)
            await tab.run(STAMPS)
            await tab.until("window.seen.changed.length > 40")
            trips = round_trips_ms(await tab.run("window.seen"))
            assert trips, "no number came back"
            print(f"there and back: median {median(trips):.0f} ms of {len(trips)}")  # noqa: T201 - see above
            size = await tab.run("[changed.videoWidth, changed.videoHeight]")
            assert tuple(size) == SIZE
            plain = await colours(tab, "#changed")
            await tab.run("document.querySelector('#bypass').click()")
            await tab.until("document.querySelector('#bypass').checked === false")
            for _ in range(100):
                if np.abs(await colours(tab, "#changed") - plain).mean() > 15:
                    break
                await asyncio.sleep(0.1)
            else:
                pytest.fail("the picture was not changed")
            await tab.until("document.querySelector('#trip').textContent !== '–'")
            await changes_and_keeps(tab, folder)
            await keep(tab, "serve")
            await tab.click("#start")
            await tab.until("document.querySelector('#status').dataset.state === 'off'")
            await asyncio.to_thread(wait_until, lambda: len(told) == 2)
            await tab.click("#start")  # and once more, on the same page
            await tab.until(LIVE)
            assert tab.problems == []
            await tab.close()
            await asyncio.to_thread(wait_until, lambda: len(told) == 4)

    with serving(settings(), told.append) as address:
        asyncio.run(visit(address))
    assert told[0].startswith("visitor 1 came: 320x180 at 30 fps, tiny")
    assert [line.partition(":")[0] for line in told[1:]] == [
        "visitor 1 left",
        "visitor 2 came",
        "visitor 2 left",
    ]


def test_what_is_in_the_way_is_said_on_the_page(folder: Path) -> None:
    async def visit(address: str) -> None:
        async with browser(folder / "profile", camera_file(folder / "camera.y4m", 9)) as chrome:
            first, second = await chrome.open(address), await chrome.open(address)
            for tab in (first, second):
                await tab.until(READY)
            await first.click("#start")
            await asyncio.to_thread(wait_until, lambda: len(told) == 1)  # not seen: it is in the background
            await second.click("#start")
            await second.until(f"{SAID}.includes('All places are taken. Try again later.')")
            await first.close()
            await second.click("#start")
            await second.until(LIVE)
            await second.close()

    async def come_without_camera(address: str) -> None:
        async with browser(folder / "another") as chrome:
            tab = await chrome.open(address)
            await tab.until(READY)
            await tab.click("#start")
            await tab.until(f"{SAID}.includes('No camera was found')")
            await tab.close()

    told: list[str] = []
    with serving(settings(), told.append) as address:
        asyncio.run(visit(address))
        asyncio.run(come_without_camera(address))


async def changes_and_keeps(tab: Tab, folder: Path) -> None:
    """Make the chain longer; take a snapshot and a recording, which the browser makes by itself."""
    settled = "!document.querySelector('#chain-note').textContent.startsWith('Opening')"
    for count in (2, 3):
        await tab.click("#add")
        await tab.click("#choose-tiny")
        await tab.until(f"document.querySelectorAll('#chain .head').length === {count} && {settled}")
    assert await tab.run("document.querySelector('#add').disabled"), "a visitor's chain has a limit"
    await tab.click("#remove-2")
    await tab.until(f"document.querySelectorAll('#chain .head').length === 2 && {settled}")
    assert await tab.run("stage.dataset.mirror") == "yes"
    await tab.click("#snapshot")
    await tab.until(f"{SAID}.includes('before.png')")
    await tab.click("#record")
    await tab.until("document.querySelector('#record-label').textContent.startsWith('Stop 0:0')")
    await asyncio.sleep(1)
    await tab.click("#record")
    await tab.until(f"{SAID}.includes('Recorded, without sound')")
    kept = folder / "another"
    await asyncio.to_thread(wait_until, lambda: any(kept.glob("*.mp4")) or any(kept.glob("*.webm")))
    (file,) = [*kept.glob("*.mp4"), *kept.glob("*.webm")]
    with av.open(str(file)) as recording:
        assert next(recording.decode(video=0)).width == SIZE[0]
    with av.open(str(next(kept.glob("*_after.png")))) as picture:
        assert (picture.streams.video[0].width, picture.streams.video[0].height) == SIZE


async def keep(tab: Tab, name: str) -> None:
    """Keep screenshots where that is asked for."""
    if folder := os.environ.get("STREAMFX_SCREENSHOTS"):
        await tab.look(Path(folder) / f"{name}-dark.png", width=1280, height=900, dark=True)
        await tab.look(Path(folder) / f"{name}-light.png", width=1280, height=900, dark=False, whole=True)
        await tab.look(Path(folder) / f"{name}-phone.png", width=390, height=844, dark=True, whole=True)
