"""Mixing: two frames on a device become one by a matte that is there as well."""

from __future__ import annotations

from streamfx.gpu.layout import Layout
from streamfx.gpu.pool import DevicePicture
from streamfx.gpu.transfer import DeviceContext, device_picture_of
from streamfx.media.frame import Frame


def mixed(device_context: DeviceContext, over: Frame, under: Frame, matte: Frame, *, inverted: bool) -> Frame:
    """Return a frame over another by a matte, or soon to be; does not wait for the device.

    Args:
        device_context: place where frames live.
        over: frame that is seen where the matte is 255; what comes out is this one in all but its pixels.
        under: frame that is seen where it is 0.
        matte: frame that holds the matte, as the step of the engine that finds people gives it.
        inverted: whether the two change places.
    """
    from streamfx.generate.ops.matte.device import mix_on

    pictures = [device_picture_of(device_context.up(frame)) for frame in (over, under, matte)]
    form = Layout.of(pictures[0].surface)
    pictures = [device_context.as_form(picture, form, "to mix") for picture in pictures]
    place = device_context.place("mixed", form)
    with device_context.work.work(*(picture.ready for picture in pictures), *place.slot.uses):
        surfaces = [picture.surface for picture in pictures]
        mix_on(surfaces[0], surfaces[1], surfaces[2], place.slot.surface, inverted=inverted)
        event = device_context.work.record_event()
    for picture in pictures:
        picture.lease.used(event)
    flags = dict.fromkeys(flag for picture in pictures for flag in picture.non_finite_flags)
    return over.with_device_pixels(DevicePicture(place, event, tuple(flags)))
