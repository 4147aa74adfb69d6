"""Proof, before the first frame, that a container can be completed with all that is to go into it."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING

import av
from av.container import OutputContainer
from av.stream import Stream

from streamfx.encode.tracks.copying import StreamCopier, copy_tags
from streamfx.media.tracks import OtherTracks

if TYPE_CHECKING:
    from av.packet import Packet

_PACKETS = 3  # of each stream; some muxers look into the first ones
_UNREADABLE_WHEN_EMPTY = "nut"  # and takes every packet, whatever is in it


def prove(
    out: OutputContainer,
    options: Mapping[str, str],
    other_tracks: OtherTracks | None,
    copier: StreamCopier | None,
) -> bytes:
    """Write a file like ``out`` into memory, with the same streams and tags, from its header to its end.

    Returns:
        Bytes of the file.

    Args:
        out: the output, its header written, so that what is known of its streams is final.
        options: options of its container.
        other_tracks: other_tracks of the source; the first packets that have come are tried.
        copier: copier that brings them into the output.

    Raises:
        FFmpegError, ValueError: the file cannot be completed.
    """
    data = io.BytesIO()
    trial = av.open(
        data,
        "w",
        format=out.format.name,
        container_options=dict(options),
        metadata_errors="surrogateescape",
    )
    try:
        for stream in out.streams:
            same = trial.add_stream_from_template(stream, opaque=True)
            same.metadata.update(stream.metadata)
            same.disposition = stream.disposition
        if other_tracks is not None:
            copy_tags(trial, other_tracks)
        trial.start_encoding()
        is_empty = True
        if other_tracks is not None and copier is not None:
            for index, copied in copier.streams.items():
                if copied.converter is not None:
                    continue
                for packet in other_tracks.waiting(index)[:_PACKETS]:
                    packet.dts = packet.pts if packet.dts is None else packet.dts
                    packet.pts = packet.dts if packet.pts is None else packet.pts
                    if packet.dts is None:
                        continue
                    for bare in [packet] if copied.bare is None else copied.bare.filter(packet):
                        bare.stream = trial.streams[copied.target.index]
                        trial.mux_one(bare)
                        is_empty = False
        if is_empty and out.format.name == _UNREADABLE_WHEN_EMPTY:
            trial.mux_one(_something(trial.streams[0]))
        trial.close()
        return data.getvalue()
    finally:
        with contextlib.suppress(av.FFmpegError, ValueError):
            trial.close()


def _something(stream: Stream) -> Packet[Stream]:
    """Return a packet of nothing."""
    packet: Packet[Stream] = av.Packet(bytes(64))
    packet.pts = packet.dts = 0
    packet.is_keyframe, packet.stream = True, stream
    return packet
