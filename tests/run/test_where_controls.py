"""The controls of a run: where an effect acts, and what stands behind people, changed while it goes on."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable, Iterator
from typing import cast

import cv2
import numpy as np
import pytest

from streamfx.errors import ConfigError
from streamfx.generate.people.backdrop import colour_backdrop
from streamfx.generate.people.matting import Matte, Matting
from streamfx.generate.where import Where
from streamfx.media.frame import Frame, VideoFormat
from streamfx.run import rearranging
from streamfx.run.control_state import WantedEffect
from streamfx.web.commands import read_command, turn
from streamfx.web.pictures import jpeg_backdrop
from tests import engines
from tests.run_controls import Bench, bench
from tests.servers import wait_until


class LeftHalf:
    """Finds a person in the left half of every frame."""

    closes = 0

    def matte(self, frame: Frame) -> Matte:
        share = np.zeros(frame.size, np.uint8)
        share[:, : frame.size[1] // 2] = 255
        return Matte(share)

    def warm_up(self, video: VideoFormat) -> None: ...

    def close(self) -> None:
        self.closes += 1


@pytest.fixture(autouse=True)
def finder(
    tmp_path_factory: pytest.TempPathFactory, compiled: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[LeftHalf]:
    folder = tmp_path_factory.mktemp("engines")
    engines.make_engine(folder, "tiny")
    monkeypatch.setenv("STREAMFX_CACHE", compiled)
    monkeypatch.setenv("STREAMFX_ENGINES", str(folder))
    found = LeftHalf()
    monkeypatch.setattr(rearranging, "open_matting", lambda _settings: cast("Matting", found))
    yield found
    assert found.closes <= 1


def done(table: Bench, turned: Callable[[], object]) -> None:
    """Turn a knob, and wait until what it needs is open."""
    turned()
    wait_until(lambda: table.controls.state().opening is None)
    assert table.controls.state().problem is None


def changed(table: Bench) -> tuple[bool, bool]:
    """Return whether the next frame is another in its left half, and in its right one."""
    frame = table.frame()
    made = table.controls.process(frame)
    half = frame.size[1] // 2
    pairs = list(zip(frame.planes[:1], made.planes[:1], strict=True))
    return (
        any(not np.array_equal(one[:, :half], other[:, :half]) for one, other in pairs),
        any(not np.array_equal(one[:, half:], other[:, half:]) for one, other in pairs),
    )


def test_where_an_effect_acts_is_changed_while_it_runs_and_what_finds_people_is_opened_once(
    finder: LeftHalf,
) -> None:
    with bench("tiny") as table:
        assert changed(table) == (True, True)
        assert table.controls.state().effects[0].where is Where.ALL
        done(table, lambda: table.controls.set_where(0, Where.PERSON))
        assert changed(table) == (True, False)
        table.controls.set_where(0, Where.BACKGROUND)
        assert table.controls.state().opening is None, "it is open already"
        assert changed(table) == (False, True)
        assert table.controls.state().effects[0].where is Where.BACKGROUND
        table.controls.set_where(0, Where.ALL)
        assert changed(table) == (True, True)
        assert [change.what for change in table.controls.changes] == [
            "tiny: where person", "tiny: where background", "tiny: where all",
        ]  # fmt: skip
        assert finder.closes == 0
    assert finder.closes == 1


def test_a_chain_says_where_each_of_its_effects_acts() -> None:
    with bench("tiny") as table:
        wanted = [WantedEffect("tiny", where=Where.PERSON), WantedEffect("blur", {"strength": 1})]
        done(table, lambda: table.controls.set_chain(wanted))
        state = table.controls.state()
        assert [(each.name, each.where) for each in state.effects] == [
            ("tiny", Where.PERSON), ("blur", Where.BACKGROUND),
        ]  # fmt: skip
        assert [control.value for control in state.effects[1].controls] == [1.0]
        assert (state.effects[1].backend, state.effects[1].precision) == ("", "")
        assert changed(table) == (True, True)
        done(table, lambda: table.controls.set_chain([WantedEffect("tiny")]))
        assert table.controls.state().effects[0].where is Where.PERSON, "what is not said stays"
        assert changed(table) == (True, False)


def test_an_effect_in_place_of_another_acts_where_that_one_did(finder: LeftHalf) -> None:
    with bench("tiny") as table:
        done(table, lambda: table.controls.switch(0, "backdrop"))
        assert table.controls.state().effects[0].where is Where.BACKGROUND, "its own"
        assert changed(table) == (False, True)
        done(table, lambda: table.controls.switch(0, "tiny"))
        assert table.controls.state().effects[0].where is Where.ALL, "a look is not bound to what stood there"
    assert finder.closes == 1


def test_a_backdrop_shows_a_colour_or_a_picture_that_a_page_sent() -> None:
    with bench("backdrop") as table:
        backdrop = table.controls.effects.chain.effects[0]
        assert backdrop.name == "backdrop"
        table.controls.set_backdrop(0, colour_backdrop("000000"))
        assert np.unique(table.controls.process(table.frame()).planes[0][0, -8:]).tolist() == [16]


def command(table: Bench, **message: object) -> None:
    """Have a page send a command, and wait until what it needs is open."""
    assert asyncio.run(turn(table.controls, read_command(json.dumps(message))))
    wait_until(lambda: table.controls.state().opening is None)


def jpeg(colour: int = 255) -> bytes:
    return cv2.imencode(".jpg", np.full((30, 50, 3), colour, np.uint8))[1].tobytes()


def last_luma(table: Bench) -> int:
    """Return the luma of the last pixel of the first row of the next frame."""
    return int(table.controls.process(table.frame()).planes[0][0, -1])


def test_the_commands_of_a_page_set_where_and_what_stands_behind() -> None:
    with bench("tiny") as table:
        command(table, type="where", effect=0, where="person")
        command(table, type="effect", effect=1, name="backdrop")
        command(table, type="backdrop", effect=1, colour="#000000")
        assert last_luma(table) == 16
        command(table, type="backdrop", effect=1, picture=base64.b64encode(jpeg()).decode())
        assert last_luma(table) >= 233


@pytest.mark.parametrize(
    ("message", "refusal"),
    [
        ({"type": "where", "effect": 0, "where": "nobody"}, "where"),
        ({"type": "where", "effect": 7, "where": "all"}, "there is no effect number 7"),
        ({"type": "kind", "effect": 0, "kind": "photo"}, "'tiny' runs whatever the pictures show"),
        ({"type": "kind", "effect": 0}, "kind"),
        ({"type": "backdrop", "effect": 1}, "either 'picture' or 'colour' is needed"),
        ({"type": "backdrop", "effect": 1, "colour": "red"}, "colour"),
        ({"type": "backdrop", "effect": 1, "picture": "AAAA"}, "a JPEG of at most 4096 pixels each way"),
        ({"type": "backdrop", "effect": 1, "picture": "§"}, "cannot be used"),
        ({"type": "backdrop", "effect": 0, "colour": "000000"}, "'tiny' shows no picture; 'backdrop' does"),
    ],
)
def test_a_command_that_is_wrong_is_refused(message: dict[str, object], refusal: str) -> None:
    with bench("tiny") as table, pytest.raises(ConfigError, match=refusal):
        command(table, **message)


def test_a_picture_that_is_broken_or_claims_to_be_huge_is_refused() -> None:
    good = jpeg()
    at = good.index(b"\xff\xc0") + 5
    huge = good[:at] + (60_000).to_bytes(2, "big") * 2 + good[at + 4 :]
    for data, message in (
        (huge, "at most 4096 pixels"),
        (good[:200], "broken"),
        (b"GIF89a", "must be a JPEG"),
    ):
        with pytest.raises(ValueError, match=message):
            jpeg_backdrop(data)
