"""Registry: the families of networks there are. A new one is its file and an entry here.

Neither needs torch: what a network costs is estimated where there is none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Reductions = Mapping[str, tuple[int, int]]
"""By the first part of a layer's name that is listed: how many times smaller than the reduced picture, each
way, is what the layer reads and what it writes."""


@dataclass(frozen=True, slots=True)
class Family:
    """A family of networks.

    Attributes:
        network: class of the network, its module in front, within ``streamfx.engine.families``.
        reductions: sizes at which its layers run; layers that are not listed run at every pixel.
    """

    network: str
    reductions: Reductions


FAMILIES: Mapping[str, Family] = {
    "classifier": Family(
        "classifier.Classifier",
        {"stage1": (2, 2), "stage2": (4, 4), "stage3": (8, 8), "stage4": (16, 16), "scores": (16, 16)},
    ),
    "convert_sr": Family(
        "convert_sr.ConvertSr",
        {"quarter": (2, 2), "residual": (4, 4), "wider": (4, 3), "full": (2, 2)},
    ),
    "restore": Family(
        "restore.Restore",
        {
            "stem": (2, 2),
            "near_in": (2, 2),
            "to_middle": (2, 4),
            "middle_in": (4, 4),
            "to_low": (4, 8),
            "low": (8, 8),
            "from_low": (8, 8),
            "middle_out": (4, 4),
            "from_middle": (4, 4),
            "near_out": (2, 2),
            "head": (2, 2),
        },
    ),
    # Folded: every layer runs at the size of what goes in.
    "super_resolution": Family("super_resolution.SuperResolution", {}),
    "warp_mask": Family(
        "warp_mask.WarpMask",
        {
            "stem": (1, 2),
            "down": (2, 4),
            "blocks": (4, 4),
            "narrow": (4, 4),
            "skip": (2, 2),
            "join": (2, 2),
            "heads": (2, 2),
        },
    ),
    # After a composite layer a convolution runs at the small size, where a third of its weights meet.
    "yuv_style": Family(
        "yuv_style.YuvStyle",
        {"first": (1, 1), "second": (2, 2), "third": (4, 4), "fourth": (4, 3), "fifth": (2, 2)},
    ),
}
