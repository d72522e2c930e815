"""A network that detects blur with its losses and optimizer, trained from masks: alone or against a discriminator."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from defocus_edge.metrics import MaskProtocol, measure_mask, summarize_masks
from defocus_edge.networks.segmentation.blocks import SegmentationConfig
from defocus_edge.networks.segmentation.patch_gan import DiscriminatorConfig, build_discriminator
from defocus_edge.networks.segmentation.registry import SEGMENTATION_NETWORKS, build_segmentation_network
from training.masks.losses import discriminator_loss, diversity_loss, generator_loss, iou_loss, score_map_loss
from training.masks.settings import MaskTrainingSettings
from training.runs.optimizers import KernelMuon, make_rate

#: Decay of Adam's first moment for both sides of an adversarial training (Isola et al. 2017, Radford et al. 2016).
ADVERSARIAL_BETA_1 = 0.5
# The same otherwise: Keras' own default (Kingma & Ba 2015).
_BETA_1 = 0.9
# Number of pictures that the network answers for at once.
_AT_ONCE = 8


class JudgedModel(keras.Model):
    """A network that is trained through networks that judge its answer.

    Parameters
    ----------
    network : keras.Model
        Pictures to logits of score maps.
    judges : sequence of keras.Model
        They stay as they are.
    helpers : sequence of keras.Model
        They learn with the network, and no answer needs them.

    Notes
    -----
    The judges' weights count as not trainable here, though other steps train them. Switching `trainable` on and off
    would depend on when a backend compiles which step.
    """

    def __init__(
        self, network: keras.Model, judges: Sequence[keras.Model], helpers: Sequence[keras.Model] = ()
    ) -> None:
        super().__init__(name=f"judged_{network.name}")
        self.network = network
        self.judges = list(judges)
        self.helpers = list(helpers)

    @property
    def trainable_variables(self) -> list[Any]:
        """See `keras.Model`: the network's, and the helpers'."""
        return [variable for part in (self.network, *self.helpers) for variable in part.trainable_variables]

    @property
    def non_trainable_variables(self) -> list[Any]:
        """See `keras.Model`: the other ones of the network and the helpers, and all of the judges."""
        own = [variable for part in (self.network, *self.helpers) for variable in part.non_trainable_variables]
        return [*own, *(variable for judge in self.judges for variable in judge.variables)]

    @property
    def trainable_weights(self) -> list[Any]:
        """See `trainable_variables`."""
        return self.trainable_variables

    @property
    def non_trainable_weights(self) -> list[Any]:
        """See `non_trainable_variables`."""
        return self.non_trainable_variables


class AdversarialModel(JudgedModel):
    """A network that is trained through one discriminator: picture and map to logits of patches."""

    def call(self, images: Any, training: bool | None = None) -> dict[str, Any]:
        """Logits of the score maps, and of the patches of the map that is the network's answer."""
        (discriminator,) = self.judges
        logits = self.network(images, training=training)
        pairs = ops.concatenate([images, ops.sigmoid(logits[..., -1:])], axis=-1)
        return {"maps": logits, "patches": discriminator(pairs, training=False)}


class NetworkTrainer(ABC):
    """A network that detects blur, with the architecture `config`, and how it takes a step of training."""

    def __init__(self, settings: MaskTrainingSettings, config: SegmentationConfig) -> None:
        self.settings, self.config = settings, config
        self.kind = SEGMENTATION_NETWORKS[settings.network]
        with use_precision(settings.precision):
            self.network = build_segmentation_network(settings.network, config)
        #: What takes the steps: the network, or one that holds it.
        self._model = self.network

    @property
    def optimizer(self) -> Any:
        """The optimizer of the network."""
        return self._model.optimizer

    @property
    @abstractmethod
    def variables(self) -> list[Any]:
        """All variables that a checkpoint must hold; those of the network come first."""

    @abstractmethod
    def take_step(self, *batch: NDArray[np.float32]) -> float:
        """Take one step of each optimizer; return the loss of the network before it."""

    def predict(self, images: NDArray[np.float32], *, number: int = -1) -> NDArray[np.float32]:
        """(B, S, S) answers, 0 to 1: the sigmoid of a map, of the last one unless its `number` is given."""
        parts = (images[start : start + _AT_ONCE] for start in range(0, len(images), _AT_ONCE))
        logits = np.concatenate(
            [ops.convert_to_numpy(self.network.predict_on_batch(part))[..., number] for part in parts]
        )
        answer: NDArray[np.float32] = 1 / (1 + np.exp(-logits, dtype=np.float32))
        return answer

    def score(self, images: NDArray[np.float32], truth: NDArray[Any]) -> dict[str, float]:
        """Mean absolute error and max-of-mean Fβ on crops; `truth` is (B, S, S) masks."""
        curves = [measure_mask(*pair) for pair in zip(self.predict(images), truth, strict=True)]
        row = summarize_masks(curves, MaskProtocol())
        return {name: round(float(row[name]), 4) for name in ("MAE", "max-of-mean Fβ")}


