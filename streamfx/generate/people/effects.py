"""Effects that need no picture of a network, only where the person is: blur, backdrop, cutout and mask."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from streamfx.engine.spec import ControlRange
from streamfx.errors import ConfigError, StreamfxError
from streamfx.generate.effect import Backdrop, Effect, EffectSettings
from streamfx.generate.ops.matte.definition import OPAQUE, Mask
from streamfx.generate.ops.matte.operation import mix, replace_behind
from streamfx.generate.people.backdrop import colour_backdrop
from streamfx.generate.people.blur import blurred, surroundings
from streamfx.generate.people.matting import Matte
from streamfx.generate.request import Controls, EffectRequest, check_ranges
from streamfx.generate.where import Where
from streamfx.media.colour import legal_codes
from streamfx.media.frame import Frame, Plane, VideoFormat

Change: TypeAlias = Callable[[Frame, Mask, float, int | None], Frame]
"""What an effect makes of a frame in main memory, given how much of each pixel it acts on (0..255), its
strength (0..1), and the number of threads (None for all cores)."""


@dataclass(frozen=True, slots=True)
class BackdropChange:
    """Puts a backdrop in the place of a part of frames.

    Attributes:
        backdrop: the backdrop.
    """

    backdrop: Backdrop

    def __call__(self, frame: Frame, part: Mask, strength: float, threads: int | None) -> Frame:
        """Return a frame with the backdrop in the place of a part of it."""
        new = self.backdrop(replace(frame.format, alpha=False), frame.time_seconds)
        made = frame.with_planes(
            replace_behind(frame, surroundings(frame, part, threads), new, OPAQUE - part, threads)
        )
        return (
            made if strength == 1 else frame.with_planes(mix(made, frame, share_of(frame, strength), threads))
        )


@dataclass(frozen=True, slots=True)
class PeopleEffectKind:
    """One of these effects, before it is opened.

    Attributes:
        words: description for users, a sentence.
        where: part of the picture that it acts on where nothing was said.
        strength: range and default of the strength.
        open: function that returns the change of a frame; raises ConfigError where the request does not fit.
        gives_alpha: whether frames can be seen through afterwards.
    """

    words: str
    where: Where
    strength: ControlRange
    open: Callable[[EffectRequest, EffectSettings], Change]
    gives_alpha: bool = False

    @property
    def ranges(self) -> Mapping[str, ControlRange]:
        """What the controls may be set to, by name."""
        return {"strength": self.strength}


@dataclass(slots=True, eq=False)
class PeopleEffect:
    """An effect that needs only the matte. `process` may be called from several threads at once.

    Attributes:
        name: name as a user writes it.
        kind: one of `PEOPLE_EFFECTS`.
        change: function that changes a frame.
        threads: number of threads that share a frame; None for all cores this process may use.
    """

    name: str
    kind: PeopleEffectKind
    change: Change
    threads: int | None = None
    _controls: Controls = field(default_factory=lambda: Controls(factor=1.0))

    @property
    def parts(self) -> tuple[Effect, ...]:
        """No networks: the one that finds people belongs to the chain."""
        return ()

    @property
    def scales(self) -> bool:
        """Whether there is a choice of factors: no."""
        return False

    @property
    def ranges(self) -> Mapping[str, ControlRange]:
        """What the controls may be set to, by name."""
        return self.kind.ranges

    @property
    def controls(self) -> Controls:
        """The controls in force. Setting them takes effect with the next frame.

        Raises:
            ConfigError: when set to something out of range; the old ones stay.
        """
        return self._controls

    @controls.setter
    def controls(self, controls: Controls) -> None:
        strength = self.kind.strength
        check_ranges(
            {"strength": controls.strength},
            {"strength": (strength.low, strength.high)},
            f"effect {self.name!r}",
        )
        self._controls = controls

    def process(self, frame: Frame, matte: Matte | None) -> Frame:
        """Return the frame with the effect applied; at strength 0 the very same one, unless it is cut out.

        Args:
            frame: frame, its pixels in main memory.
            matte: matte of the frame; None where the effect acts on all of it.
        """
        controls = self._controls
        if controls.strength == 0 and not self.kind.gives_alpha:
            return frame
        part = np.full(frame.size, OPAQUE, np.uint8) if matte is None else matte.of(controls.where)
        return self.change(frame, part, controls.strength, self.threads)

    def output(self, video: VideoFormat) -> VideoFormat:
        """Return the format of the frames that come out for those that go in."""
        return replace(video, alpha=True) if self.kind.gives_alpha else video

    def warm_up(self, video: VideoFormat, _factor: float | None = None) -> None:
        """Do now what the first frame of such a video would do besides computing."""
        self.process(video.grey(), None)

    def show(self, backdrop: Backdrop) -> None:
        """Have another picture stand behind people, from the next frame on.

        Raises:
            ConfigError: the effect shows none.
        """
        before = self.change
        if not isinstance(before, BackdropChange):
            raise ConfigError(f"effect {self.name!r} shows no picture; {BACKDROP!r} does")
        self.change = BackdropChange(backdrop)
        before.backdrop.close()

    def close(self) -> None:
        """Give the backdrop back. May be called twice."""
        if isinstance(self.change, BackdropChange):
            self.change.backdrop.close()


def open_people_effect(request: EffectRequest, settings: EffectSettings) -> PeopleEffect:
    """Return one of `PEOPLE_EFFECTS`.

    Raises:
        ConfigError: the request does not fit it.
    """
    kind = PEOPLE_EFFECTS[request.engine]
    for key in ("noise_amplitude", "detail_amplitude", "seed", "scale", "margin"):
        if getattr(request, key) is not None:
            raise ConfigError(f"effect {request.engine!r} has no {key}; leave it out")
    if request.auto:
        raise ConfigError(f"effect {request.engine!r} has no 'auto'; leave it out")
    strength = kind.strength.default if request.strength is None else request.strength
    effect = PeopleEffect(request.engine, kind, kind.open(request, settings), settings.threads)
    effect.controls = Controls(strength, 1.0, where=request.where or kind.where)
    return effect


def _open_blur(request: EffectRequest, _settings: EffectSettings) -> Change:
    _no_backdrop(request)

    def change(frame: Frame, part: Mask, strength: float, threads: int | None) -> Frame:
        made = blurred(frame, part, strength, threads)
        return made if part.min() == OPAQUE else frame.with_planes(mix(made, frame, part, threads))

    return change


def _open_backdrop(request: EffectRequest, settings: EffectSettings) -> Change:
    if request.picture is not None and request.colour is not None:
        raise ConfigError("backdrop: a picture and a colour are given; leave one of them out")
    if request.picture is None:
        return BackdropChange(colour_backdrop(request.colour or "green"))
    if settings.backdrops is None:
        raise ConfigError("backdrop: pictures cannot be had here; give a colour, as in backdrop:colour=green")
    try:
        return BackdropChange(settings.backdrops(request.picture))
    except StreamfxError as error:
        raise ConfigError(f"backdrop: {error}") from error


def _open_cutout(request: EffectRequest, _settings: EffectSettings) -> Change:
    _no_backdrop(request)

    def change(frame: Frame, part: Mask, strength: float, _threads: int | None) -> Frame:
        kept = OPAQUE - (OPAQUE - part) * np.float32(strength)
        alpha = _at_depth(kept, frame.depth)
        return replace(frame, alpha=alpha if frame.alpha is None else np.minimum(alpha, frame.alpha))

    return change


def _open_mask(request: EffectRequest, _settings: EffectSettings) -> Change:
    _no_backdrop(request)

    def change(frame: Frame, part: Mask, strength: float, threads: int | None) -> Frame:
        colour = frame.colour.assumed(frame.size[0])
        low, high = legal_codes(frame.depth, colour.code_range)[0]
        grey = low + part * np.float32((high - low) / OPAQUE)
        _, u, v = replace(frame.format, alpha=False).grey().planes
        shown = frame.with_planes((np.floor(grey + 0.5).astype(frame.planes[0].dtype), u, v))
        return (
            shown
            if strength == 1
            else frame.with_planes(mix(shown, frame, share_of(frame, strength), threads))
        )

    return change


def share_of(frame: Frame, strength: float) -> Mask:
    """Return a matte of the size of a frame that is the same everywhere."""
    return np.full(frame.size, round(OPAQUE * strength), np.uint8)


def _at_depth(share: NDArray[Any], depth: int) -> Plane:
    """Return 0..255 as 0 to the highest value of so many bits."""
    highest = (1 << depth) - 1
    codes: NDArray[np.float32] = np.floor(share * np.float32(highest / OPAQUE) + np.float32(0.5))
    return codes.astype(np.uint8) if depth == 8 else codes.astype(np.uint16)


def _no_backdrop(request: EffectRequest) -> None:
    for key in ("picture", "colour"):
        if getattr(request, key) is not None:
            raise ConfigError(
                f"effect {request.engine!r} has no {key}; it is for backdrop, as in backdrop:{key}=…"
            )


BACKDROP = "backdrop"
_WHOLE_RANGE = ControlRange(low=0, high=1, default=1)
PEOPLE_EFFECTS: Mapping[str, PeopleEffectKind] = {
    "blur": PeopleEffectKind(
        "Background out of focus, the person sharp.",
        Where.BACKGROUND,
        ControlRange(low=0, high=1, default=0.7),
        _open_blur,
    ),
    BACKDROP: PeopleEffectKind(
        "A picture (picture=FILE) or a colour (colour=green, or RRGGBB) in place of the background.",
        Where.BACKGROUND,
        _WHOLE_RANGE,
        _open_backdrop,
    ),
    "cutout": PeopleEffectKind(
        "Only the person: what is around becomes transparent, in outputs that hold alpha.",
        Where.PERSON,
        _WHOLE_RANGE,
        _open_cutout,
        gives_alpha=True,
    ),
    "mask": PeopleEffectKind(
        "The mask itself: white where the person is, black elsewhere.", Where.PERSON, _WHOLE_RANGE, _open_mask
    ),
}
"""The effects that need only the mask of people, by name."""
