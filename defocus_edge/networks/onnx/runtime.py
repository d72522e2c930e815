"""B-NET and E-NET in onnxruntime. Needs the packages `onnx` and `onnxruntime`."""

from __future__ import annotations

import os

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper

from defocus_edge.networks.devices import count_cores
from defocus_edge.networks.edge.architecture import HEAD_SIDE, HEADS, EdgeNetworksConfig, EdgeWeights
from defocus_edge.networks.edge.gathering import gather_grids
from defocus_edge.networks.onnx.dense import add_head, add_maps
from defocus_edge.networks.onnx.graph import FORMAT, OPSET, GraphBuilder

#: Environment variable that says how many threads a session starts; all cores that the process may use unless set.
THREADS_VARIABLE = "OMP_NUM_THREADS"
#: Threads that call the engine: while one tile waits for Python, the other one keeps the cores busy.
CALLS_AT_ONCE = 2
#: Largest number of points in one call.
POINTS_IN_CALL = 2048
_Ports = dict[str, tuple[int, tuple[int | str, ...]]]


class OnnxEngine:
    """Runs both networks on the CPU; any number of threads may use it. See `networks.edge.dense.Engine`."""

    name = "onnxruntime"
    device = "cpu:0"
    takes_one_shape = False
    calls_at_once = CALLS_AT_ONCE
    tiles_in_call = 1
    points_in_call = POINTS_IN_CALL

    def __init__(self, weights: EdgeWeights) -> None:
        self.config: EdgeNetworksConfig = weights.config
        graph = GraphBuilder()
        maps = add_maps(graph, weights, "image")
        self._maps = _open(graph, {"image": (TensorProto.FLOAT, (1, "height", "width", 3))}, maps)
        graph = GraphBuilder()
        answers = [add_head(graph, weights, f"{head}/grids", head) for head in HEADS]
        shape = ("points", HEAD_SIDE, HEAD_SIDE, weights.config.filters)
        self._heads = _open(graph, {f"{head}/grids": (TensorProto.FLOAT, shape) for head in HEADS}, answers)

    def make_maps(self, tiles: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """Maps of a tile with its border, (1, T+40, T+40, 3)."""
        return list(self._maps.run(None, {"image": tiles}))

    def predict(
        self, maps: list[NDArray[np.float32]], points: NDArray[np.int32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Softmax of both networks at (N, 3) points of the tile, see `Engine`."""
        coarse, fine = maps
        grids = gather_grids(coarse, fine, points, self.config.grid_step)
        named = {f"{head}/grids": grid for head, grid in zip(HEADS, grids, strict=True)}
        blur, edge = self._heads.run(None, named)
        return blur, edge


def _open(graph: GraphBuilder, inputs: _Ports, outputs: list[str] | tuple[str, ...]) -> onnxruntime.InferenceSession:
    """Make a session of a graph."""
    ports = [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in inputs.items()]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
    drawn = helper.make_graph(graph.nodes, "edge", ports, ends, graph.constants)
    model = helper.make_model(drawn, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=FORMAT)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = _count_threads()
    options.enable_mem_pattern = False  # plans of memory are kept for each shape, and tiles have many
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # others use the cores between calls
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _count_threads() -> int:
    """Threads of a session."""
    wanted = os.environ.get(THREADS_VARIABLE, "")
    return int(wanted) if wanted.isdecimal() and int(wanted) else count_cores()
