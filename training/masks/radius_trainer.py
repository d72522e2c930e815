"""How a network that answers with a radius is trained: from scenes, and from photographs with masks (Lee et al. 2019).

Notes
-----
Scenes have a true radius, and photographs look as pictures do. The loss of the network is

    Σ_k mean[(p_k - r)²] + w_s BCE(S(p_K), m) + w_d BCE(D(F), scene),

with the maps p_k = sigmoid(logits), of which p_K is the answer, and the true radius r, both as shares of the largest
radius. The first sum is over scenes, the other two terms are over photographs with masks m. S is a calibrator, which
turns the radius of one pixel into the probability that people call it blurred; it learns beside the network. D is a
discriminator that tells from the features F of the network whether a picture is a scene; the network learns to hide
it. The weights w_s and w_d are `sharpness_weight` and `adversarial_weight`. Without both only scenes are needed.

These are the blur estimation, sharpness calibration and domain adaptation of DMENet, whose layers and weights are those
of the authors' code, https://github.com/codeslake/DMENet. Its fourth part, content preservation, is left out. It
compares features of VGG19 for the map and for the truth, with a weight of 1e-7 in that code.

References
----------
J. Lee, S. Lee, S. Cho, S. Lee, "Deep Defocus Map Estimation Using Domain Adaptation", CVPR 2019,
doi:10.1109/CVPR.2019.01250.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

from defocus_edge.networks.segmentation.blocks import SegmentationConfig, apply_logits_output, scale_filters
from defocus_edge.networks.segmentation.network import LARGEST_RADIUS
from training.masks.losses import domain_loss, radius_loss, score_map_loss
from training.masks.model import (
    JudgedModel,
    NetworkTrainer,
    compile_judge,
    find_labelled,
    make_optimizer,
    use_precision,
)
from training.masks.settings import MaskTrainingSettings

#: Filters of the calibrator's 1×1 convolutions, and of the discriminator's 4×4 convolutions of stride 2.
CALIBRATOR_FILTERS = (64, 64, 64, 32, 32, 32, 16, 16, 16)
DISCRIMINATOR_FILTERS = (64, 128, 256, 512)
_DISCRIMINATOR_KERNEL = 4
_LEAKY_SLOPE = 0.2


def build_calibrator() -> keras.Model:
    """Build the calibrator, (B, H, W, 1) shares of the largest radius to logits of blur; each pixel stands alone."""
    share = tensor = keras.Input((None, None, 1), name="share")
    for number, filters in enumerate(CALIBRATOR_FILTERS, start=1):
        tensor = layers.Conv2D(filters, 1, use_bias=False, name=f"calibrator_conv{number}")(tensor)
        tensor = layers.BatchNormalization(name=f"calibrator_norm{number}")(tensor)
        tensor = layers.LeakyReLU(_LEAKY_SLOPE, name=f"calibrator_relu{number}")(tensor)
    logits = layers.Conv2D(1, 1, name="calibrator_score")(tensor)
    return keras.Model(share, apply_logits_output(logits), name="calibrator")


def build_domain_discriminator(channels: int, width: float) -> keras.Model:
    """Build the discriminator: features (B, H, W, `channels`) to (B, h, w, 1) logits that they are of a scene."""
    features = tensor = keras.Input((None, None, channels), name="features")
    for number, filters in enumerate(DISCRIMINATOR_FILTERS, start=1):
        tensor = layers.Conv2D(
            scale_filters(filters, width),
            _DISCRIMINATOR_KERNEL,
            strides=2,
            padding="same",
            use_bias=False,
            name=f"domain_conv{number}",
        )(tensor)
        tensor = layers.BatchNormalization(name=f"domain_norm{number}")(tensor)
        tensor = layers.LeakyReLU(_LEAKY_SLOPE, name=f"domain_relu{number}")(tensor)
    logits = layers.Conv2D(1, _DISCRIMINATOR_KERNEL, strides=2, padding="same", name="domain_score")(tensor)
    return keras.Model(features, apply_logits_output(logits), name="domain_discriminator")


class RadiusModel(JudgedModel):
    """A network that is trained with a calibrator, and through a discriminator of its features.

    `taps` shares the layers of the network, and gives a dictionary of its ``maps`` and ``features``.
    """

    def __init__(
        self, taps: keras.Model, network: keras.Model, calibrator: keras.Model, discriminator: keras.Model
    ) -> None:
        super().__init__(network, [discriminator], helpers=[calibrator])
        self.taps = taps

    def call(self, images: Any, training: bool | None = None) -> dict[str, Any]:
        """Logits of the maps, of the calibrated mask, and of the patches of the features."""
        (calibrator,), (discriminator,) = self.helpers, self.judges
        taps = self.taps(images, training=training)
        masks = calibrator(ops.sigmoid(taps["maps"][..., -1:]), training=training)
        return {"maps": taps["maps"], "masks": masks, "patches": discriminator(taps["features"], training=False)}


class RadiusTrainer(NetworkTrainer):
    """Trains a network from true radii, and with masks of photographs if the settings ask for it."""

    def __init__(self, settings: MaskTrainingSettings, config: SegmentationConfig) -> None:
        super().__init__(settings, config)
        self._parts = [self.network]
        self._discriminator: keras.Model | None = None
        if settings.needs_photographs:
            features = self.network.get_layer(self.kind.domain_layer).output
            taps = keras.Model(self.network.input, {"maps": self.network.output, "features": features})
            with use_precision(settings.precision):
                calibrator = build_calibrator()
                self._discriminator = build_domain_discriminator(features.shape[-1], settings.discriminator_width)
            self._model = RadiusModel(taps, self.network, calibrator, self._discriminator)
            self._parts += [calibrator, self._discriminator]
        self._compile()

    def _compile(self) -> None:
        """Give all networks their losses and optimizers."""
        settings, optimizer = self.settings, make_optimizer(self.settings)

        def measure_maps(shares: Any, logits: Any) -> Any:
            return radius_loss(shares, logits, find_labelled(shares))

        if self._discriminator is None:
            self._model.compile(optimizer=optimizer, loss=measure_maps, jit_compile=False)
        else:
            self._model.compile(
                optimizer=optimizer,
                loss={
                    "maps": measure_maps,
                    "masks": lambda masks, logits: score_map_loss(masks, logits, find_labelled(masks)),
                    "patches": lambda is_photo, logits: domain_loss(ops.ones_like(is_photo), logits, is_photo),
                },
                loss_weights={
                    "maps": 1.0,
                    "masks": settings.sharpness_weight,
                    "patches": settings.adversarial_weight,
                },
                jit_compile=False,
            )
            compile_judge(self._discriminator, keras.optimizers.Adam(settings.discriminator_rate), domain_loss)
        optimizer.build(self._model.trainable_variables)

    @property
    def variables(self) -> list[Any]:
        """See `NetworkTrainer`."""
        optimizers = [model.optimizer for model in (self._model, self._discriminator) if model is not None]
        return [variable for part in (*self._parts, *optimizers) for variable in part.variables]

    def take_step(self, *batch: NDArray[np.float32]) -> float:
        """Take one step of the network and its calibrator, and then one of the discriminator.

        The batch is pictures (B, S, S, 3), RGB in [0, 1], true radii as shares of the largest, and masks, (B, S, S, 1)
        each; radii or masks are `UNLABELLED` everywhere where they are not known. Returns the loss of the network
        before the step.
        """
        images, shares, masks = batch
        if self._discriminator is None:
            return float(np.asarray(self._model.train_on_batch(images, shares)))
        is_photo = (shares[:, 0, 0] < 0).astype(np.float32)
        truth = {"maps": shares, "masks": masks, "patches": is_photo}
        losses = self._model.train_on_batch(images, truth, return_dict=True)
        features = keras.ops.convert_to_numpy(self._model.taps.predict_on_batch(images)["features"])
        self._discriminator.train_on_batch(features, 1 - is_photo)
        return float(np.asarray(losses["loss"]))

    def score(self, images: NDArray[np.float32], truth: NDArray[np.float32]) -> dict[str, float]:
        """Mean absolute error in px; `truth` is (B, S, S) radii in px."""
        return measure_radii(self.predict(images), truth)


def measure_radii(shares: NDArray[np.float32], truth: NDArray[np.float32]) -> dict[str, float]:
    """Mean absolute error in px of shares of the largest radius; `truth` is radii in px."""
    return {"error, px": round(float(np.abs(LARGEST_RADIUS * shares - truth).mean()), 4)}
