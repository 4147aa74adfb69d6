"""Settings of a training: closed, typed, checked at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from streamfx.engine.families.warp_mask import WarpMask
from streamfx.engine.families.yuv_style import YuvStyle
from training.engine_folder import EngineFolder
from training.loop import LoopOptions
from training.weights import WeightsFile


class NetworkOptions(BaseModel):
    """Sizes of the warp-and-mask network."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    family: Literal["warp_mask"] = "warp_mask"
    stem: int = Field(default=16, ge=1)
    width: int = Field(default=48, ge=1)
    blocks: int = Field(default=4, ge=1)
    joined: int = Field(default=32, ge=1)
    detail: bool = True
    norm: Literal["none", "instance"] = "instance"
    fine: bool = Field(default=False, description="luma on a grid four times finer, as a further input")
    ink: bool = Field(default=False, description="four more heads that answer to the source's own detail")
    dilated: bool = Field(default=False, description="each block reaches twice as far as the one before")

    @property
    def arguments(self) -> dict[str, Any]:
        """Arguments of the network."""
        return self.model_dump(exclude={"family"})

    def build(self) -> WarpMask:
        """A network of these sizes, of random weights."""
        return WarpMask(**self.arguments)


class YuvNetworkOptions(BaseModel):
    """Sizes of the luma/chroma network."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    family: Literal["yuv_style"]
    luma_width: int = Field(default=8, ge=4, multiple_of=4)
    chroma_width: int = Field(default=4, ge=4, multiple_of=4)
    layout: Literal["planes", "i420"] = "i420"
    own: bool = Field(default=False, description="each plane's sub-network sees that plane alone")

    @property
    def arguments(self) -> dict[str, Any]:
        """Arguments of the network; `own` only where it is set, which older versions do not know."""
        return self.model_dump(exclude={"family"} if self.own else {"family", "own"})

    def build(self) -> YuvStyle:
        """A network of these sizes, of random weights."""
        return YuvStyle(**self.arguments)


class StyleOptions(BaseModel):
    """Settings of `python -m training style`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    style: Path = Field(description="style picture")
    content: list[Path] = Field(min_length=1, description="folders of photographs, and clips")
    out: EngineFolder = Field(description="engine folder to write")
    work: Path = Field(description="folder for checkpoint, log and previews")
    init: WeightsFile | None = Field(
        default=None, description="weights.safetensors of a finished engine to start from"
    )
    spread: bool = Field(
        default=False, description="start every factor from the weights of init for factor 1"
    )
    exclude: list[str] = Field(
        default=[], description="leave out pictures whose path contains one of these words"
    )

    version: str = "1.0.0"
    title: str = Field(default="", description="description of the style picture, for the card")
    target_domain: str = "painting"
    licence: str = "Apache-2.0"

    network: NetworkOptions | YuvNetworkOptions = Field(
        default_factory=NetworkOptions,
        description="sizes of a network of family warp_mask; of yuv_style with family: yuv_style",
    )
    teacher_steps: int = Field(default=300, ge=0)
    translation_steps: int = Field(default=500, ge=0)
    released_steps: int = Field(default=1900, ge=0)
    loop: LoopOptions = Field(default_factory=lambda: LoopOptions(learning_rate=1.2e-3))
    batch: int = Field(default=4, ge=1)
    crop: int = Field(
        208, ge=32, multiple_of=8, description="side of the crops that the losses see, in pixels"
    )
    crops: int = Field(default=900, ge=1, description="number of crops to train on")
    clip_share: float = Field(
        0.2, ge=0, le=1, description="share of crops that come from clips, where there are any"
    )
    teacher_crops: int = Field(default=160, ge=1)

    style_weight: float = Field(default=1.0, ge=0)
    imitation_weight: float = Field(
        default=0.0,
        ge=0,
        description="weight of the likeness to the engine's own picture at factor 1, once the heads are "
        "released; the weights for factor 1 then stay as they are",
    )
    content_weight: float = Field(default=0.1, ge=0)
    content_of: Literal["style", "source"] = Field(
        default="style",
        description="features that content is compared with: the source's with the style's moments, or the "
        "source's own",
    )
    content_growth: float = Field(
        default=0.0, description="the content weight is multiplied by the factor to this power"
    )
    style_pooling: float = Field(
        default=0.8, ge=0, le=1, description="share of the style term that looks at a batch as one picture"
    )
    style_reach: float = Field(
        default=0.75,
        ge=0,
        le=1,
        description="share of the style's fine detail that a factor above 1 is spared",
    )
    structure_weight: float = Field(default=0.12, ge=0)
    tone_weight: float = Field(default=0.5, ge=0)
    variation_weight: float = Field(default=0.05, ge=0)
    grid_weight: float = Field(default=200.0, ge=0)
    weight_bias_weight: float = Field(
        default=0.0,
        ge=0,
        description="weight of kernels over biases; keeps biases large enough to act as switches",
    )
    weight_bias_epsilon: float = Field(
        default=1e-2, gt=0, description="addend of the biases that kernels are divided by"
    )
    mask_price: float = Field(default=0.2, ge=0)
    displacement_price: float = Field(default=0.02, ge=0)
    detail_price: float = Field(default=0.05, ge=0)
    max_displacement_pixels: float = Field(default=4.0, gt=0)

    temporal_weight: float = Field(default=10.0, ge=0)
    temporal_crops: int = Field(
        default=1, ge=1, description="crops of each batch that the temporal term looks at"
    )
    temporal_shift: int = Field(default=8, ge=0, description="largest displacement, in full-size pixels")
    temporal_noise: float = Field(
        default=0.01, ge=0, description="deviation of the added noise, of full scale 1"
    )

    translation_factors: dict[float, float] = Field(
        default={1.0: 0.6, 1.5: 0.08, 2.0: 0.14, 3.0: 0.06, 4.0: 0.12},
        description="relative frequency of each factor",
    )
    factors: dict[float, float] = Field(
        default={1.0: 0.25, 1.5: 0.1, 2.0: 0.2, 3.0: 0.15, 4.0: 0.25, 6.0: 0.03, 8.0: 0.02},
        description="relative frequency of each factor once the heads are released",
    )

    @property
    def total_steps(self) -> int:
        """Steps of all three phases."""
        return self.teacher_steps + self.translation_steps + self.released_steps

    @property
    def phase_starts(self) -> tuple[int, int, int]:
        """First step of each phase."""
        return 0, self.teacher_steps, self.teacher_steps + self.translation_steps

    @property
    def trained_factors(self) -> set[float]:
        """Factors that are drawn in the phases there are."""
        translated = self.translation_factors if self.teacher_steps + self.translation_steps else {}
        return {*translated, *(self.factors if self.released_steps else {})}

    @model_validator(mode="after")
    def _check(self) -> StyleOptions:
        wrong = [f"content {path} does not exist" for path in self.content if not path.exists()]
        if not self.style.is_file():
            wrong.append(f"style picture {self.style} does not exist")
        for name in ("factors", "translation_factors"):
            if any(factor < 1 or share <= 0 for factor, share in getattr(self, name).items()):
                wrong += [f"{name}: factors are at least 1, shares above 0"]
        if isinstance(self.network, YuvNetworkOptions) and self.released_steps > 0:
            wrong.append("released_steps must be 0: a yuv_style network has no heads to release")
        if self.imitation_weight > 0 and min(self.factors) <= 1:
            wrong.append("factors must be above 1 with imitation_weight: factor 1 is what is imitated")
        if self.temporal_crops > self.batch:
            wrong.append(f"temporal_crops {self.temporal_crops} is more than batch {self.batch}")
        if wrong:
            raise ValueError("; ".join(wrong))
        return self


