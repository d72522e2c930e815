"""The settings of the training of a blur-detection network: all that its result depends on, apart from the pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from training.data.sources import DEVELOPMENT_STRIDE
from training.edges.settings import (
    COUNT_OR_NONE,
    RULES,
    SHARE,
    Precision,
    ScheduleName,
    check_value,
    choose_word,
    is_integer,
    is_number,
)

MaskOptimizerName = Literal["sgd", "adam", "muon"]
Init = Literal["random", "imagenet"]
#: Names as in `defocus_edge.networks.segmentation.registry`, which loads Keras.
NETWORKS = ("msdu", "defusion", "maganet")
#: Sides of crops must be multiples of it: the largest stride of the networks.
SIDE_STEP = 32


@dataclass(frozen=True)
class MaskTrainingSettings:
    """The training of one blur-detection network.

    Parameters
    ----------
    network : {'msdu', 'defusion', 'maganet'}
    steps : int
    batch : int
        Pictures of one step.
    side : int
        Of the square crops, px.
    resized : int
        Side in px that photographs with masks are resized to before they are cropped; 0 for `side`. Synthetic scenes
        are rendered at `side`.
    rotation : float
        Largest turn of a photograph with its mask, either way, in rad.
    scaling : float
        Photographs are resized by a random factor between 1 and this beyond `resized`.
    optimizer : {'sgd', 'adam', 'muon'}
    learning_rate : float
        Highest rate.
    momentum : float
        Of SGD.
    weight_decay : float
        Share of each weight that is taken off, times the rate, at each step.
    schedule : {'stable-decay', 'steps'}
        See `TrainingSettings`.
    warmup : int
        Steps.
    decay : float
        Share of the steps.
    drop_steps : int
    precision : {'float32', 'mixed_bfloat16'}
    seed : int
        Of weights and data.
    iou_weight : float
        Of the IoU loss beside the cross entropy.
    adversarial_weight : float
        Of the adversarial loss; 0 for no discriminator.
    discriminator_rate : float
        Learning rate of the discriminator, whose optimizer is Adam.
    discriminator_width : float
        Factor on the number of its filters.
    unlabelled_from : int
        Step after which half of each batch has no masks and learns from the discriminator alone; 0 for never.
    init : {'random', 'imagenet'}
        Where VGG16's layers begin.
    validation_stride : int
        Every n-th file of each folder is kept out of training.
    start : str, optional
        Name of the run or preset whose weights the training begins with.
    """

    network: str
    steps: int
    batch: int = 8
    side: int = 256
    resized: int = 0
    rotation: float = 0.0
    scaling: float = 1.0
    optimizer: MaskOptimizerName = "muon"
    learning_rate: float = 2e-3
    momentum: float = 0.9
    weight_decay: float = 0.0
    schedule: ScheduleName = "stable-decay"
    warmup: int = 50
    decay: float = 0.4
    drop_steps: int = 0
    precision: Precision = "float32"
    seed: int = 0
    iou_weight: float = 0.0
    adversarial_weight: float = 0.0
    discriminator_rate: float = 1e-4
    discriminator_width: float = 1.0
    unlabelled_from: int = 0
    init: Init = "random"
    validation_stride: int = DEVELOPMENT_STRIDE
    start: str | None = None

    def __post_init__(self) -> None:
        for name, (rule, holds) in MASK_RULES.items():
            check_value(name, getattr(self, name), rule, holds)
        if self.schedule == "steps":
            check_value("drop_steps", self.drop_steps, "positive with the schedule 'steps'", lambda value: value > 0)
        if self.unlabelled_from and (not self.adversarial_weight or self.batch % 2):
            msg = (
                "unlabelled_from must go with an adversarial_weight above 0 and an even batch. "
                f"Got: {self.unlabelled_from}, {self.adversarial_weight} and {self.batch}."
            )
            raise ValueError(msg)
        if self.init == "imagenet" and self.network == "msdu":
            msg = "init must be 'random' for msdu, which has no VGG16 in it. Got: 'imagenet'."
            raise ValueError(msg)


_WEIGHT = ("a number of 0 or more", lambda value: is_number(value, 0, 1e6))
#: What the value of a setting must be, and whether it is.
MASK_RULES: dict[str, tuple[str, Any]] = {
    "network": (f"one of {', '.join(NETWORKS)}", lambda value: value in NETWORKS),
    **{
        name: RULES[name]
        for name in ("steps", "schedule", "warmup", "decay", "drop_steps", "precision", "seed", "validation_stride")
    },
    "batch": ("a positive integer", is_integer),
    "side": (
        f"a positive multiple of {SIDE_STEP}",
        lambda value: is_integer(value) and value % SIDE_STEP == 0,
    ),
    "resized": COUNT_OR_NONE,
    "rotation": ("a number of rad from 0 to 3.15", lambda value: is_number(value, 0, 3.15)),
    "scaling": ("a number from 1 to 4", lambda value: is_number(value, 1, 4)),
    "optimizer": choose_word(MaskOptimizerName),
    "learning_rate": SHARE,
    "momentum": SHARE,
    "weight_decay": SHARE,
    "iou_weight": _WEIGHT,
    "adversarial_weight": _WEIGHT,
    "discriminator_rate": SHARE,
    "discriminator_width": ("a number above 0", lambda value: is_number(value, 1e-3, 10)),
    "unlabelled_from": COUNT_OR_NONE,
    "init": choose_word(Init),
}
