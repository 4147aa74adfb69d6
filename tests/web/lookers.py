"""A viewer of the live page in code that looks at every picture, as a browser does, whatever else it does."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

import streamfx
from streamfx.pipeline.stats import Snapshot
from streamfx.run.report import Report

LIMIT_SECONDS = 60.0


@dataclass
class Looker:
    """What a viewer has seen and heard.

    Attributes:
        pictures: numbers of bytes of each picture, after the effects and before them.
        messages: everything else.
    """

    socket: aiohttp.ClientWebSocketResponse
    pictures: list[tuple[int, int]] = field(default_factory=list)
    messages: list[dict[str, Any]] = field(default_factory=list)

    async def send(self, kind: str, **message: object) -> None:
        await self.socket.send_json({"type": kind, **message})

    async def seen(self, count: int = 1) -> tuple[int, int]:
        """Return the latest picture, once ``count`` more have come."""
        wanted = len(self.pictures) + count
        await self.until(lambda: len(self.pictures) >= wanted, f"picture {wanted}")
        return self.pictures[-1]

    async def heard(
        self, kind: str, fits: Callable[[dict[str, Any]], object] = lambda _: True
    ) -> dict[str, Any]:
        """Return the latest message of a kind, once it fits."""

        def latest() -> dict[str, Any] | None:
            found = next((each for each in reversed(self.messages) if each["type"] == kind), None)
            return found if found is not None and fits(found) else None

        found: dict[str, Any] = await self.until(latest, kind)
        return found

    async def until(self, happened: Callable[[], Any], what: str) -> Any:
        """Wait until ``happened`` returns something true, and return that."""
        deadline = asyncio.get_running_loop().time() + LIMIT_SECONDS
        while not (found := happened()):
            said = self.messages[-3:]
            assert asyncio.get_running_loop().time() < deadline, f"{what} did not come: {said}"
            await asyncio.sleep(0.005)
        return found

    async def look(self) -> None:
        """Take in everything that comes."""
        async for message in self.socket:
            if message.type is aiohttp.WSMsgType.BINARY:
                number, after, before = struct.unpack(">III", message.data[:12])
                self.pictures.append((after, before))
                await self.send("shown", number=number)
            elif message.type is aiohttp.WSMsgType.TEXT:
                self.messages.append(json.loads(message.data))


@asynccontextmanager
async def looking(address: str) -> AsyncIterator[Looker]:
    """Open the page at the address that was announced."""
    home, question, token = address.partition("?")
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{home}live{question}{token}", max_msg_size=1 << 26) as socket,
    ):
        looker = Looker(socket)
        task = asyncio.create_task(looker.look())
        try:
            yield looker
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def live_with(
    drive: Callable[[Looker], Awaitable[None]], source: str, outputs: Sequence[str], **options: Any
) -> Report:
    """Run live until a viewer of its page has done what it came for; return the report.

    Args:
        drive: actions of the viewer.
        source: source that is read.
        outputs: one of them a page.
        options: options of `streamfx.live`.
    """
    visits: list[Future[None]] = []

    async def visit(address: str) -> None:
        async with looking(address) as looker:
            await drive(looker)

    def until(snapshot: Snapshot) -> None:
        if visits[0].done() and not snapshot.stopping:
            raise KeyboardInterrupt

    with ThreadPoolExecutor(1, "viewer") as pool:
        report = streamfx.live(
            source,
            outputs,
            progress=until,
            announce=lambda address: visits.append(pool.submit(asyncio.run, visit(address))),
            **options,
        )
        visits[0].result()
    return report
