"""Settled: a network for one setting, as a graph in which what no picture changes is computed already.

What is left are the layers that see the picture, with plain weights. They are computed in float32, whatever
the layers then run in.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from torch import Tensor, fx, nn
from torch.export import Dim, export

from streamfx.backends.fixed_inputs import Setting

if TYPE_CHECKING:
    from streamfx.backends.backend import CompilableEngine

MOST_SIDE_PIXELS = 4096  # of a picture whose size is not stated
Shape: TypeAlias = tuple[int, ...]


class _WithFixedInputs(nn.Module):
    """A network that is given the picture only."""

    def __init__(self, network: nn.Module, setting: Setting) -> None:
        super().__init__()
        self.network = network
        for name, value in zip(("to_rgb", "from_rgb", "factor"), setting.values, strict=True):
            self.register_buffer(name, torch.from_numpy(value.copy()))

    def forward(self, seen: Tensor) -> Tensor:
        heads: Tensor = self.network(seen, self.to_rgb, self.from_rgb, self.factor)
        return heads


def folded(
    engine: CompilableEngine, setting: Setting, shape: Shape, *, any_size: bool = False
) -> fx.GraphModule:
    """Return the network for one setting: (B, N, h, w) float32 in, heads out, on the CPU.

    Args:
        engine: engine to which the network belongs.
        setting: becomes part of the weights.
        shape: shape of what the network sees.
        any_size: whether other heights and widths than those of ``shape`` may be given to it.
    """
    example = torch.zeros(shape)
    sizes = dynamic_sizes(engine) if any_size else None
    program = export(_WithFixedInputs(engine.network(), setting).eval(), (example,), dynamic_shapes=sizes)
    graph = program.module(check_guards=False)
    assert isinstance(graph, fx.GraphModule)
    _compute_constants(graph)
    return graph


def channels_last(graph: fx.GraphModule, device: str, dtype: torch.dtype) -> fx.GraphModule:
    """Return the graph moved, its weights in the order in which convolutions are fastest on a GPU."""
    order = torch.channels_last
    moved: fx.GraphModule = graph.to(device=device, dtype=dtype, memory_format=order)  # type: ignore[call-overload]
    return moved


def dynamic_sizes(engine: CompilableEngine) -> dict[str, dict[int, Any]]:
    """Return which axes of the picture may have which sizes, as `torch.export` wants it: whole strides."""
    _, rows, columns = engine.seen_shape((engine.stride, engine.stride))
    sides = {2: (rows, "rows"), 3: (columns, "columns")}
    return {
        "seen": {
            axis: step * Dim(name, min=1, max=MOST_SIDE_PIXELS // step)
            for axis, (step, name) in sides.items()
        }
    }


@torch.no_grad()
def _compute_constants(graph: fx.GraphModule) -> None:
    """Replace whatever depends on weights alone by its value."""
    known: dict[fx.Node, Any] = {}
    for node in graph.graph.nodes:
        if node.op == "get_attr":
            known[node] = operator.attrgetter(node.target)(graph)
        elif node.op == "call_function" and all(read in known for read in node.all_input_nodes):
            arguments, named = fx.map_arg((node.args, dict(node.kwargs)), known.__getitem__)
            known[node] = node.target(*arguments, **named)
    for number, (node, value) in enumerate(known.items()):
        if isinstance(value, Tensor) and any(user not in known for user in node.users):
            name = f"settled_{number}"
            graph.register_buffer(name, value.detach().clone().contiguous())
            with graph.graph.inserting_before(node):
                node.replace_all_uses_with(graph.graph.get_attr(name))
    graph.graph.eliminate_dead_code()
    _forget_unused(graph)
    graph.recompile()


def _forget_unused(graph: fx.GraphModule) -> None:
    graph.delete_all_unused_submodules()
    used = {node.target for node in graph.graph.nodes if node.op == "get_attr"}
    stored: Mapping[str, Tensor] = dict(graph.named_parameters()) | dict(graph.named_buffers())
    for name in stored:
        if name not in used:
            owner, _, leaf = name.rpartition(".")
            delattr(graph.get_submodule(owner), leaf)
