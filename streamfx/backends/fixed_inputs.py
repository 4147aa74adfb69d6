"""Setting: what stays the same from frame to frame, and so may become part of the weights."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from streamfx.engine.golden import Array


@dataclass(frozen=True, slots=True)
class Setting:
    """The colour matrices, as bytes of float32, and the factor.

    Both only change weights of the network, so a backend that compiles for one setting computes the weights
    once and frames cost less.
    """

    to_rgb: bytes
    from_rgb: bytes
    factor: float

    @classmethod
    def of(cls, to_rgb: Array, from_rgb: Array, factor: float) -> Setting:
        """Return the setting of these (3, 4) matrices and this factor."""
        return cls(to_rgb.astype(np.float32).tobytes(), from_rgb.astype(np.float32).tobytes(), factor)

    @property
    def values(self) -> tuple[Array, Array, Array]:
        """The network's inputs but the picture; not to be written to."""
        to_rgb, from_rgb = (np.frombuffer(m, np.float32).reshape(3, 4) for m in (self.to_rgb, self.from_rgb))
        return to_rgb, from_rgb, np.array([self.factor], np.float32)

    @property
    def flag(self) -> str:
        """What tells it from others in the store."""
        colours = hashlib.sha256(self.to_rgb + self.from_rgb).hexdigest()[:8]
        return f"colours {colours}, factor {self.factor:g}"
