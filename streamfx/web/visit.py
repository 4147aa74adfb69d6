"""Visit: one browser from its first message to its report; its camera's run, its knobs and its figures."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Annotated, Any, Literal

from aiohttp import WSCloseCode, WSMsgType, web
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from streamfx.capture.live.browser import IncomingPictures, within
from streamfx.config.live import LiveConfig
from streamfx.config.serve import VisitorsConfig
from streamfx.errors import (
    ConfigError,
    SourceLostError,
    SourceOpenError,
    StageFailedError,
    StreamfxError,
)
from streamfx.media.stage import Stage
from streamfx.run.controls import RunControls
from streamfx.run.report import Report
from streamfx.run.visitor import Camera, run_visitor
from streamfx.web.commands import (
    ChainEffect,
    ChainEffects,
    Command,
    SetChain,
    SwitchEffect,
    read_command,
    turn,
)
from streamfx.web.figures import Figures
from streamfx.web.peer import IceServer, Peer

log = logging.getLogger(__name__)

_MOST_OFFER_BYTES = 1 << 16  # an offer has about 8 kB
_OFFER_SECONDS = 15.0
_SHOW_SECONDS = 0.5
_STAGES = (Stage.WAITING, Stage.GENERATE, Stage.LATENCY, Stage.SEND)
_STRICT = ConfigDict(extra="forbid", frozen=True, strict=True)

Side = Annotated[int, Field(ge=64, le=8192)]
Name = Annotated[str, Field(max_length=100)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class CameraSays(BaseModel):
    """What a page says of its camera, or what the browser makes of it."""

    model_config = _STRICT

    width: Side
    height: Side
    fps: Annotated[float, Field(ge=1, le=240)] | None = None


class Offer(BaseModel):
    """The first message of a page: it wants in."""

    model_config = _STRICT

    type: Literal["offer"]
    sdp: Annotated[str, Field(max_length=_MOST_OFFER_BYTES)]
    effect: Name | None = None
    strength: Share = 1.0
    chain: ChainEffects | None = None
    bypass: bool = False
    camera: CameraSays | None = None

    @model_validator(mode="after")
    def _says_what_is_wanted(self) -> Offer:
        if (self.effect is None) is (self.chain is None):
            raise ValueError("either 'effect' or 'chain' is needed")
        return self

    @property
    def wanted(self) -> tuple[ChainEffect, ...]:
        """The chain that is wanted."""
        if self.chain is not None or self.effect is None:
            return self.chain or ()
        return (ChainEffect(name=self.effect, controls={"strength": self.strength}),)


@dataclass(frozen=True, slots=True)
class SiteServices:
    """What a visit needs of the house.

    Attributes:
        limits: limits for each visitor.
        ice: servers by which browser and server find each other, as `IceServer`.
        config_of: the settings of the run of a visitor, by number, offer and camera; raises ConfigError.
        pool: place where the run is waited for; has a thread for each visitor.
        tell: callback that is called with a line when the visitor comes, and leaves.
        on_loss: callback that is called when the run of a visitor ended with losses that were no fault of the
            visitor's.
    """

    limits: VisitorsConfig
    ice: tuple[IceServer, ...]
    config_of: Callable[[int, Offer, Camera], LiveConfig]
    pool: ThreadPoolExecutor
    tell: Callable[[str], None]
    on_loss: Callable[[], None]


class Visit:
    """One visitor. For the thread of the event loop; the run has threads of its own.

    Attributes:
        leaving: whether it has ended but for what is still to be freed.
    """

    def __init__(self, number: int, socket: web.WebSocketResponse, services: SiteServices) -> None:
        self._name, self._number, self._socket, self._services = f"visitor {number}", number, socket, services
        self._controls: RunControls | None = None
        self._changed = asyncio.Event()
        self.leaving = False

    async def stay(self) -> None:
        """Answer the offer and run until either side ends; then everything that belonged to it is free."""
        incoming = IncomingPictures()
        peer = Peer(incoming.put, incoming.end, ice=self._services.ice)
        run: asyncio.Future[Report] | None = None
        beside: list[asyncio.Task[None]] = []
        try:
            offer = await self._offer()
            camera = camera_of(offer.camera, self._services.limits.largest)
            config = self._services.config_of(self._number, offer, camera)
            await self._say("answer", sdp=await peer.answer(offer.sdp))
            effects = " + ".join(effect.name for effect in offer.wanted) or "no effect"
            self._services.tell(f"{self._name} came: {_describe(camera)}, {effects}")
            ready = self._opened(offer)
            run = asyncio.get_running_loop().run_in_executor(
                self._services.pool, lambda: run_visitor(config, camera, incoming, peer, ready)
            )
            beside = [asyncio.create_task(self._listen()), asyncio.create_task(self._show())]
            first: set[asyncio.Future[Any]] = {run, *beside}
            await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        except StreamfxError as error:
            self._services.tell(f"{self._name} was refused: {error}")
            await self._say("problem", text=str(error))
        finally:
            self.leaving = True
            incoming.end()
            for task in beside:
                task.cancel()
            await peer.close()
            if run is not None:
                await self._see_off(run)
            await self._socket.close()
            for task in beside:
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    async def send_away(self) -> None:
        """Have the visit end; `stay` returns when it has."""
        await self._socket.close(code=WSCloseCode.GOING_AWAY, message=b"the server ends")

    async def _offer(self) -> Offer:
        """Wait for the first message.

        Raises:
            SourceOpenError: it did not come, or is no offer.
        """
        try:
            message = await self._socket.receive(_OFFER_SECONDS)
        except TimeoutError as error:
            raise SourceOpenError(f"no offer came within {_OFFER_SECONDS:g} s") from error
        if message.type is not WSMsgType.TEXT:
            raise SourceOpenError("it left, or sent no offer")
        try:
            return Offer.model_validate_json(message.data)
        except ValidationError as error:
            raise SourceOpenError(f"the page's first message is no offer: {_first(error)}") from error

    def _opened(self, offer: Offer) -> Callable[[RunControls], None]:
        """Return what takes the knobs of the run when it has been opened, in its thread."""
        loop = asyncio.get_running_loop()

        def tell() -> None:
            loop.call_soon_threadsafe(self._changed.set)

        def ready(controls: RunControls) -> None:
            if offer.bypass:
                controls.set_bypass(True)
            controls.listen(tell)
            self._controls = controls

        return ready

    async def _listen(self) -> None:
        """Turn the knobs as the page says, until it goes."""
        async for message in self._socket:
            if message.type is not WSMsgType.TEXT:
                return
            try:
                await self._turn(read_command(message.data))
            except StreamfxError as error:
                await self._say("refused", text=str(error))

    async def _turn(self, command: Command) -> None:
        controls = self._controls
        if controls is None:
            raise ConfigError("the effect is not ready yet")
        count, most = 0, self._services.limits.effects
        if isinstance(command, SwitchEffect):
            count = command.effect + 1
        elif isinstance(command, SetChain):
            count = len(command.effects)
        if count > most:
            raise ConfigError(most_effects_text(most))
        if not await turn(controls, command):
            raise ConfigError("this page has no such command")

    async def _show(self) -> None:
        """Tell the page how its run stands: the figures now and then, and the controls after a change too."""
        figures: Figures | None = None
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_SHOW_SECONDS):
                    await self._changed.wait()
            by_hand = self._changed.is_set()
            self._changed.clear()
            if self._controls is not None:
                await self._say("state", **asdict(self._controls.state()))
                if not by_hand:
                    figures = figures or Figures(self._controls, _STAGES)
                    await self._say("figures", **(figures.now() or {}))

    async def _see_off(self, run: asyncio.Future[Report]) -> None:
        """Wait for the end of the run; tell what came of it, here and on the page if it is still there."""
        try:
            report = await run
            told, lost = summary_of(report), bool(report.losses)
        except StreamfxError as error:
            told, lost = str(error), not isinstance(error, SourceOpenError)
            if isinstance(error, StageFailedError):
                lost = not isinstance(error.__cause__, SourceLostError)  # else the camera is gone
                told += f"; {summary_of(error.report)}" if error.report is not None else ""
        if lost:
            self._services.on_loss()
        self._services.tell(f"{self._name} left: {told}")
        await self._say("ended", text=told)

    async def _say(self, kind: str, **content: object) -> None:
        with contextlib.suppress(ConnectionError):  # it has just gone; whoever listens to it notices
            if not self._socket.closed:
                await self._socket.send_json({"type": kind, **content})


def camera_of(says: CameraSays | None, largest: tuple[int, int]) -> Camera:
    """Return the camera as it is taken: its size reduced to the largest, whichever way it is turned.

    Example:
        >>> camera_of(CameraSays(width=1440, height=2560, fps=30), (720, 1280))
        Camera(size=(1280, 720), rate_fps=Fraction(30, 1), largest=(720, 1280))
    """
    if says is None:
        return Camera(largest=largest)
    rate_fps = None if says.fps is None else Fraction(says.fps).limit_denominator(1001)
    return Camera(within((says.height, says.width), largest), rate_fps, largest)


def most_effects_text(most: int) -> str:
    """Return what a visitor is told who asks for a longer chain than there may be."""
    return f"a chain has at most {most} effect{'s' if most > 1 else ''} here"


def _describe(camera: Camera) -> str:
    if camera.size is None:
        return "a camera that says nothing of itself"
    rate = "" if camera.rate_fps is None else f" at {float(camera.rate_fps):.4g} fps"
    return f"{camera.size[1]}x{camera.size[0]}{rate}"


def summary_of(report: Report) -> str:
    """Return what came of a visitor's run in one line."""
    result = report.result
    account, latency = result.account, result.stages.get(Stage.LATENCY)
    parts = [f"{account.encoded} of {account.frames_in} frames changed in {result.speed.wall_seconds:.0f} s"]
    if latency is not None and latency.p50_seconds is not None and latency.p95_seconds is not None:
        p50_ms, p95_ms = latency.p50_seconds * 1000, latency.p95_seconds * 1000
        parts.append(f"latency p50 {p50_ms:.0f} ms p95 {p95_ms:.0f} ms")
    parts += [f"{count} dropped ({cause})" for cause, count in account.dropped.items()]
    parts += [f"missing or wrong: {loss}" for loss in report.losses if loss != result.failure]
    return ", ".join(parts)


def _first(error: ValidationError) -> str:
    """Return the first thing that is wrong, without repeating what a stranger sent."""
    found = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(map(str, found["loc"]))
    return f"{place}: {found['msg']}" if place else str(found["msg"])
