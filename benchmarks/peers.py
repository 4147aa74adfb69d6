"""Peers: what people write themselves, whole programs from file to file, one thing after the other.

The network of two of them is that of Johnson, Alahi, Fei-Fei, "Perceptual Losses for Real-Time Style Transfer
and Super-Resolution" (2016), with instance norm as in its authors' supplement, in the size that is published
everywhere: 1.7 million weights. They are random here, which costs the same.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

import av
import numpy as np
from numpy.typing import NDArray

from streamfx.engine.library import load_engine

PEER_FRAMES = 3
FIRST = "OpenCV, torch at full size"

Picture: TypeAlias = NDArray[np.uint8]
Peer: TypeAlias = Callable[[Path, Path], None]
"""Program that changes the first frames of a clip: source, target."""
Network: TypeAlias = Callable[[Picture], Picture]
"""Network on an RGB picture HW3."""


def first_try(engine: str) -> Peer:
    """OpenCV, and the same network as streamfx runs, eagerly in torch."""
    import torch

    network = load_engine(engine)
    channels = network.input_shape((4, 4))[0]
    loaded = network.network()
    to_yuv = np.array([[0.2126, 0.7152, 0.0722], [-0.1146, -0.3854, 0.5], [0.5, -0.4542, -0.0458]])
    from_rgb = torch.tensor(np.hstack([to_yuv * 255, [[0], [128], [128]]]), dtype=torch.float32)
    back = np.linalg.inv(to_yuv) / 255
    to_rgb = torch.tensor(np.hstack([back, -back @ [[0], [128], [128]]]), dtype=torch.float32)

    def run(picture: Picture) -> Picture:
        rgb_HW3 = torch.from_numpy(picture).float() / 255
        planes_13HW = (rgb_HW3 @ from_rgb[:, :3].T + from_rgb[:, 3]).permute(2, 0, 1)[None]
        # At full size there is no finer luma to be seen: its differences are 0.
        finer = torch.zeros(1, channels - 3, *picture.shape[:2])
        with torch.inference_mode():
            heads = loaded(torch.cat([planes_13HW, finer], 1), to_rgb, from_rgb, torch.ones(1))[0]
        codes_HW3 = heads[:3].permute(1, 2, 0)
        made = (codes_HW3 @ to_rgb[:, :3].T + to_rgb[:, 3]).clamp(0, 1)
        return np.asarray((made * 255).byte().numpy(), np.uint8)

    return through_opencv(run)


def opencv_onnxruntime(_engine: str) -> Peer:
    """OpenCV, and the published network in ONNX Runtime with its default optimizations, which are all."""
    import onnxruntime
    import torch

    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the old exporter, which needs no further package
        path = Path(folder) / "published.onnx"
        torch.onnx.export(
            published(), (torch.zeros(1, 3, 64, 64),), str(path), input_names=["picture"],
            dynamic_axes={"picture": {2: "height", 3: "width"}}, dynamo=False,
        )  # fmt: skip
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def run(picture: Picture) -> Picture:
        seen = np.ascontiguousarray(picture.transpose(2, 0, 1)[None], np.float32)
        made = session.run(None, {"picture": seen})[0][0]
        return np.asarray(np.clip(made.transpose(1, 2, 0), 0, 255), np.uint8)

    return through_opencv(run)


def pyav_torch(_engine: str) -> Peer:
    """PyAV, and the published network eagerly in torch."""
    import torch

    network = published()

    def run(picture: Picture) -> Picture:
        with torch.inference_mode():
            made = network(torch.from_numpy(picture).permute(2, 0, 1)[None].float())[0]
        return np.asarray(made.permute(1, 2, 0).clamp(0, 255).byte().numpy(), np.uint8)

    return through_pyav(run)


PEERS: Mapping[str, Callable[[str], Peer]] = {
    FIRST: first_try,
    "OpenCV, ONNX Runtime, published network": opencv_onnxruntime,
    "PyAV, torch, published network": pyav_torch,
}


def published() -> Any:
    """The published network, (B, 3, H, W) to the same, sides multiples of 4."""
    from torch import nn

    def layer(inputs: int, outputs: int, side: int, stride: int = 1) -> list[nn.Module]:
        padded = nn.ReflectionPad2d(side // 2)
        return [padded, nn.Conv2d(inputs, outputs, side, stride), nn.InstanceNorm2d(outputs, affine=True)]

    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Sequential(*layer(128, 128, 3), nn.ReLU(), *layer(128, 128, 3))

        def forward(self, features: Any) -> Any:
            return features + self.inner(features)

    def larger(inputs: int, outputs: int) -> list[nn.Module]:
        return [nn.Upsample(scale_factor=2, mode="nearest"), *layer(inputs, outputs, 3), nn.ReLU()]

    down = [*layer(3, 32, 9), nn.ReLU(), *layer(32, 64, 3, 2), nn.ReLU(), *layer(64, 128, 3, 2), nn.ReLU()]
    last = [nn.ReflectionPad2d(4), nn.Conv2d(32, 3, 9)]
    blocks = [Residual() for _ in range(5)]
    return nn.Sequential(*down, *blocks, *larger(128, 64), *larger(64, 32), *last).eval()


def through_opencv(network: Network) -> Peer:
    """A program that reads and writes with OpenCV."""
    import cv2

    def run(source: Path, target: Path) -> None:
        reader = cv2.VideoCapture(str(source))
        size_wh = (int(reader.get(cv2.CAP_PROP_FRAME_WIDTH)), int(reader.get(cv2.CAP_PROP_FRAME_HEIGHT)))
        writer = cv2.VideoWriter(str(target), cv2.VideoWriter.fourcc(*"mp4v"), 25.0, size_wh)
        for _ in range(PEER_FRAMES):
            _, picture = reader.read()
            made = network(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB).astype(np.uint8))
            writer.write(cv2.cvtColor(made, cv2.COLOR_RGB2BGR))
        reader.release()
        writer.release()

    return run


def through_pyav(network: Network) -> Peer:
    """A program that reads and writes with PyAV, H.264 at x264's fastest preset."""

    def pictures(source: Path) -> Generator[Picture]:
        with av.open(str(source)) as container:
            for frame in islice(container.decode(video=0), PEER_FRAMES):
                yield np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)

    def run(source: Path, target: Path) -> None:
        with closing(pictures(source)) as found, av.open(str(target), "w") as out:
            stream: Any = None
            for picture in found:
                if stream is None:
                    stream = out.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
                    stream.height, stream.width = picture.shape[:2]
                    stream.pix_fmt = "yuv420p"
                out.mux(stream.encode(av.VideoFrame.from_ndarray(network(picture), format="rgb24")))
            out.mux(stream.encode(None))

    return run
