"""Golden check: a compiled engine must give the heads of its engine's golden frame."""

from __future__ import annotations

from streamfx.backends.backend import CompilableEngine, CompiledEngine
from streamfx.engine.golden import HeadsDifference, Tolerance, check_heads


def check_golden(engine: CompilableEngine, compiled: CompiledEngine, tolerance: Tolerance) -> HeadsDifference:
    """Run the golden frame through a compiled engine; return how far its heads are from the golden ones.

    Raises:
        EngineMismatchError: farther than the tolerance.
    """
    golden = engine.golden
    heads = compiled(golden.planes, golden.to_rgb, golden.from_rgb, golden.factor)
    what = f"engine {engine.name!r}, compiled by {compiled.backend} in {compiled.precision},"
    return check_heads(what, heads, golden, tolerance)
