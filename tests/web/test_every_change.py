"""Every effect that is shipped, with every control, on both pages: nothing that a viewer does ends a run."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import av
import pytest

import streamfx
from streamfx.config.loading import load_config
from streamfx.config.serve import ServeConfig
from streamfx.engine.library import list_effects
from streamfx.pipeline.flow import Ending
from streamfx.pipeline.stats import Snapshot
from streamfx.serving import serving
from tests.full_disk import fill
from tests.web.browsers import Browser, browser
from tests.web.lookers import Looker, live_with

pytestmark = pytest.mark.usefixtures("place_of_its_own")

SIZE_WH = (96, 64)
QUICK: dict[str, Any] = {"backend": "eager", "factor": 4, "threads": 1, "seconds": 120}
CHAINS = [["toon", "upscale", "restore"], ["restore", "toon", "upscale"], ["upscale"], [], ["wave", "wave"]]
SOURCE = "test:bars?size=96x64&fps=30&frames=0&live=1"


def effects() -> list[str]:
    """Return the names of the effects, one that enlarges first: what comes after it is as large."""
    return sorted((found.name for found in list_effects() if found.spec), key=lambda name: name != "upscale")


def runs(chain: list[str], told: dict[str, Any]) -> bool:
    """Return whether these are the effects of a state."""
    return [each["name"] for each in told["effects"]] == chain


def is_running(tab: Browser, chain: list[str]) -> bool:
    """Return whether a visitor was last told of these effects."""
    return runs(chain, tab.latest("state"))


def sizes_in(path: Path) -> set[tuple[int, int]]:
    """Return the (width, height) of all pictures in a file."""
    with closing(av.open(str(path))) as file:
        return {(picture.width, picture.height) for picture in file.decode(video=0)}


def test_every_effect_and_every_control_of_the_live_page_leaves_the_run_going() -> None:
    names = effects()
    turned: set[tuple[str, str]] = set()

    async def turn(viewer: Looker, name: str) -> None:
        await viewer.send("effect", effect=0, name=name)
        state = await viewer.heard("state", lambda told: told["effects"][0]["name"] == name)
        for control in state["effects"][0]["controls"]:
            for value in (control["low"], control["high"]):
                await viewer.send("control", effect=0, name=control["name"], value=value)
                await viewer.seen()
            turned.add((name, control["name"]))
        await viewer.send("bypass", on=True)
        await viewer.heard("state", lambda told: told["bypass"])
        await viewer.seen()
        await viewer.send("snapshot")
        await viewer.heard("snapshot")
        await viewer.send("view", pictures=True, before=name == names[0])
        await viewer.send("bypass", on=False)
        await viewer.heard("state", lambda told: not told["bypass"])

    async def come(viewer: Looker) -> None:
        await viewer.send("record", on=True)
        for name in names:
            await turn(viewer, name)
        for chain in CHAINS:
            await viewer.send("chain", effects=[{"name": name} for name in chain])
            await viewer.heard("state", partial(runs, chain))
            await viewer.seen(2)
        await viewer.send("record", on=False)
        await viewer.heard("state", lambda told: told["recording"]["file"] and not told["recording"]["on"])

    report = live_with(come, SOURCE, ["web:0", "out.mkv"], effects=["wave"], **QUICK)
    declared = {(found.name, name) for found in list_effects() if found.spec for name in found.spec.controls}
    assert turned == {(effect, name) for effect, name in declared if name != "factor"}
    assert report.result.ending is Ending.STOPPED, report.summary()
    assert report.losses == []
    assert report.result.account.differences(report.result.packets_written) == []
    (recording,) = Path().glob("streamfx_*.mkv")
    assert sizes_in(Path("out.mkv")) == sizes_in(recording) == {SIZE_WH}


@pytest.mark.parametrize("outputs", [["web:0"], ["web:0", "out.mkv"]], ids=["alone", "with a file"])
def test_an_enlarging_run_goes_on_when_its_effect_is_bypassed_replaced_and_shown_beside_before(
    outputs: list[str],
) -> None:
    async def come(viewer: Looker) -> None:
        await viewer.until(lambda: viewer.pictures and viewer.pictures[-1][1], "a picture beside what it was")
        await viewer.send("bypass", on=True)
        await viewer.heard("state", lambda told: told["bypass"])
        await viewer.seen(3)
        await viewer.send("bypass", on=False)
        await viewer.send("effect", effect=0, name="tiny")
        await viewer.heard("state", lambda told: told["effects"][0]["name"] == "tiny")
        await viewer.seen(3)

    report = live_with(come, SOURCE, outputs, effects=["upscale"], **QUICK)
    assert report.result.ending is Ending.STOPPED, report.summary()
    assert report.losses == []
    assert report.result.account.differences(report.result.packets_written) == []
    if len(outputs) > 1:
        assert sizes_in(Path("out.mkv")) == {(2 * SIZE_WH[0], 2 * SIZE_WH[1])}


def test_a_recording_that_fails_is_a_loss_of_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    async def come(viewer: Looker) -> None:
        await viewer.send("record", on=True)
        await viewer.heard("state", lambda told: told["recording"]["on"])
        await viewer.seen(3)
        await viewer.send("record", on=False)
        told = await viewer.heard("state", lambda told: told["recording"]["problem"])
        assert "the disk is full" in told["recording"]["problem"]

    fill(monkeypatch)
    report = live_with(come, SOURCE, ["web:0"], effects=["tiny"], **QUICK)
    assert report.exit_code == 1
    (recording,) = report.outputs
    assert "the disk is full" in str(recording.failure)
    assert report.losses == [f"{recording.name} ended early: {str(recording.failure).partition(': ')[2]}"]


def test_black_pictures_in_an_enlarging_run_have_the_size_of_the_output() -> None:
    def until(snapshot: Snapshot) -> None:
        if snapshot.frames_repeated > 2 and not snapshot.stopping:
            raise KeyboardInterrupt

    report = streamfx.live(
        "fault:storm?every=0.3&times=99&refused=1:test:bars?size=96x64&fps=25",
        "out.mkv",
        effects=["upscale"],
        settings=["source.gap=black", "source.reconnect.first_seconds=0.3", "source.reconnect.jitter=0"],
        progress=until,
        **QUICK,
    )
    assert report.result.account.repeated > 0
    assert report.result.ending is Ending.STOPPED, report.summary()
    assert sizes_in(Path("out.mkv")) == {(2 * SIZE_WH[0], 2 * SIZE_WH[1])}


@pytest.fixture
def served() -> Iterator[str]:
    """The address of a page for visitors who may have small pictures only."""
    given = {
        "port": 0, "token": False, "effect": "tiny", "threads": 1, "factor": 4, "backend": "eager",
        "visitors": {"most": 1, "largest": (64, 96)},
    }  # fmt: skip
    with serving(load_config(None, (), given, model=ServeConfig)) as address:
        yield address


def test_every_effect_and_every_control_of_the_visitors_page_leaves_the_run_going(
    served: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamfx.web.visit._SHOW_SECONDS", 0.02)

    async def turn(tab: Browser, name: str) -> None:
        await tab.socket.send_json({"type": "effect", "effect": 0, "name": name})
        await tab.until(lambda: tab.latest("state").get("effects", [{}])[0].get("name") == name, name)
        for control in tab.latest("state")["effects"][0]["controls"]:
            for value in (control["low"], control["high"]):
                asked = {"type": "control", "effect": 0, "name": control["name"], "value": value}
                await tab.socket.send_json(asked)
        picture = await tab.seen(2)
        assert (picture.width, picture.height) == SIZE_WH
        for on in (True, False):
            await tab.socket.send_json({"type": "bypass", "on": on})

    async def visit() -> None:
        async with browser(served, SOURCE) as tab:
            await tab.join(camera={"width": 96, "height": 64, "fps": 30.0})
            await tab.heard("state")
            for name in effects():
                await turn(tab, name)
            for chain in CHAINS:
                await tab.socket.send_json({"type": "chain", "effects": [{"name": name} for name in chain]})
                await tab.until(partial(is_running, tab, chain), f"{chain}")
                picture = await tab.seen(2)
                assert (picture.width, picture.height) == SIZE_WH
            assert tab.latest("refused") == tab.latest("ended") == {}

    asyncio.run(visit())


@pytest.mark.parametrize("effect", ["tiny", "upscale"])
def test_an_offer_that_says_nothing_of_the_camera_gets_no_larger_pictures(served: str, effect: str) -> None:
    async def visit() -> None:
        async with browser(served, SOURCE.replace("96x64", "360x240")) as tab:
            await tab.join(effect=effect)
            picture = await tab.seen(2)
            assert (picture.width, picture.height) == SIZE_WH

    asyncio.run(visit())