class DistilOptions(BaseModel):
    """Settings of `python -m training distil`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    teacher: Path = Field(description="engine folder whose heads are imitated")
    content: list[Path] = Field(min_length=1, description="folders of photographs, and clips")
    out: EngineFolder = Field(description="engine folder to write")
    work: Path = Field(description="folder for checkpoint and log")
    exclude: list[str] = Field(
        default=[], description="leave out pictures whose path contains one of these words"
    )
    version: str = Field(default="", description="version of the new engine; the teacher's by default")
    network: NetworkOptions = Field(default_factory=NetworkOptions)
    steps: int = Field(default=2500, ge=1)
    loop: LoopOptions = Field(
        default_factory=lambda: LoopOptions(learning_rate=2e-3, warm_up_steps=50, tail=0.6)
    )
    side: int = Field(default=384, ge=64, description="side of the pictures, in full-size pixels")
    crops: int = Field(default=600, ge=1, description="number of pictures to train on")
    clip_share: float = Field(
        0.2, ge=0, le=1, description="share of pictures that come from clips, where there are any"
    )
    factors: dict[float, float] = Field(
        default={1.0: 0.22, 1.5: 0.12, 2.0: 0.22, 3.0: 0.14, 4.0: 0.22, 6.0: 0.05, 8.0: 0.03},
        description="relative frequency of each factor",
    )

    @model_validator(mode="after")
    def _check(self) -> DistilOptions:
        if missing := [str(path) for path in (self.teacher, *self.content) if not path.exists()]:
            raise ValueError(f"do not exist: {', '.join(missing)}")
        return self


class GraphOptions(BaseModel):
    """Settings of `python -m training graph`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    engine: Path = Field(description="engine folder that gets what OpenVINO runs of it")
