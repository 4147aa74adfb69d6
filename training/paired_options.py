"""Settings of `python -m training paired`."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, model_validator

from streamfx.engine.families.warp_mask import STRIDE
from training.engine_folder import EngineFolder
from training.loop import LoopOptions
from training.operators import OPERATORS, Operator
from training.operators.after import painter_after
from training.options import NetworkOptions, YuvNetworkOptions
from training.warped import WarpedOptions
from training.weights import WeightsFile


class PairedOptions(BaseModel):
    """Settings of `python -m training paired`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    content: list[Path] = Field(
        min_length=1, description="folders of photographs, and clips; one folder where partners are files"
    )
    operator: str | None = Field(default=None, description="operator that draws the partner of a picture")
    style: Path | None = Field(
        default=None, description="instead: a picture; partners are painted in its colours and strokes"
    )
    partners: Path | None = Field(
        default=None, description="instead: folder of partners with the pictures' names and sizes"
    )
    pairs: Path | None = Field(
        default=None, description="folder that keeps drawn pairs for further trainings with the same settings"
    )
    out: EngineFolder = Field(description="engine folder to write")
    work: Path = Field(description="folder for checkpoint and log")
    init: WeightsFile | None = Field(
        default=None, description="weights.safetensors of a finished engine to start from"
    )
    spread: bool = Field(
        default=False, description="start every factor from the weights of init for factor 1"
    )
    exclude: list[str] = Field(
        default=[], description="leave out pictures whose path contains one of these words"
    )

    warped: WarpedOptions | None = Field(
        default=None,
        description="pairs of people for the operator caricature; only displacement is learned",
    )

    version: str = "1.0.0"
    title: str = Field(
        default="", description="description of what the engine makes of a picture, for the card"
    )
    source_domain: str = "photo"
    target_domain: str = "painting"
    licence: str = "Apache-2.0"

    network: NetworkOptions | YuvNetworkOptions = Field(
        default_factory=lambda: NetworkOptions(norm="none"),
        description="sizes of a network of family warp_mask; of yuv_style with family: yuv_style",
    )
    critic_width: int = Field(default=32, ge=1)
    critic_halvings: int = Field(default=2, ge=1)
    critic_learning_rate: float = Field(default=4e-4, gt=0)
    steps: int = Field(default=6000, ge=1)
    tied_steps: int = Field(
        default=6000, ge=0, description="number of steps at first in which all factors learn together"
    )
    loop: LoopOptions = Field(default_factory=lambda: LoopOptions(tail=0.6, checkpoint_every=200))
    squares: int = Field(default=800, ge=1, description="number of pairs of squares to train on")
    square: int = Field(default=160, ge=32, description="side of the squares, in pixels")
    clip_share: float = Field(default=0.25, ge=0, le=1, description="share of squares that come from clips")
    batch: int = Field(default=4, ge=1)
    crop: int = Field(default=96, ge=32, description="side of what a step sees of a square, in pixels")
    crops: dict[float, int] = Field(
        default={}, description="sides at factors where they differ from crop, in pixels"
    )
    factors: dict[float, float] = Field(
        default={1.0: 0.18, 1.5: 0.1, 2.0: 0.28, 3.0: 0.14, 4.0: 0.3},
        description="relative frequency of each factor",
    )
    spoiled_share: float = Field(default=0.0, ge=0, le=1, description="share of sources that are spoiled")
    spoiled_noise: float = Field(default=5.0, ge=0, description="largest deviation of their noise, in codes")
    spoiled_quality: int = Field(default=50, ge=1, le=100, description="worst quality of their JPEG")

    difference_weight: float = Field(default=1.0, ge=0, description="weight of the difference to the partner")
    slopes_weight: float = Field(default=0.0, ge=0, description="weight of the difference of slopes of luma")
    crispness_weight: float = Field(default=0.0, ge=0, description="weight of the difference of crispness")
    adversarial_weight: float = Field(
        default=0.06, ge=0, description="weight of the generator's adversarial term; 0: no critic at all"
    )
    adversarial_from: int = Field(default=700, ge=0, description="step from which the critic corrects")
    grid_weight: float = Field(default=5.0, ge=0)
    displacement_price: float = Field(default=0.005, ge=0)
    max_displacement_pixels: float = Field(default=4.0, gt=0)
    memory_tolerance: float = Field(
        default=0.035,
        ge=0,
        le=1,
        description="change of the reduced picture, as a share of all codes, up to which the finished engine "
        "takes the heads of the frames before into account; 0: each frame stands alone",
    )
    temporal_weight: float = Field(default=20.0, ge=0)
    temporal_every: int = Field(default=3, ge=1, description="steps from one temporal term to the next")
    temporal_shift: int = Field(default=8, ge=0, description="largest displacement, in full-size pixels")
    temporal_noise: float = Field(default=0.01, ge=0, description="deviation of the added noise, of 1")

    def crop_at(self, factor: float) -> int:
        """Side of what a step at a factor sees of a square, in pixels."""
        return self.crops.get(factor, self.crop)

    @model_validator(mode="after")
    def _check(self) -> PairedOptions:
        given = [*self.content, *(path for path in (self.partners, self.style) if path is not None)]
        wrong = [f"{path} does not exist" for path in given if not path.exists()]
        if [self.operator, self.style, self.partners].count(None) != 2:
            wrong.append(
                "give one of operator, which draws partners, style, a picture, and partners, a folder"
            )
        if self.operator is not None and self.operator not in OPERATORS:
            wrong.append(f"there is no operator {self.operator!r}; known: {', '.join(OPERATORS)}")
        if self.partners is not None and (len(self.content) > 1 or not self.content[0].is_dir()):
            wrong.append("with partners, content is one folder")
        if self.warped is not None and self.operator != "caricature":
            wrong.append("warped is for the operator caricature")
        if self.warped is not None and not isinstance(self.network, NetworkOptions):
            wrong.append("warped is for networks of family warp_mask: others displace nothing")
        if any(factor < 1 or share <= 0 for factor, share in self.factors.items()):
            wrong.append("factors: factors are at least 1, shares above 0")
        wrong += [
            f"crop {self.crop_at(factor)} is no multiple of {STRIDE} times factor {factor:g}"
            for factor in self.factors
            if self.crop_at(factor) % (STRIDE * factor)
        ]
        largest = max(map(self.crop_at, self.factors))
        if self.square < largest + 2 * self.temporal_shift:
            wrong.append(
                f"square {self.square} leaves no room to move a crop of {largest} by {self.temporal_shift}"
            )
        if wrong:
            raise ValueError("; ".join(wrong))
        return self

    def draws(self) -> Operator | None:
        """What draws partners, where they are no files.

        Raises:
            ValueError: The style picture cannot be read.
        """
        if self.operator is not None:
            return OPERATORS[self.operator]
        return painter_after(self.style) if self.style is not None else None
