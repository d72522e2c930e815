"""B-NET and E-NET in Keras, on the backend and device that Keras uses."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from defocus_edge.choices import AUTO, PRECISIONS, Precision
from defocus_edge.networks.devices import choose_device, use_device
from defocus_edge.networks.edge.features import DenseFeatures, PointHead, gather_head_input
from defocus_edge.networks.edge.networks import EdgeNetworks
from defocus_edge.networks.inference import compile_inference

# Numbers of tiles and of points in one call. A GPU has room for more, and idles with less.
_CPU_CALL, _GPU_CALL = (1, 2048), (16, 16384)
# A call with fewer points is filled up to a power of 2, at least this one, so that there are few shapes to compile.
_LEAST_CHUNK = 128


class KerasEngine:
    """Runs both networks; any number of threads may use it. See `networks.edge.dense.Engine`.

    Two functions of fixed signature are compiled at the first call; tiles of any size use them. They read the layers of
    `networks`, so that later changes of the weights count.

    Parameters
    ----------
    networks : EdgeNetworks
    precision : {'float32', 'bfloat16'}
        Precision of the convolutions over the tiles; bfloat16 is not exact.
    device : str
        See `choose_device`.
    """

    name = "keras"
    calls_at_once = 1

    def __init__(self, networks: EdgeNetworks, *, precision: Precision = "float32", device: str = AUTO) -> None:
        if precision not in PRECISIONS:
            msg = f"precision must be one of {PRECISIONS}. Got: {precision!r}."
            raise ValueError(msg)
        self.config = networks.config
        self.device = choose_device(device)
        # JAX compiles, and GPUs choose their kernels, for each shape anew.
        is_cpu = self.device.startswith("cpu")
        self.takes_one_shape = keras.backend.backend() == "jax" or not is_cpu
        self.tiles_in_call, self.points_in_call = _CPU_CALL if is_cpu else _GPU_CALL
        features = DenseFeatures(networks, dtype="mixed_bfloat16" if precision == "bfloat16" else "float32")
        heads = [PointHead(networks, head, dtype="float32") for head in features.heads]
        filters, step = networks.config.filters, networks.config.grid_step

        def predict_points(coarse: Any, fine: Any, points: Any) -> list[Any]:
            grid = ops.cast(gather_head_input(coarse, fine, points, step), "float32")
            return [head(grid[..., number * filters : (number + 1) * filters]) for number, head in enumerate(heads)]

        maps = ((self.tiles_in_call, None, None, len(heads) * filters), precision)
        tiles = ((self.tiles_in_call, None, None, 3), "float32")
        self._features = compile_inference(lambda given: features(given), [tiles])
        self._heads = compile_inference(predict_points, [maps, maps, ((None, 3), "int32")])

    def make_maps(self, tiles: NDArray[np.float32]) -> Any:
        """Maps of tiles with their border, on the device."""
        with use_device(self.device):
            return self._features(tiles)

    def predict(self, maps: Any, points: NDArray[np.int32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Softmax of both networks at points of the tiles."""
        padded = np.zeros((max(_LEAST_CHUNK, 1 << (len(points) - 1).bit_length()), 3), dtype=np.int32)
        padded[: len(points)] = points
        with use_device(self.device):
            outputs = self._heads(*maps, padded)
        blur, edge = (np.asarray(ops.convert_to_numpy(output))[: len(points)] for output in outputs)
        return blur, edge