class MaskTrainer(NetworkTrainer):
    """Trains a network from masks, alone or against a discriminator."""

    def __init__(self, settings: MaskTrainingSettings, config: SegmentationConfig) -> None:
        super().__init__(settings, config)
        with use_precision(settings.precision):
            self._discriminator: keras.Model | None = None
            if settings.adversarial_weight:
                self._discriminator = build_discriminator(DiscriminatorConfig(width=settings.discriminator_width))
                self._model = AdversarialModel(self.network, [self._discriminator])
        self._compile()

    def _compile(self) -> None:
        """Give network and discriminator their losses and optimizers."""
        settings = self.settings

        def measure_loss(masks: Any, logits: Any) -> Any:
            weights = find_labelled(masks)
            loss = score_map_loss(masks, logits, weights)
            if settings.iou_weight:
                loss = loss + settings.iou_weight * iou_loss(masks, ops.sigmoid(logits[..., -1:]), weights)
            if settings.diversity_weight:
                diversity = diversity_loss(logits, weights, groups=settings.diversity_groups)
                loss = loss + settings.diversity_weight * diversity
            return loss

        optimizer = make_optimizer(settings)
        if self._discriminator is None:
            self._model.compile(optimizer=optimizer, loss=measure_loss, jit_compile=False)
        else:
            self._model.compile(
                optimizer=optimizer,
                loss={"maps": measure_loss, "patches": lambda _, logits: generator_loss(logits)},
                loss_weights={"maps": 1.0, "patches": settings.adversarial_weight},
                jit_compile=False,
            )
            adam = keras.optimizers.Adam(settings.discriminator_rate, beta_1=ADVERSARIAL_BETA_1)
            compile_judge(self._discriminator, adam, compare_halves)
        optimizer.build(self._model.trainable_variables)

    @property
    def variables(self) -> list[Any]:
        """See `NetworkTrainer`."""
        parts = [self.network] if self._discriminator is None else [self.network, self._discriminator]
        optimizers = [model.optimizer for model in (self._model, self._discriminator) if model is not None]
        return [variable for part in (*parts, *optimizers) for variable in part.variables]

    def take_step(self, *batch: NDArray[np.float32]) -> float:
        """Take one step of the optimizer, and then one of the discriminator's, if there is one.

        The batch is pictures and masks. The pictures are (B, S, S, 3), RGB in [0, 1]. The masks are (B, S, S, 1): 1 =
        blurred, 0 = sharp, `UNLABELLED` everywhere for a picture without mask. Returns the loss of the network before
        the step.
        """
        images, masks = batch
        if self._discriminator is None:
            return float(np.asarray(self._model.train_on_batch(images, masks)))
        nothing = np.zeros((len(images), 1), dtype=np.float32)
        losses = self._model.train_on_batch(images, {"maps": masks, "patches": nothing}, return_dict=True)
        labelled = masks[:, 0, 0, 0] >= 0
        images, masks = images[labelled], masks[labelled]
        maps = self.predict(images)[..., None]
        pairs = np.concatenate([np.concatenate([images, one], axis=-1) for one in (masks, maps)])
        self._discriminator.train_on_batch(pairs, np.zeros((len(pairs), 1), dtype=np.float32))
        return float(np.asarray(losses["loss"]))


def make_optimizer(settings: MaskTrainingSettings) -> keras.optimizers.Optimizer:
    """The optimizer of a network."""
    rate, decay = make_rate(settings), settings.weight_decay
    if settings.optimizer == "sgd":
        return keras.optimizers.SGD(rate, momentum=settings.momentum, weight_decay=decay or None)
    if settings.optimizer == "adam":
        beta_1 = ADVERSARIAL_BETA_1 if settings.adversarial_weight else _BETA_1
        return keras.optimizers.Adam(rate, beta_1=beta_1, weight_decay=decay or None)
    return KernelMuon(learning_rate=rate, weight_decay=decay, adam_weight_decay=decay)


def find_labelled(masks: Any) -> Any:
    """(B,) 1 for a picture with a mask, 0 for one without."""
    return ops.cast(ops.max(masks, axis=(1, 2, 3)) >= 0, "float32")


@contextmanager
def use_precision(precision: str) -> Iterator[None]:
    """Give the layers that are built in the block a precision."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def compile_judge(judge: keras.Model, optimizer: keras.optimizers.Optimizer, loss: Any) -> None:
    """Give a network that judges its optimizer and loss; all variables of the optimizer are made at once."""
    judge.compile(optimizer=optimizer, loss=loss, jit_compile=False)
    optimizer.build(judge.trainable_variables)


def compare_halves(_: Any, logits: Any) -> Any:
    """The loss of a discriminator for a batch whose first half is real and whose second half is of the network."""
    half = ops.shape(logits)[0] // 2
    return discriminator_loss(logits[:half], logits[half:])
