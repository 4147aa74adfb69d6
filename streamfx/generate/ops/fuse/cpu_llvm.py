"""Two operations the kernels of the fused step need and Numba does not have, as LLVM for any CPU.

Numba's cache of the kernels does not see a change of this file: touch `numba_kernels.py` after one.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

RUN = 8  # columns enlarged by one vector operation


@intrinsic
def store_ramp(_typing: Any, lines: Any, _at: Any, along: Any, _start: Any, _base: Any, _slope: Any) -> Any:
    """``lines[at : at + RUN] = base + slope · along[start : start + RUN]``, as one vector operation each.

    The loop vectoriser needs long loops and the compiler's other vectoriser is off in Numba, hence by hand;
    it is generic LLVM, not tied to a CPU.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        lines_type, _, along_type, _, real, _ = signature.args
        vector = ir.VectorType(context.get_value_type(real), RUN)
        undefined = ir.Constant(vector, ir.Undefined)
        index = ir.IntType(32)

        def everywhere(value: Any) -> Any:
            one = builder.insert_element(undefined, value, index(0))
            return builder.shuffle_vector(one, undefined, ir.Constant(ir.VectorType(index, RUN), [0] * RUN))

        def pointer(array_type: Any, array: Any, position: Any) -> Any:
            data = context.make_array(array_type)(context, builder, array).data
            return builder.bitcast(builder.gep(data, [position]), vector.as_pointer())

        weights = builder.load(pointer(along_type, arguments[2], arguments[3]), align=real.bitwidth // 8)
        rise = builder.fmul(everywhere(arguments[5]), weights, flags=("contract",))
        value = builder.fadd(everywhere(arguments[4]), rise, flags=("contract",))
        builder.store(value, pointer(lines_type, arguments[0], arguments[1]), align=real.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(lines, types.intp, along, types.intp, lines.dtype, lines.dtype), generate


@intrinsic
def prefetch(_typing: Any, flat: Any, _at: Any) -> Any:
    """Ask for one sample to be brought into the cache; Numba has no such function of its own."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        pointer, index = builder.gep(data, [arguments[1]]), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [pointer.type, index, index, index])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")  # type: ignore[no-untyped-call]
        builder.call(function, [pointer, index(0), index(3), index(1)])  # to read, to the nearest cache, data
        return context.get_dummy_value()

    return types.void(flat, types.intp), generate
