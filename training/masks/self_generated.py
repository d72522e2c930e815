"""SG's training without masks: dual discriminators judge what a network's map composes (Zhao et al. 2021).

Notes
-----
With the map's probability p that a pixel of a partly blurred picture X is blurred, a wholly sharp picture S and a
wholly blurred one B, the composites are

    C_s = (1 - p) X + p S   and   C_b = p X + (1 - p) B.

The right map leaves C_s wholly sharp and C_b wholly blurred. A map that says too often that X is sharp spoils C_s, and
one that says too often that X is blurred spoils C_b. The network's loss is

    w [BCE(D_s(C_s), 1) + BCE(D_b(C_b), 1)] + d(F(C_s), F(S')) + d(F(C_b), F(B')) + map_shape_loss(p)

with the adversarial weight w, the discriminators D_s and D_b, features F of a classifier, d from `feature_distance`,
and S' and B' other pictures of the batch. D_s learns to tell C_s from S, and D_b to tell C_b from B. The paper calls
the distances the bilateral triplet-excavating constraint. They keep the map from an extreme if one discriminator
defeats the other.

Of the paper we have the abstract. The losses and their weights are those of the authors' code, github.com/shangcai1/SG.
The constraint in it only draws the composites to pictures of their own kind, and so does ours. We differ where one
command is to train everything, from pictures of any size:

- The classifier tells wholly sharp, partly blurred and wholly blurred pictures apart. The code loads one that was
  trained before: VGG16 with fully connected layers, for one size. Ours has the layers of a discriminator and the mean
  over their maps, and learns beside the network, from the same batches.
- The discriminators are those of MA-GANet, with pictures only: they answer for each patch of 70×70 px, not for the
  whole picture.
- S' and B' are the S and B of the next picture of the batch; the code draws others.
- The wholly blurred pictures are sharp ones, blurred by the camera model. Those of the paper are photographs.
- `map_shape_loss` also asks for a least blurred share.

References
----------
W. Zhao, C. Shang, H. Lu, "Self-Generated Defocus Blur Detection via Dual Adversarial Discriminators", CVPR 2021,
doi:10.1109/CVPR46437.2021.00686.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

from defocus_edge.networks.segmentation.blocks import SegmentationConfig, apply_logits_output, scale_filters
from defocus_edge.networks.segmentation.patch_gan import DiscriminatorConfig, apply_patch_convs, build_discriminator
from training.masks.losses import feature_distance, generator_loss, map_shape_loss
from training.masks.model import (
    ADVERSARIAL_BETA_1,
    JudgedModel,
    NetworkTrainer,
    compare_halves,
    compile_judge,
    make_optimizer,
    use_precision,
)
from training.masks.settings import MaskTrainingSettings

#: Classes of the classifier, by their numbers.
CLASSES = ("sharp", "partly", "blurred")
#: Number of the classifier's features at width 1, as in the authors' code.
FEATURES = 512


def build_classifier(config: DiscriminatorConfig) -> keras.Model:
    """Build the classifier with random weights: pictures (B, H, W, 3), H and W multiples of 8, to features and logits.

    The output is a dictionary of ``features`` (B, N), none below 0, and ``logits`` (B, 3) of `CLASSES`.
    """
    image = keras.Input((None, None, 3), name="image")
    pooled = layers.GlobalAveragePooling2D(name="pooling")(apply_patch_convs(image, config))
    features = layers.Dense(scale_filters(FEATURES, config.width), activation="relu", name="features")(pooled)
    logits = layers.Dense(len(CLASSES), name="classes")(features)
    return keras.Model(image, {"features": features, "logits": apply_logits_output(logits)}, name="blur_classifier")


def compose(probability: Any, partly: Any, sharp: Any, blurred: Any) -> tuple[Any, Any]:
    """Composites that should be wholly sharp and wholly blurred; the probability of blur is (B, H, W, 1)."""
    return (1 - probability) * partly + probability * sharp, probability * partly + (1 - probability) * blurred


class SelfGeneratedModel(JudgedModel):
    """A network that is trained through two discriminators, for sharp and for blurred pictures, and a classifier."""

    def call(self, pictures: dict[str, Any], training: bool | None = None) -> dict[str, Any]:
        """Map, logits of the patches of both composites, and (B, 2) distances of their features.

        `pictures` are named as in `CLASSES`.
        """
        *discriminators, classifier = self.judges
        probability = ops.sigmoid(self.network(pictures["partly"], training=training)[..., -1:])
        composites = compose(probability, *(pictures[name] for name in ("partly", "sharp", "blurred")))
        patches = [judge(one, training=False) for judge, one in zip(discriminators, composites, strict=True)]
        distances = []
        for composite, name in zip(composites, ("sharp", "blurred"), strict=True):
            found, wanted = (classifier(one, training=False)["features"] for one in (composite, pictures[name]))
            distances.append(feature_distance(ops.cast(found, "float32"), ops.roll(ops.cast(wanted, "float32"), 1, 0)))
        return {
            "map": probability,
            "sharp_patches": patches[0],
            "blurred_patches": patches[1],
            "distances": ops.stack(distances, axis=-1),
        }


class SelfGeneratedTrainer(NetworkTrainer):
    """Trains a network without masks, and its judges beside it."""

    def __init__(self, settings: MaskTrainingSettings, config: SegmentationConfig) -> None:
        super().__init__(settings, config)
        judge_config = DiscriminatorConfig(width=settings.discriminator_width, with_map=False)
        with use_precision(settings.precision):
            self._discriminators = [build_discriminator(judge_config) for _ in ("sharp", "blurred")]
            self._classifier = build_classifier(judge_config)
        # In float32, whatever its parts compute in: composites keep the texture of their pictures.
        self._model = SelfGeneratedModel(self.network, [*self._discriminators, self._classifier])
        self._compile()

    def _compile(self) -> None:
        """Give all networks their losses and optimizers."""
        settings = self.settings
        # The network's rate falls by its own steps, which begin after those of the judges alone.
        optimizer = make_optimizer(replace(settings, steps=settings.steps - settings.judges_first, judges_first=0))
        self._model.compile(
            optimizer=optimizer,
            loss={
                "map": lambda _, probability: map_shape_loss(probability),
                "sharp_patches": lambda _, logits: generator_loss(logits),
                "blurred_patches": lambda _, logits: generator_loss(logits),
                "distances": lambda _, distances: ops.mean(ops.sum(distances, axis=-1)),
            },
            loss_weights={
                "map": 1.0,
                "sharp_patches": settings.adversarial_weight,
                "blurred_patches": settings.adversarial_weight,
                "distances": 1.0,
            },
            jit_compile=False,
        )
        optimizer.build(self._model.trainable_variables)
        for discriminator in self._discriminators:
            adam = keras.optimizers.Adam(settings.discriminator_rate, beta_1=ADVERSARIAL_BETA_1)
            compile_judge(discriminator, adam, compare_halves)
        entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        compile_judge(
            self._classifier, keras.optimizers.Adam(settings.discriminator_rate), {"features": None, "logits": entropy}
        )

    @property
    def variables(self) -> list[Any]:
        """See `NetworkTrainer`."""
        judges = [*self._discriminators, self._classifier]
        optimizers = [model.optimizer for model in (self._model, *judges)]
        return [variable for part in (self.network, *judges, *optimizers) for variable in part.variables]

    def take_step(self, *batch: NDArray[np.float32]) -> float:
        """Take one step of the network, unless the judges still learn alone, and then one of each judge.

        The batch is as many partly blurred, wholly sharp and wholly blurred pictures, (B, S, S, 3) each, RGB in [0, 1].
        Returns the loss of the network before the step.
        """
        partly, sharp, blurred = batch
        pictures = {"partly": partly, "sharp": sharp, "blurred": blurred}
        nothing = np.zeros((len(partly), 1), dtype=np.float32)
        targets = dict.fromkeys(("map", "sharp_patches", "blurred_patches", "distances"), nothing)
        is_first = int(self._classifier.optimizer.iterations) < self.settings.judges_first
        take_batch = self._model.test_on_batch if is_first else self._model.train_on_batch
        losses = take_batch(pictures, targets, return_dict=True)
        composites = compose(self.predict(partly)[..., None], partly, sharp, blurred)
        for discriminator, real, composite in zip(self._discriminators, (sharp, blurred), composites, strict=True):
            both = np.concatenate([real, composite])
            discriminator.train_on_batch(both, np.zeros((len(both), 1), dtype=np.float32))
        classes = np.repeat(np.arange(len(CLASSES)), len(partly))
        everything = np.concatenate([pictures[name] for name in CLASSES])
        self._classifier.train_on_batch(everything, {"logits": classes})
        return float(np.asarray(losses["loss"]))
