"""The networks patch by patch, as the paper describes them: slow and obvious, what the dense evaluation must equal."""

import keras
import numpy as np

from defocus_edge.networks.edge.dense import EdgePrediction
from defocus_edge.networks.edge.patches import PATCH_RADIUS, PATCH_SIDE, check_points
from defocus_edge.networks.inference import compile_inference

#: Number of patches in one call of the networks.
PATCH_CHUNK = 256


def pad_border(image):
    """Mirror 20 px at each border, so that each pixel has a whole patch. The edge pixel is repeated."""
    return np.pad(image, ((PATCH_RADIUS, PATCH_RADIUS), (PATCH_RADIUS, PATCH_RADIUS), (0, 0)), mode="symmetric")


def extract_patches(image, points, grid_step=1):
    """Cut out patches of 41×41 px around (N, 2) points, or around the middles of their squares: (N, 41, 41, C)."""
    points = check_points(points, image.shape) // grid_step * grid_step + grid_step // 2
    # The middle of the last square may lie beyond the picture.
    padded = np.pad(image, ((PATCH_RADIUS, PATCH_RADIUS + 2), (PATCH_RADIUS, PATCH_RADIUS + 2), (0, 0)), "symmetric")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (PATCH_SIDE, PATCH_SIDE), axis=(0, 1))
    return np.ascontiguousarray(np.moveaxis(windows[points[:, 0], points[:, 1]], 1, -1))


class PatchEvaluator:
    """`DenseEvaluator.predict` from one 41 px patch for each point."""

    def __init__(self, networks):
        self._grid_step = networks.config.grid_step
        self._joint = compile_inference(
            lambda patches: networks.joint(patches, training=False), [((None, PATCH_SIDE, PATCH_SIDE, 3), "float32")]
        )

    def predict(self, image, points):
        """Softmax of both networks at points of an image."""
        points = np.asarray(points)
        blur, edge = np.empty((len(points), 23), dtype=np.float32), np.empty((len(points), 2), dtype=np.float32)
        for start in range(0, len(points), PATCH_CHUNK):
            rows = slice(start, start + PATCH_CHUNK)
            outputs = self._joint(extract_patches(image, points[rows], self._grid_step))
            blur[rows] = keras.ops.convert_to_numpy(outputs["blur"])
            edge[rows] = keras.ops.convert_to_numpy(outputs["edge"])
        return EdgePrediction(blur, edge)
