"""How a network that gives radius and depth is trained: a thin lens must agree with both (Zhang & Sun 2021).

Notes
-----
Behind a thin lens the signed radius s is linear in the disparity q, the inverse of the distance in some unit, and the
blur tells its absolute value: |s| = |a + b q|. Aperture, focus and unit, which make a and b, change from picture to
picture. With the maps d and p of the network, the sigmoids of its first and last logits, the loss is

    mean |p - |s|| + w_d mean |d - q| + w_c mean |p - |a + b d||

with radii as shares of the largest one. The first term is over all scenes, the other two are over the pixels whose
relative disparity q is known, which is in planes and in pictures with disparity. w_d and w_c are `depth_weight` and
`consistency_weight`.

The last term is the physical constraint: radius and depth, each estimated on its own, must fit one lens. Where one of
them is right, it corrects the other. The lens is that of the scene. `fit_lens` finds a and b of each picture from its
true maps, by least squares, which evens out that true radii are rounded. The network does not learn a and b, and no
answer needs them. We do not fit them to the maps of the network: while its depth is flat, as it is at first, b would be
undefined.

Of the paper we have the abstract: two subnets learn from synthetic pictures, with a constraint that keeps depth and
defocus consistent. The form of the loss and its weights are our choice. Errors are absolute, as in the tables of maps.
The paper also labels which parts of photographs are nearer, and which are more blurred, to measure by; we have no such
labels.

Disparity is relative to the range of the crop. `training.masks.lenses.measure_depth` says which end of a plane is near.

References
----------
A. Zhang, J. Sun, "Joint Depth and Defocus Estimation From a Single Image Using Physical Consistency", IEEE Transactions
on Image Processing 30, 2021, doi:10.1109/TIP.2021.3061901.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from defocus_edge.networks.segmentation.blocks import SegmentationConfig
from defocus_edge.networks.segmentation.network import LARGEST_RADIUS
from training.masks.model import NetworkTrainer, make_optimizer
from training.masks.samplers import DepthSampler, MaskSampler
from training.masks.settings import MaskTrainingSettings

#: The weights of what such a network learns beside the radius.
DEPTH_WEIGHTS = ("depth_weight", "consistency_weight")
# Smallest sum of squares of the disparity that a slope is divided by.
_LEAST_SPREAD = 1e-6


@dataclass(frozen=True)
class DepthDrawer:
    """Draws the batches of a network that answers with a radius and learns depth, too."""

    settings: MaskTrainingSettings
    scenes: DepthSampler

    def draw(self, _step: int, rng: np.random.Generator, /) -> tuple[NDArray[np.float32], ...]:
        """See `Task`."""
        images, truth = draw_depth_truth(self.scenes, self.settings.batch, rng)
        truth[..., 0] /= LARGEST_RADIUS
        return images, truth.clip(-1, 1)


def draw_depth_truth(
    scenes: DepthSampler, count: int, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Draw pictures (count, side, side, 3) with signed radii in px and disparity, (count, side, side, 2)."""
    images, radii, disparity = scenes.draw_depths(count, rng)
    return images, np.stack([radii, disparity], axis=-1)


def find_depths(sampler: MaskSampler) -> DepthSampler:
    """The same sampler, or say that it has no disparity."""
    if not isinstance(sampler, DepthSampler):
        msg = f"sampler must draw scenes with disparity, which synthetic and mixed have. Got: {sampler!r}."
        raise ValueError(msg)
    return sampler


def fit_lens(signed: Any, disparity: Any) -> tuple[Any, Any]:
    """The lens of each picture: a and b of ``signed = a + b · disparity`` by least squares, (B, 1, 1, 1) each.

    `signed`, signed radii, and `disparity` are (B, H, W, 1); pixels whose disparity is below 0 do not count. Both are 0
    for a picture without others, and b is 0 for one without range.
    """
    known = ops.cast(disparity >= 0, disparity.dtype)
    middle, level = _average(disparity, known), _average(signed, known)
    centred = known * (disparity - middle)
    spread = ops.sum(ops.square(centred), axis=(1, 2, 3), keepdims=True)
    slope = ops.sum(centred * (signed - level), axis=(1, 2, 3), keepdims=True) / ops.maximum(spread, _LEAST_SPREAD)
    return level - slope * middle, slope


def depth_losses(truth: Any, logits: Any) -> tuple[Any, Any, Any]:
    """Absolute errors of the radius, the disparity and the lens.

    The first is a mean over all pixels, the other two are means over known pixels, and then over pictures with any.

    Parameters
    ----------
    truth : (B, H, W, 2) tensor
        Signed radius as a share of the largest one, and relative disparity; below 0 where it is not known.
    logits : (B, H, W, 2) tensor
        Output of a network whose first map is the disparity and whose last one is the radius.
    """
    signed, disparity = truth[..., :1], truth[..., 1:]
    known = ops.cast(disparity >= 0, logits.dtype)
    depth, share = ops.sigmoid(logits[..., :1]), ops.sigmoid(logits[..., -1:])
    level, slope = fit_lens(signed, disparity)
    pictures = ops.max(known, axis=(1, 2, 3), keepdims=True)
    errors = ops.abs(depth - disparity), ops.abs(share - ops.abs(level + slope * depth))
    of_disparity, of_lens = (
        ops.sum(pictures * _average(error, known)) / ops.maximum(ops.sum(pictures), 1) for error in errors
    )
    return ops.mean(ops.abs(share - ops.abs(signed))), of_disparity, of_lens


def _average(values: Any, known: Any) -> Any:
    """Mean over the known pixels of each picture, (B, 1, 1, 1); 0 without any."""
    axes = (1, 2, 3)
    return ops.sum(known * values, axis=axes, keepdims=True) / ops.maximum(ops.sum(known, axis=axes, keepdims=True), 1)


class DepthTrainer(NetworkTrainer):
    """Trains a network from true radii, and from disparity and the lens where they are known."""

    def __init__(self, settings: MaskTrainingSettings, config: SegmentationConfig) -> None:
        super().__init__(settings, config)

        def measure_loss(truth: Any, logits: Any) -> Any:
            of_radius, of_disparity, of_lens = depth_losses(ops.cast(truth, logits.dtype), logits)
            return of_radius + settings.depth_weight * of_disparity + settings.consistency_weight * of_lens

        self.network.compile(optimizer=make_optimizer(settings), loss=measure_loss, jit_compile=False)
        self.network.optimizer.build(self.network.trainable_variables)

    @property
    def variables(self) -> list[Any]:
        """See `NetworkTrainer`."""
        return [*self.network.variables, *self.network.optimizer.variables]

    def take_step(self, *batch: NDArray[np.float32]) -> float:
        """Take one step.

        The batch is pictures (B, S, S, 3), RGB in [0, 1], and the truth as for `depth_losses`. Returns the loss before
        the step.
        """
        images, truth = batch
        return float(np.asarray(self.network.train_on_batch(images, truth)))

    def score(self, images: NDArray[np.float32], truth: NDArray[np.float32]) -> dict[str, float]:
        """Mean absolute errors in px and of the relative disparity; `truth` is that of `draw_depth_truth`."""
        radii, disparity = np.abs(truth[..., 0]), truth[..., 1]
        scores = {"error, px": np.abs(LARGEST_RADIUS * self.predict(images) - radii).mean()}
        known = disparity >= 0
        if known.any():
            scores["disparity error"] = np.abs(self.predict(images, number=0) - disparity)[known].mean()
        return {name: round(float(value), 4) for name, value in scores.items()}
