"""How a network that answers with a radius is trained beside one that deblurs with its map (Ma et al. 2022).

Notes
-----
A rendered scene has a true radius, and a picture without blur. The loss of both networks together is

    mean|p - r| + w mean[(1 + 9 r / mean r) ‖s - S‖],

with the map p = sigmoid(logits) and the true radius r, both as shares of the largest radius, the deblurred picture s,
the picture S without blur, and its distance ‖·‖ over R, G and B. Blurred pixels count more, by r over its mean of the
batch. The weight w is `deblurring_weight`; without it the map learns alone. No answer needs the deblurring network.

Of the paper we have the abstract. Losses, weights and layers are those of the authors' code,
https://github.com/xytmhy/DID-ANet-Defocus-Deblurring. Its `main.py` weighs the terms by 2, 1 and 9, which is a
`deblurring_weight` of 0.5. We differ in this:

- Both networks learn together: the deblurred picture also teaches the map. The code has the weights of the map fixed,
  and does not say what trained them. There the map serves the deblurred picture, which is the paper's answer; here the
  deblurred picture serves the map. With 0.5 the second term is four times the first one, so our short recipes have
  0.05. With that, 160 steps on crops of 64 px gave the map the same error as without deblurring, 1.54 and 1.55 px.
  Longer trainings have not been compared.
- The code has losses, which `main.py` does not use, that a map of the deblurred picture be 0 everywhere, or that of
  the sharp picture. Ours has neither: to answer 0 everywhere would please the first.
- The scenes are ours. Those of the paper are photographs of a light field camera.
- The deblurring network begins with the picture as it is: its last convolution begins with zeros.
- ‖·‖ is rounded off below a quarter of a step of 8 bits: else it has no derivative where nothing was blurred.
- Pictures are centred and multiplied by 4 for the deblurring network, too.

References
----------
H. Ma, S. Liu, Q. Liao, J. Zhang, J.-H. Xue, "Defocus Image Deblurring Network With Defocus Map Estimation as Auxiliary
Task", IEEE Transactions on Image Processing 31, 2022, doi:10.1109/TIP.2021.3127850.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

from defocus_edge.networks.segmentation.architectures.didanet import apply_plain_conv, apply_residual_block
from defocus_edge.networks.segmentation.blocks import SegmentationConfig, apply_input_scaling
from defocus_edge.networks.segmentation.network import LARGEST_RADIUS
from training.masks.model import JudgedModel, NetworkTrainer, make_optimizer, use_precision
from training.masks.radius_trainer import measure_radii
from training.masks.samplers import InFocusSampler
from training.masks.settings import MaskTrainingSettings

#: Filters of the deblurring network, and number of its residual blocks; those after the first ones are weighed.
DEBLURRING_FILTERS, DEBLURRING_BLOCKS, WHOLE_BLOCKS = 128, 16, 4
BLOCK_SCALE = 0.1
#: How much more a pixel of mean radius counts for being blurred.
BLUR_EMPHASIS = 9.0
# Distance of colours, 0 to 1, below which it is rounded off.
_LEAST_DISTANCE = 1e-3
# Smallest mean share of the largest radius that shares are divided by.
_LEAST_MEAN = 1e-6
_COLOURS = 3


def build_deblurrer(width: float) -> keras.Model:
    """Build the deblurring network: pictures (B, H, W, 3) and shares of the largest radius (B, H, W, 1) to pictures."""
    config = SegmentationConfig(width)
    image, share = keras.Input((None, None, 3), name="image"), keras.Input((None, None, 1), name="share")
    tensor = layers.Concatenate(name="deblur_concat")([apply_input_scaling(image), share])
    tensor = apply_plain_conv(tensor, DEBLURRING_FILTERS, config, "deblur_first_conv")
    for number in range(1, DEBLURRING_BLOCKS + 1):
        scale = 1.0 if number <= WHOLE_BLOCKS else BLOCK_SCALE
        tensor = apply_residual_block(tensor, DEBLURRING_FILTERS, config, f"deblur_block{number}", scale=scale)
    tensor = apply_plain_conv(tensor, DEBLURRING_FILTERS, config, "deblur_last_conv")
    change = layers.Conv2D(_COLOURS, 3, padding="same", kernel_initializer="zeros", name="deblur_change")(tensor)
    # In float32 under every dtype policy: bfloat16 would lose the steps of 8 bits.
    sharp = layers.Add(dtype="float32", name="deblur_add")([image, change])
    return keras.Model([image, share], sharp, name="deblurrer")


def map_loss(shares: Any, logits: Any) -> Any:
    """Mean absolute error of the map; `shares` of the largest radius and `logits` are (B, H, W, 1)."""
    return ops.mean(ops.abs(ops.sigmoid(logits) - ops.cast(shares, logits.dtype)))


def deblurring_loss(truth: Any, deblurred: Any) -> Any:
    """Mean distance of the colours, weighed by the true radius: see the notes of the module.

    Parameters
    ----------
    truth : (B, H, W, 4) tensor
        The picture without blur, RGB in [0, 1], and the true radius as a share of the largest.
    deblurred : (B, H, W, 3) tensor
        RGB in [0, 1].
    """
    sharp, shares = truth[..., :_COLOURS], truth[..., _COLOURS]
    distance = ops.sqrt(ops.sum(ops.square(deblurred - sharp), axis=-1) + _LEAST_DISTANCE**2)
    weights = 1 + BLUR_EMPHASIS * shares / ops.maximum(ops.mean(shares), _LEAST_MEAN)
    return ops.mean(weights * distance)


@dataclass(frozen=True)
class InFocusDrawer:
    """Draws the batches of a network that learns beside one that deblurs: scenes, and what they are without blur."""

    settings: MaskTrainingSettings
    scenes: InFocusSampler

    def draw(self, _step: int, rng: np.random.Generator, /) -> tuple[NDArray[np.float32], ...]:
        """See `Task`."""
        images, radii, sharp = self.scenes.draw_in_focus(self.settings.batch, rng)
        return images, np.minimum(radii / np.float32(LARGEST_RADIUS), np.float32(1))[..., None], sharp


class DeblurringModel(JudgedModel):
    """A network that is trained with one that deblurs the picture with its map."""

    def call(self, images: Any, training: bool | None = None) -> dict[str, Any]:
        """Logits of the map, and the deblurred picture."""
        (deblurrer,) = self.helpers
        logits = self.network(images, training=training)
        return {"maps": logits, "sharp": deblurrer([images, ops.sigmoid(logits[..., -1:])], training=training)}


class DeblurringTrainer(NetworkTrainer):
    """Trains a network from true radii, and through a network that deblurs if the settings ask for it."""

    def __init__(self, settings: MaskTrainingSettings, config: SegmentationConfig) -> None:
        super().__init__(settings, config)
        self._parts = [self.network]
        optimizer = make_optimizer(settings)
        if settings.deblurring_weight:
            with use_precision(settings.precision):
                deblurrer = build_deblurrer(settings.deblurring_width)
            self._model = DeblurringModel(self.network, [], helpers=[deblurrer])
            self._parts.append(deblurrer)
            self._model.compile(
                optimizer=optimizer,
                loss={"maps": map_loss, "sharp": deblurring_loss},
                loss_weights={"maps": 1.0, "sharp": settings.deblurring_weight},
                jit_compile=False,
            )
        else:
            self._model.compile(optimizer=optimizer, loss=map_loss, jit_compile=False)
        optimizer.build(self._model.trainable_variables)

    @property
    def variables(self) -> list[Any]:
        """See `NetworkTrainer`."""
        return [variable for part in (*self._parts, self.optimizer) for variable in part.variables]

    def take_step(self, *batch: NDArray[np.float32]) -> float:
        """Take one step of both networks.

        The batch is pictures (B, S, S, 3), RGB in [0, 1], true radii as shares of the largest (B, S, S, 1), and the
        pictures without blur, which are not read if nothing deblurs. Returns the loss before the step.
        """
        images, shares, sharp = batch
        if not self.settings.deblurring_weight:
            return float(np.asarray(self._model.train_on_batch(images, shares)))
        truth = {"maps": shares, "sharp": np.concatenate([sharp, shares], axis=-1)}
        return float(np.asarray(self._model.train_on_batch(images, truth, return_dict=True)["loss"]))

    def score(self, images: NDArray[np.float32], truth: NDArray[np.float32]) -> dict[str, float]:
        """Mean absolute error in px; `truth` is (B, S, S) radii in px."""
        return measure_radii(self.predict(images), truth)
