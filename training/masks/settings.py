"""The settings of the training of a network that detects blur."""

from __future__ import annotations

from typing import Annotated, Any, Literal, cast

from pydantic import Field, PlainValidator
from pydantic.dataclasses import dataclass

from defocus_edge.networks.config_values import SIDES_RULE, are_sides
from training.data.sources import DEVELOPMENT_STRIDE
from training.masks.choices import Network
from training.runs.settings import (
    CHECKED,
    Count,
    CountOrZero,
    Precision,
    Schedule,
    Seed,
    Share,
    StageSettings,
    ValidationStride,
    Weight,
)

MaskOptimizerName = Literal["sgd", "adam", "muon"]
#: Sides of crops must be multiples of it, px: the largest stride of the networks.
SIDE_STEP = 32
#: Settings that do something only with photographs and scenes mixed.
MIXTURE = ("photo_share", "smallest_scale", "largest_scale", "blurred_share")
#: Networks without a part of `keras.applications`: all their weights are random at first.
WITHOUT_IMAGENET = ("didanet", "msdu", "pmnet")
# With self_generated a picture is compared with another one of the batch.
_LEAST_PICTURES = 2
#: Factor on the size of a photograph.
Scale = Annotated[float, Field(ge=0.1, le=4)]
#: Largest turn in rad that may be asked for: π, rounded up.
_HALF_TURN = 3.15


def _check_seen_side(value: Any) -> int | list[int]:
    """Refuse what is not a side, several ones, or 0."""
    if not (are_sides(value) or (type(value) is int and value == 0)):
        msg = f"must be {SIDES_RULE}, or 0 for full size"
        raise ValueError(msg)
    return cast("int | list[int]", value)


SeenSide = Annotated[int | list[int], PlainValidator(_check_seen_side)]


