"""Visitors: who comes is let in up to a limit, and given a run of their own."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from aiohttp import WSCloseCode, web

from streamfx.config.live import LiveConfig, ReconnectConfig, SourceConfig
from streamfx.config.serve import ServeConfig
from streamfx.engine.library import list_effects
from streamfx.errors import ConfigError
from streamfx.generate.chain import effect_names
from streamfx.generate.people.effects import PEOPLE_EFFECTS
from streamfx.generate.request import CONTROLS, parse_effect
from streamfx.hardware.cpu import usable_cores
from streamfx.run.effects import most_pixels_for
from streamfx.run.log_limit import limited
from streamfx.run.visitor import Camera
from streamfx.web.commands import MOST_COMMAND_BYTES, ChainEffect
from streamfx.web.peer import IceServer
from streamfx.web.visit import Offer, SiteServices, Visit, most_effects_text

log = logging.getLogger(__name__)

_TURN = ("turn", "turn_user", "turn_password")
_HEARTBEAT_SECONDS = 5.0  # a browser that does not answer for half of it is gone
_CORES_FOR_ONE = 2
_LEAVING_SECONDS = 15.0  # a run that ends may have to wait for an engine that is being built
_LOOK_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class VisitorCapacity:
    """What the processors allow: how many visitors at a time, and threads for each.

    A visitor's share does not depend on who else is there, so that nobody's picture changes because somebody
    came.
    """

    visitors: int
    threads: int


def capacity(config: ServeConfig) -> VisitorCapacity:
    """Return how the processors are shared out.

    Example:
        >>> capacity(ServeConfig(threads=8))
        VisitorCapacity(visitors=4, threads=2)
    """
    cores = config.threads or usable_cores()
    visitors = config.visitors.most or max(1, cores // _CORES_FOR_ONE)
    return VisitorCapacity(visitors, max(1, cores // visitors))


def ice_servers(config: ServeConfig) -> tuple[IceServer, ...]:
    """Return the servers that help browser and server to find each other.

    Raises:
        ConfigError: a user or a password is given without a TURN server, or one of the two is missing.
    """
    found = [IceServer(address) for address in config.stun]
    if config.turn is not None:
        found.append(IceServer(config.turn, config.turn_user, config.turn_password))
    if len({config.turn is None, config.turn_user is None, config.turn_password is None}) > 1:
        raise ConfigError(
            "turn: a TURN server needs all three of turn, turn_user and turn_password; "
            f"{' and '.join(name for name in _TURN if getattr(config, name) is None)} is missing"
        )
    return tuple(found)


class Visitors:
    """Lets visitors in and gives each a run. Everything here is for the thread of the site's event loop.

    Args:
        config: settings.
        tell: callback that is called with a line for each visitor who comes or leaves.
        on_loss: callback that is called for each whose run ended with losses.

    Raises:
        ConfigError: there is no such effect.
    """

    def __init__(
        self,
        config: ServeConfig,
        tell: Callable[[str], None] = log.info,
        on_loss: Callable[[], None] = lambda: None,
    ) -> None:
        self._config, self._capacity = config, capacity(config)
        self._specs = {found.name: found.spec for found in list_effects() if found.spec is not None}
        self._effects = effect_names()
        self._first = parse_effect(config.effect or next(iter(self._effects), "none"))
        if self._first.engine not in self._effects:
            names = ", ".join(self._effects) or "none are installed"
            raise ConfigError(f"there is no effect {self._first.engine!r}; there are: {names}")
        self._pool = ThreadPoolExecutor(self._capacity.visitors, "streamfx-visitor")
        self._services = SiteServices(
            config.visitors, ice_servers(config), self._config_of, self._pool, limited(tell), on_loss
        )
        self._started = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
        self._count = 0
        self._here: dict[int, Visit] = {}
        self._ending = False

    @property
    def here(self) -> int:
        """How many visitors are here."""
        return len(self._here)

    def routes(self) -> list[web.RouteDef]:
        """Return what the page asks for."""
        return [web.get("/about", self._about), web.get("/visit", self._visit)]

    async def close(self) -> None:
        """Send everybody away, and wait until their runs have ended."""
        self._ending = True
        await asyncio.gather(*(visit.send_away() for visit in tuple(self._here.values())))
        while self._here:
            await asyncio.sleep(_LOOK_SECONDS)
        self._pool.shutdown()

    async def _about(self, _request: web.Request) -> web.Response:
        strength = self._first.strength
        return web.json_response(
            {
                "effects": self._effects,
                "effect": self._first.engine,
                "strength": 1.0 if strength is None else strength,
                "most_effects": self._config.visitors.effects,
                "most": self._capacity.visitors,
                "room": self.here < self._capacity.visitors,
                "ice": [asdict(server) for server in self._services.ice],
                "bitrate_kbps": self._config.visitors.bitrate_kbps,
            }
        )

    async def _visit(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(heartbeat=_HEARTBEAT_SECONDS, max_msg_size=MOST_COMMAND_BYTES)
        await socket.prepare(request)
        if not await self._room():
            await socket.send_json({"type": "full", "most": self._capacity.visitors})
            await socket.close(code=WSCloseCode.TRY_AGAIN_LATER, message=b"no room")
            return socket
        self._count += 1
        number = self._count
        visit = self._here[number] = Visit(number, socket, self._services)
        try:
            await visit.stay()
        finally:
            del self._here[number]
        return socket

    async def _room(self) -> bool:
        """Return whether there is room, after a while if somebody is leaving.

        A page that is loaded anew comes back before its own run has ended.
        """
        for _ in range(round(_LEAVING_SECONDS / _LOOK_SECONDS)):
            if self.here < self._capacity.visitors and not self._ending:
                return True
            if not any(visit.leaving for visit in self._here.values()):
                return False
            await asyncio.sleep(_LOOK_SECONDS)
        return False

    def _config_of(self, number: int, offer: Offer, camera: Camera) -> LiveConfig:
        """Return the settings of one visitor's run.

        Raises:
            ConfigError: there is no such effect, or the chain is too long or makes pictures too large.
                Nothing but the names of installed effects is taken, and controls as far as they have them.
        """
        wanted, limits = offer.wanted, self._config.visitors
        for effect in wanted:
            if effect.name not in self._effects:
                names = ", ".join(self._effects)
                raise ConfigError(f"there is no effect {effect.name!r}; there are: {names}")
        if len(wanted) > limits.effects:
            raise ConfigError(most_effects_text(limits.effects))
        height, width = camera.size or limits.largest
        for effect in wanted:
            spec = self._specs.get(effect.name)
            scale = spec.scale if spec is not None and spec.enlarges else 1
            height, width = height * scale, width * scale
        if height * width > most_pixels_for(limits.largest):
            raise ConfigError(f"this chain would make pictures of {width}x{height}, too large here")
        given, name = self._config, f"browser:{number}"
        report = given.report and str(Path(given.report) / f"visitor-{self._started}-{number:04}.json")
        return LiveConfig(
            input=name,
            outputs=(name,),
            effects=tuple(map(self._request_of, wanted)),
            factor=given.factor,
            backend=given.backend,
            device=given.device,
            threads=self._capacity.threads,
            report=report,
            source=SourceConfig(
                read_seconds=given.visitors.away_seconds,
                gap="pause",  # a browser goes on showing the last picture by itself
                jitter_seconds=0.0,  # WebRTC has evened them out already
                reconnect=ReconnectConfig(attempts=1),
            ),
        )

    def _request_of(self, effect: ChainEffect) -> str:
        """Return an effect as configurations have it, its controls as far as its engine allows."""
        spec = self._specs.get(effect.name)
        declared = PEOPLE_EFFECTS[effect.name].ranges if spec is None else spec.controls
        values: dict[str, object] = {
            name: repr(min(max(value, declared[name].low), declared[name].high))
            for name, value in effect.controls.items()
            if name in declared and name in CONTROLS
        }
        if self._first.factor is not None and effect.name == self._first.engine:
            values["factor"] = self._first.factor
        if effect.where is not None and not (spec is not None and spec.enlarges):
            values["where"] = effect.where
        settings = ",".join(f"{name}={value}" for name, value in values.items())
        return f"{effect.name}:{settings}" if settings else effect.name
