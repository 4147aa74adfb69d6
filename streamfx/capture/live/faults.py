"""Faults: sources that misbehave as real ones do, on purpose. ``fault:<scenario>?<options>:<source>``.

``fault:freeze?after=2&for=3:clip.mp4`` plays a clip as a live stream that stands still after two seconds, for
three. Everything above the connection is what runs for a real network source.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TypeAlias

from av import VideoFrame
from av.packet import Packet
from av.stream import Stream

from streamfx.capture.live.connection import Connection, DemuxedConnection, PacketConnection
from streamfx.capture.live.faulty_connection import FaultyConnection, damaged, shift
from streamfx.capture.live.network import NetworkConnection
from streamfx.capture.live.playback import Playback
from streamfx.capture.live.settings import LiveSettings
from streamfx.capture.live.source import LiveSource
from streamfx.capture.options import picture_size, split_options
from streamfx.errors import ConfigError, SourceLostError, SourceOpenError
from streamfx.media.addresses import check_address, scheme_of, without_credentials
from streamfx.media.ffmpeg_protocols import check_protocol

Spoil: TypeAlias = Callable[[PacketConnection, int], PacketConnection]
"""Gets a good connection and its number, from 0; returns one that misbehaves."""

_WRAP_TICKS = 1 << 33  # where the 90 kHz clock of MPEG-TS begins anew: after 26.5 hours


@dataclass(frozen=True, slots=True)
class Scenario:
    """What can be asked for: what it does, its options with their defaults, and what makes it."""

    what: str
    options: Mapping[str, str]
    make: Callable[[Faults], Spoil]


@dataclass(frozen=True, slots=True)
class Faults:
    """Options of a scenario as they were given, or their defaults.

    Attributes:
        text: the source as the user wrote it, for messages.
        values: values by name.
        settings: time limits of the source.
        closed: set when the source is closed, so that no fault outlasts it.
    """

    text: str
    values: Mapping[str, str]
    settings: LiveSettings
    closed: threading.Event = field(default_factory=threading.Event)

    def number(self, key: str, low: float = 0.0) -> float:
        """Return option ``key`` as a number of at least ``low``.

        Raises:
            ConfigError: it is none.
        """
        try:
            value = float(self.values[key])
        except ValueError as error:
            raise ConfigError(f"{self.text}: {key} must be a number, found '{self.values[key]}'") from error
        if not low <= value <= 1e9:
            raise ConfigError(f"{self.text}: {key} must be at least {low:g}, found {self.values[key]}")
        return value

    def wait(self, seconds: float) -> None:
        """Deliver nothing for so long.

        Raises:
            SourceLostError: it took longer than a source may.
        """
        limit_seconds = self.settings.read_seconds
        self.closed.wait(min(seconds, limit_seconds))
        if seconds > limit_seconds:
            raise SourceLostError(f"{self.text}: nothing came within {limit_seconds:g} s")


def open_fault(text: str, settings: LiveSettings | None = None, *, threads: int | None = None) -> LiveSource:
    """Return the source that ``fault:<scenario>?<options>:<source>`` names.

    A file is played in real time and begins again at its end; an address is read as it comes.

    Raises:
        ConfigError: no such scenario, or an option of it is wrong.
        SourceOpenError: the source behind it cannot be opened.
    """
    settings = settings or LiveSettings()
    name, scenario, options, inner = _parsed(text)
    check_address(inner)
    check_protocol(inner)
    faults = Faults(name, {**scenario.options, **options}, settings)
    spoil = scenario.make(faults)
    opened = 0

    def connect() -> Connection:
        nonlocal opened
        number, opened = opened, opened + 1
        if scheme_of(inner) is not None:
            return DemuxedConnection(spoil(NetworkConnection(inner, settings, threads), number))
        return DemuxedConnection(spoil(Playback(inner, faults.closed, threads), number))

    return LiveSource(name, connect, settings, close_waits=faults.closed.set)


def _parsed(text: str) -> tuple[str, Scenario, dict[str, str], str]:
    """Return name, scenario, options and what stands behind the last colon of ``text``."""
    name = without_credentials(text)
    _, _, rest = text.partition(":")
    head, colon, inner = rest.partition(":")
    scenario = SCENARIOS.get(head.partition("?")[0])
    if scenario is None or not colon or not inner:
        known = "; ".join(f"{key}: {each.what}" for key, each in SCENARIOS.items())
        raise ConfigError(
            f"{name}: write fault:SCENARIO:SOURCE or fault:SCENARIO?KEY=VALUE&KEY=VALUE:SOURCE; the "
            f"scenarios are {known}"
        )
    _, options = split_options(head, scenario.options)
    return name, scenario, options, inner


def _freeze(faults: Faults) -> Spoil:
    after, seconds = faults.number("after"), faults.number("for")
    done = False

    def alter(packet: Packet[Stream], at_seconds: float) -> Packet[Stream] | None:
        nonlocal done
        if not done and at_seconds >= after:
            done = True
            faults.wait(seconds)
        return packet

    return lambda connection, _number: FaultyConnection(connection, alter)


def _loss(faults: Faults) -> Spoil:
    share, luck = faults.number("share"), random.Random(faults.number("seed"))

    def alter(packet: Packet[Stream], _at_seconds: float) -> Packet[Stream] | None:
        return None if luck.random() < share else packet

    return lambda connection, _number: FaultyConnection(connection, alter)


def _jump(faults: Faults) -> Spoil:
    after, by = faults.number("after"), faults.number("by", -1e9)

    def alter(packet: Packet[Stream], at_seconds: float) -> Packet[Stream] | None:
        if at_seconds >= after:
            shift(packet, Fraction(by))
        return packet

    return lambda connection, _number: FaultyConnection(connection, alter)


def _wrap(faults: Faults) -> Spoil:
    after = Fraction(faults.number("after"))

    def alter(packet: Packet[Stream], _at_seconds: float) -> Packet[Stream] | None:
        wrap_seconds = Fraction(_WRAP_TICKS, 90_000)
        shift(packet, wrap_seconds - after)
        if packet.dts is not None and packet.dts * packet.time_base >= wrap_seconds:
            shift(packet, -wrap_seconds)
        return packet

    return lambda connection, _number: FaultyConnection(connection, alter)


def _size(faults: Faults) -> Spoil:
    after = faults.number("after")
    height, width = picture_size(faults.text, "to", faults.values["to"])

    def alter(packet: Packet[Stream], at_seconds: float) -> Packet[Stream] | None:
        if at_seconds >= after:
            raise SourceLostError(f"{faults.text}: the server begins anew, with pictures of another size")
        return packet

    def repaint(picture: VideoFrame) -> VideoFrame:
        other = picture.reformat(width, height, interpolation="FAST_BILINEAR")
        other.pts, other.time_base = picture.pts, picture.time_base
        return other

    def spoil(connection: PacketConnection, number: int) -> PacketConnection:
        # The first connection is lost; then the sizes take turns, if it is lost again by itself.
        return FaultyConnection(connection, None if number else alter, repaint if number % 2 else None)

    return spoil


def _corrupt(faults: Faults) -> Spoil:
    share, luck = faults.number("share"), random.Random(faults.number("seed"))

    def spoil(connection: PacketConnection, _number: int) -> PacketConnection:
        def alter(packet: Packet[Stream], at_seconds: float) -> Packet[Stream] | None:
            hit = packet.stream_index == connection.video.index and at_seconds > 0 and luck.random() < share
            return damaged(packet, luck) if hit else packet

        return FaultyConnection(connection, alter)

    return spoil


def _slow(faults: Faults) -> Spoil:
    opening, every, stall = faults.number("opening"), faults.number("every", 0.01), faults.number("for")

    def spoil(connection: PacketConnection, _number: int) -> PacketConnection:
        stalls = 0

        def alter(packet: Packet[Stream], at_seconds: float) -> Packet[Stream] | None:
            nonlocal stalls
            if at_seconds >= (stalls + 1) * every:
                stalls += 1
                faults.wait(stall)
            return packet

        limit_seconds = faults.settings.open_seconds
        faults.closed.wait(min(opening, limit_seconds))
        if opening > limit_seconds:
            connection.close()
            raise SourceOpenError(f"{faults.text}: cannot be opened: no answer within {limit_seconds:g} s")
        return FaultyConnection(connection, alter)

    return spoil


def _storm(faults: Faults) -> Spoil:
    every, times, refused = faults.number("every", 0.01), faults.number("times"), faults.number("refused")
    losses, refusals = 0, 0.0

    def alter(packet: Packet[Stream], at_seconds: float) -> Packet[Stream] | None:
        nonlocal losses, refusals
        if losses < times and at_seconds >= every:
            losses, refusals = losses + 1, refused
            raise SourceLostError(f"{faults.text}: the server ended the connection ({losses} of {times:g})")
        return packet

    def spoil(connection: PacketConnection, _number: int) -> PacketConnection:
        nonlocal refusals
        if refusals > 0:
            refusals -= 1
            connection.close()
            raise SourceOpenError(f"{faults.text}: cannot be opened: the server refuses the connection")
        return FaultyConnection(connection, alter)

    return spoil


SCENARIOS = {
    "freeze": Scenario(
        "after so many seconds nothing comes for so many", {"after": "2", "for": "3"}, _freeze
    ),
    "loss": Scenario("this share of the packets is lost", {"share": "0.05", "seed": "1"}, _loss),
    "jump": Scenario(
        "after so many seconds all times are later by so many", {"after": "2", "by": "100"}, _jump
    ),
    "wrap": Scenario("after so many seconds the 33-bit clock of MPEG-TS begins anew", {"after": "2"}, _wrap),
    "size": Scenario(
        "after so many seconds it is lost, and back in another size", {"after": "2", "to": "640x360"}, _size
    ),
    "corrupt": Scenario(
        "this share of the video packets is damaged", {"share": "0.05", "seed": "1"}, _corrupt
    ),
    "slow": Scenario(
        "opening takes so long, and every so many seconds nothing comes for so many",
        {"opening": "2", "every": "3", "for": "1"},
        _slow,
    ),
    "storm": Scenario(
        "lost every so many seconds, so many times; as many attempts are refused each time",
        {"every": "1", "times": "5", "refused": "2"},
        _storm,
    ),
}