@dataclass(frozen=True, config=CHECKED)
class MaskTrainingSettings(StageSettings):
    """The training of one network; see `StageSettings` for the fields without a comment."""

    network: Network
    steps: Count
    #: Number of pictures in one step.
    batch: Count = 8
    #: Side of the square crops, px.
    side: Annotated[int, Field(gt=0, multiple_of=SIDE_STEP)] = 256
    #: Side in px that photographs with masks are resized to before they are cropped; 0 for `side`. Synthetic scenes
    #: are rendered at `side`.
    resized: CountOrZero = 0
    #: Largest turn of a photograph with its mask, either way, rad.
    rotation: Annotated[float, Field(ge=0, le=_HALF_TURN)] = 0.0
    #: Photographs are resized by a random factor between 1 and this beyond `resized`.
    scaling: Annotated[float, Field(ge=1, le=4)] = 1.0
    #: With photographs and scenes mixed: share of the crops that are of photographs. The factors by which photographs
    #: are resized, evenly distributed in their logarithm, go from the smallest to the largest.
    photo_share: Share = 0.65
    smallest_scale: Scale = 0.4
    largest_scale: Scale = 1.2
    #: Share of these crops that are blurred as a whole.
    blurred_share: Share = 0.06
    #: Longest side in px of what the trained network sees: larger pictures are reduced to it; 0 for full size. With a
    #: list of sides it sees a picture in each size.
    seen_side: SeenSide = 0
    #: How far its map is smoothed along the edges of a picture, as a share of the longer side; 0 for not at all.
    smoothing: Share = 0.0
    optimizer: MaskOptimizerName = "muon"
    learning_rate: Share = 2e-3
    #: Momentum of SGD.
    momentum: Share = 0.9
    #: Share of each weight that is taken off, times the rate, at each step.
    weight_decay: Share = 0.0
    schedule: Schedule = "stable-decay"
    warmup: CountOrZero = 50
    decay: Share = 0.4
    drop_steps: CountOrZero = 0
    precision: Precision = "float32"
    seed: Seed = 0
    #: Weight of the IoU loss beside the cross entropy.
    iou_weight: Weight = 0.0
    #: Weight of the loss that makes the maps before the last differ.
    diversity_weight: Weight = 0.0
    #: Groups of these maps: two, whose maps leave both means, or one.
    diversity_groups: Literal[1, 2] = 2
    #: Weight of the adversarial loss; 0 for no discriminator.
    adversarial_weight: Weight = 0.0
    #: Learning rate of the discriminator, whose optimizer is Adam; with `self_generated` that of all judges.
    discriminator_rate: Share = 1e-4
    #: Factor on the number of the discriminator's filters, or those of all judges.
    discriminator_width: Annotated[float, Field(ge=1e-3, le=10)] = 1.0
    #: Step after which half of each batch has no masks and learns from the discriminator alone; 0 for never.
    unlabelled_from: CountOrZero = 0
    #: Weight of the masks of photographs for a network that answers with a radius, see
    #: `training.masks.radius_trainer`; its adversarial weight is that of the domain.
    sharpness_weight: Weight = 0.0
    #: Weight of the deblurred picture for a network that learns with one that deblurs, see
    #: `training.masks.deblurring_trainer`; 0 for none.
    deblurring_weight: Weight = 0.0
    #: Factor on the number of filters of the network that deblurs.
    deblurring_width: Annotated[float, Field(ge=1e-3, le=10)] = 1.0
    #: Weights of the disparity for a network that learns depth, too, and of the lens that disparity and radius must
    #: agree with, see `training.masks.depth_trainer`.
    depth_weight: Weight = 0.0
    consistency_weight: Weight = 0.0
    #: Learn without masks: two discriminators judge what the network's map composes of partly blurred, wholly sharp and
    #: wholly blurred pictures, see `training.masks.self_generated`.
    self_generated: bool = False
    #: First steps of such a training, in which the judges of the network learn alone.
    judges_first: CountOrZero = 0
    #: Weights that the layers of VGG16 or EfficientNet begin with.
    init: Literal["random", "imagenet"] = "random"
    validation_stride: ValidationStride = DEVELOPMENT_STRIDE
    start: str | None = None
    #: Share of the weights that the training began with in those that are kept: both ends are averaged, so that what
    #: was known before is not forgotten (Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022).
    start_share: Share = 0.0
    #: Seconds after which the training ends if its steps have not ended before; the rate then follows the clock. None:
    #: the steps alone count, and each run gives the same weights.
    seconds: Annotated[float, Field(gt=0)] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.unlabelled_from and (not self.adversarial_weight or self.batch % 2):
            msg = (
                "unlabelled_from must go with an adversarial_weight above 0 and an even batch. "
                f"Got: {self.unlabelled_from}, {self.adversarial_weight} and {self.batch}."
            )
            raise ValueError(msg)
        if self.self_generated:
            self._check_self_generated()
        if self.smallest_scale > self.largest_scale:
            msg = f"largest_scale must be at least smallest_scale. Got: {self.largest_scale} and {self.smallest_scale}."
            raise ValueError(msg)
        if self.init == "imagenet" and self.network in WITHOUT_IMAGENET:
            msg = f"init must be 'random' for {self.network}, which has no VGG16 in it. Got: 'imagenet'."
            raise ValueError(msg)

    @property
    def needs_photographs(self) -> bool:
        """Whether a network that answers with a radius learns from photographs, too."""
        return bool(self.sharpness_weight or self.adversarial_weight)

    def _check_self_generated(self) -> None:
        """Refuse what a training without masks cannot do."""
        if not self.adversarial_weight or self.batch < _LEAST_PICTURES:
            msg = (
                f"self_generated must go with an adversarial_weight above 0 and a batch of at least {_LEAST_PICTURES}. "
                f"Got: {self.adversarial_weight} and {self.batch}."
            )
            raise ValueError(msg)
        if self.judges_first >= self.steps:
            msg = f"judges_first must be less than steps. Got: {self.judges_first} and {self.steps}."
            raise ValueError(msg)
        for name in ("iou_weight", "diversity_weight", "unlabelled_from"):
            if getattr(self, name):
                msg = f"{name} must be 0 with self_generated, which reads no masks. Got: {getattr(self, name)}."
                raise ValueError(msg)
