"""TensorRT: what runs networks fastest on NVIDIA GPUs, in half precision.

A plan is built for one setting, either for any size or, faster, for one shape alone. What is in the store is
used at once. What is not is built by another process, for any size first, while frames go through the
network as torch runs it, in half precision too; a plan takes over between two frames.

No plan is used unchecked: at its own size it must give, for the golden frame repeated, what the network gives
in float32; and that must give the golden heads.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import queue
import tempfile
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from streamfx.backends.backend import Build, CompilableEngine, CompileOptions, Precision
from streamfx.backends.eager import TOLERANCE as EAGER_TOLERANCE
from streamfx.backends.eager import reference
from streamfx.backends.fixed_inputs import Setting
from streamfx.backends.golden_check import check_golden
from streamfx.backends.store import CompiledStore, Stored, StoreKey
from streamfx.backends.tensorrt_build import BEST_PIXELS, LEAST_PIXELS, MOST_PIXELS, PLAN, BuildRequest
from streamfx.backends.tensorrt_builder import COMMAND, BuildingProcess
from streamfx.engine.golden import Golden, Tolerance, check_heads, roundoff_of
from streamfx.errors import BackendUnavailableError
from streamfx.hardware.cuda import Device, cuda_missing
from streamfx.hardware.nvidia import Gpu, gpus
from streamfx.version import __version__

if TYPE_CHECKING:
    from torch import Tensor

    from streamfx.backends.tensorrt_plan import Plan
    from streamfx.backends.torch_engine import Shape, TorchEngine, Translate

log = logging.getLogger(__name__)

TOLERANCE = Tolerance(rms=0.02, largest=0.2, roundoff=roundoff_of(11))
_KERNELS = "kernels"


@dataclass(frozen=True, slots=True)
class TensorRtBackend:
    """Runs networks with TensorRT or its RTX build, whichever torch-tensorrt is installed for.

    Attributes:
        command: command of the process that builds plans.
    """

    command: Sequence[str] = COMMAND
    name: ClassVar[str] = "tensorrt"
    chosen_on: ClassVar[frozenset[Device]] = frozenset({Device.CUDA})
    library: ClassVar[str] = "torch-tensorrt"
    keeps_compiled: ClassVar[bool] = True
    compiles_each_size: ClassVar[bool] = True

    def availability(self) -> str | None:
        if reason := cuda_missing():
            return reason
        from streamfx.backends.tensorrt_plan import flavour_missing

        return flavour_missing()

    def held_back(self) -> str | None:
        return None

    def compile(self, engine: CompilableEngine, options: CompileOptions) -> TorchEngine:
        """Return the engine; its golden frame is checked in float32, and every plan against that.

        Raises:
            BackendUnavailableError: TensorRT or a GPU is missing, or not what is asked for; or the plan that
                is waited for cannot be built.
            EngineMismatchError: torch does not give the engine's golden heads on this GPU.
        """
        if reason := self.availability():
            raise BackendUnavailableError(f"backend tensorrt cannot run here: {reason}")
        if options.device is Device.CPU or options.precision not in (Precision.AUTO, Precision.F16):
            raise BackendUnavailableError(
                f"backend tensorrt computes in f16 on cuda; {options.precision} on {options.device} was "
                "asked for: use another backend"
            )
        import torch

        from streamfx.backends.tensorrt_plan import flavour

        found = flavour()
        assert found is not None
        trt = importlib.import_module(found.module)
        key = store_key(engine, gpus()[torch.cuda.current_device()], trt, found.package)
        return open_engine(engine, options, trt, key, "cuda", self.command)


def store_key(engine: CompilableEngine, gpu: Gpu, trt: Any, package: str) -> StoreKey:
    """Return everything that can make a plan wrong, but the setting and the sizes it is for."""
    from streamfx.backends.tensorrt_plan import installed

    return StoreKey(
        engine=engine.name,
        engine_digest=engine.digest,
        backend="tensorrt",
        backend_version=f"{trt.__name__} {trt.__version__}, {package} {installed(package)}",
        torch_version=installed("torch"),
        device=gpu.name,
        device_features=gpu.features,
        precision=str(Precision.F16),
        flags=(f"streamfx {__version__}",),  # the network's code is ours
    )


def open_engine(
    engine: CompilableEngine,
    options: CompileOptions,
    trt: Any,
    key: StoreKey,
    device: str,
    command: Sequence[str],
) -> TorchEngine:
    """Return an engine whose plans are run by the module ``trt`` and built by ``command``.

    Raises:
        EngineMismatchError: torch does not give the engine's golden heads on the device.
    """
    from streamfx.backends.torch_engine import TorchEngine

    network = engine.network().to(device)

    def as_it_is(setting: Setting, shape: Shape) -> Translate:  # noqa: ARG001 - any shape is fine
        return reference(network, setting, device)

    plain = TorchEngine(engine.golden, "eager", Precision.F32, device, as_it_is)
    check_golden(engine, plain, EAGER_TOLERANCE)
    plans = TieredPlans(engine, options, trt, key, device, command, as_it_is)
    compiled = TorchEngine(engine.golden, "tensorrt", Precision.F16, device, plans.prepare, plans.close)
    plans.exchange = compiled.exchange
    return compiled


class TieredPlans:
    """Gives the best that there is for a setting and a shape, and something better when it is built.

    From the bottom: the network in half precision, a plan for any size, a plan for this shape.

    Attributes:
        exchange: callback for a build that is better than the one in use, called in a thread of its own.
    """

    exchange: Callable[[Setting, Shape, Translate], bool]

    def __init__(
        self,
        engine: CompilableEngine,
        options: CompileOptions,
        trt: Any,
        key: StoreKey,
        device: str,
        command: Sequence[str],
        plain: Callable[[Setting, Shape], Translate],
    ) -> None:
        self._engine, self._trt, self._key, self._device, self._plain = engine, trt, key, device, plain
        self._build = options.build
        self._own_folder = None if options.store else tempfile.TemporaryDirectory(prefix="streamfx-")
        self._store = options.store or CompiledStore(Path(self._own_folder.name))  # type: ignore[union-attr]
        self._process = BuildingProcess(command)
        self._orders: queue.SimpleQueue[tuple[Setting, Shape, bool] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def prepare(self, setting: Setting, shape: Shape) -> Translate:
        """Return what is ready for a setting and a shape; order what would be better.

        Raises:
            BackendUnavailableError: the plan is waited for, and cannot be built.
            EngineMismatchError: it is waited for, and does not give the right heads.
        """
        if (best := self._stored(setting, shape, shape)) is not None:
            return best
        if self._build is Build.WAIT:
            return self._built(setting, shape, shape)
        takes = self._any_size_takes(shape)
        good = self._stored(setting, shape, None) if takes else None
        ready = good or self._stand_in(setting, shape)
        self._order(setting, shape, any_size=takes and good is None)
        return ready

    def close(self) -> None:
        """End what is being built, and wait for that."""
        self._process.stop()
        if self._thread is not None:
            self._orders.put(None)
            self._thread.join()
        if self._own_folder is not None:
            self._own_folder.cleanup()

    def _order(self, setting: Setting, shape: Shape, any_size: bool) -> None:
        self._orders.put((setting, shape, any_size))
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="tensorrt-plans", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        """Build what is ordered, one after the other, and hand it over."""
        while (order := self._orders.get()) is not None:
            setting, shape, any_size = order
            try:
                for sizes in (None, shape) if any_size else (shape,):
                    if not self.exchange(setting, shape, self._built(setting, shape, sizes)):
                        return
                    log.info("engine %r: frames go through the TensorRT plan for %s from now on",
                             self._engine.name, _sizes(self._engine, sizes))  # fmt: skip
            except (RuntimeError, ValueError, OSError) as error:
                if self._process.stopped:
                    return
                log.warning("engine %r stays as it is, no TensorRT plan: %s", self._engine.name, error)

    def _stored(self, setting: Setting, shape: Shape, sizes: Shape | None) -> Translate | None:
        """Return what runs the plan for ``sizes`` in the store; None where none is right."""
        key = self._key_for(setting, sizes)
        stored = self._store.load(key)
        if stored is None:
            return None
        try:
            return self._opened(key, stored, setting, shape)
        except (ValueError, KeyError) as error:
            log.warning("the stored plan %s cannot be used, building it again: %s", key.file_name, error)
            return None

    def _built(self, setting: Setting, shape: Shape, sizes: Shape | None) -> Translate:
        """Return what runs the plan for ``sizes``, built now.

        Raises:
            BackendUnavailableError: it cannot be built.
            EngineMismatchError: it does not give the right heads.
        """
        key = self._key_for(setting, sizes)
        self._process.build(BuildRequest(self._engine.folder, setting, sizes, key, self._store.folder))
        stored = self._store.load(key)
        if stored is None:
            raise BackendUnavailableError(f"the plan that was built is not in {self._store.folder}")
        return self._opened(key, stored, setting, shape)

    def _opened(self, key: StoreKey, stored: Stored, setting: Setting, shape: Shape) -> Translate:
        """Return what runs a plan, checked.

        Raises:
            ValueError, KeyError: it cannot be read, or does not take the shape.
            EngineMismatchError: it does not give the right heads.
        """
        from streamfx.backends.tensorrt_plan import Plan, keeps_kernels

        kernels_key = replace(key, flags=(*key.flags, _KERNELS))
        kept = self._store.load(kernels_key) if keeps_kernels(self._trt) else None
        plan = Plan(self._trt, stored.payload[PLAN], kept.payload[_KERNELS] if kept else None)
        with self._aside():
            translate = plan.translate(shape)
            self._check(translate, setting, shape, key.sizes)
        self._keep_kernels(plan, kernels_key, kept)
        return translate

    def _check(self, translate: Translate, setting: Setting, shape: Shape, sizes: str) -> None:
        """Compare with the network in float32, on the golden frame repeated up to the shape."""
        import torch

        seen = self._engine.golden.seen_as(shape)
        seen_there = torch.from_numpy(seen).to(self._device)
        with torch.inference_mode():
            expected, found = (
                torch.full(
                    self._engine.golden.heads_shape(shape), torch.nan, dtype=dtype, device=self._device
                )
                for dtype in (torch.float32, torch.float16)
            )
            self._plain(setting, shape)(seen_there, expected)
            translate(seen_there.half(), found)
        to_rgb, from_rgb, _ = setting.values
        golden = Golden(seen[0], to_rgb, from_rgb, setting.factor, expected[0].cpu().numpy())
        what = f"engine {self._engine.name!r}, TensorRT plan for {sizes},"
        check_heads(what, found[0].float().cpu().numpy(), golden, TOLERANCE)

    def _keep_kernels(self, plan: Plan, key: StoreKey, kept: Stored | None) -> None:
        kernels = plan.kernels
        if kernels is not None and (kept is None or kept.payload[_KERNELS] != kernels):
            self._store.save(key, Stored({_KERNELS: kernels}, {}))

    def _stand_in(self, setting: Setting, shape: Shape) -> Translate:
        """Return what runs the network in half precision without a plan."""
        import torch

        from streamfx.backends.constant_folding import channels_last, folded

        graph = channels_last(folded(self._engine, setting, shape), self._device, torch.float16)

        def translate(seen: Tensor, heads: Tensor) -> None:
            heads.copy_(graph(seen.contiguous(memory_format=torch.channels_last)))

        with self._aside():
            self._check(translate, setting, shape, "torch")
        return translate

    def _aside(self) -> AbstractContextManager[object]:
        """Return a stream of its own to work on, so that frames that go on are not waited for."""
        import torch

        if self._device == "cpu":
            return contextlib.nullcontext()
        return torch.cuda.stream(torch.cuda.Stream(self._device))  # type: ignore[no-untyped-call]

    def _key_for(self, setting: Setting, sizes: Shape | None) -> StoreKey:
        return replace(self._key, flags=(*self._key.flags, setting.flag), sizes=_sizes(self._engine, sizes))

    def _any_size_takes(self, shape: Shape) -> bool:
        least, most = (self._engine.seen_shape(size) for size in (LEAST_PIXELS, MOST_PIXELS))
        sides = zip(least[1:], shape[2:], most[1:], strict=True)
        return shape[0] == 1 and all(low <= side <= high for low, side, high in sides)


def _sizes(engine: CompilableEngine, shape: Shape | None) -> str:
    """Return which shapes a plan is for: that one, or any from the least to the most, best at one."""
    if shape is not None:
        return "x".join(map(str, shape))
    least, best, most = (
        "x".join(map(str, engine.seen_shape(size))) for size in (LEAST_PIXELS, BEST_PIXELS, MOST_PIXELS)
    )
    return f"{least} to {most}, best {best}"
