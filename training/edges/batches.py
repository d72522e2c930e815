"""Labelled edge points of one training step, on crops or as patches of their own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from defocus_edge.blur_levels import MIN_RADIUS, radius_to_class
from defocus_edge.networks.edge.patches import PATCH_RADIUS
from training.data.camera import CROP_SIDE, FAMILIES
from training.data.labels import UNDECIDED, choose_balanced, share_levels
from training.edges.settings import Head, TrainingSettings

#: Points of a crop are chosen evenly from the blur levels of its pattern edges, or from pattern and depth edges: sharp
#: parts have more edge points than blurred parts.
Balance = Literal["radius", "depth edges"]


@dataclass(frozen=True)
class PointBatch(ABC):
    """P edge points with the truth about them."""

    #: (P, 23) share of each level; a radius lies between two levels.
    levels: NDArray[np.float32]
    #: (P,) blur radius in px, within the levels.
    radius: NDArray[np.float32]
    #: (P,) 1 depth edge, 0 pattern edge, -1 undecided.
    is_depth: NDArray[np.int8]
    #: (P,) 1 for points, 0 for padding.
    valid: NDArray[np.float32]
    #: (P,) family of the scene that the point lies in.
    family: NDArray[np.str_]

    @property
    @abstractmethod
    def inputs(self) -> dict[str, NDArray[Any]]:
        """Inputs of the model."""

    def weigh(self, head: Head) -> NDArray[np.float32]:
        """(P,) 1 for the points that a head learns from: for B-NET all but depth edges, for E-NET the decided ones."""
        chosen = self.is_depth != (1 if head == "blur" else UNDECIDED)
        return (chosen & (self.valid > 0)).astype(np.float32)

    def make_target(self, settings: TrainingSettings) -> NDArray[Any]:
        """Target of the loss: (P, 23) shares of levels, or (P, 1) numbers of classes."""
        if settings.loss == "levels":
            return self.levels
        classes = radius_to_class(self.radius) if settings.head == "blur" else np.maximum(self.is_depth, 0)
        return classes[:, None].astype(np.int32)


@dataclass(frozen=True)
class CropBatch(PointBatch):
    """Points that share crops."""

    #: (B, 64, 64, 3) RGB in [0, 1].
    images: NDArray[np.float32]
    #: (P, 3) crop number, row and column in its inner 24×24 px.
    points: NDArray[np.int32]

    @property
    def inputs(self) -> dict[str, NDArray[Any]]:
        """For `PointModel`."""
        return {"images": self.images, "points": self.points}


@dataclass(frozen=True, eq=False)
class LabelledCrop:
    """One crop with all its edge points."""

    family: str
    #: (64, 64, 3) RGB in [0, 1].
    image: NDArray[np.float32]
    #: (N, 2) row and column in the inner 24×24 px.
    points: NDArray[np.int32]
    #: (N,) blur radius in px, within the levels.
    radius: NDArray[np.float32]
    #: (N,) as `PointBatch.is_depth`.
    is_depth: NDArray[np.int8]


def join_crops(
    drawn: Iterable[LabelledCrop], crops: int, points_per_crop: int, *, rng: np.random.Generator, balance: Balance
) -> CropBatch:
    """Put `crops` crops into a batch, with at most `points_per_crop` random points of each; the rest is padding."""
    side = CROP_SIDE + 2 * PATCH_RADIUS
    images = np.empty((crops, side, side, 3), dtype=np.float32)
    points = np.zeros((crops, points_per_crop, 3), dtype=np.int32)
    radius = np.full((crops, points_per_crop), MIN_RADIUS, dtype=np.float32)
    is_depth = np.full((crops, points_per_crop), UNDECIDED, dtype=np.int8)
    valid = np.zeros((crops, points_per_crop), dtype=np.float32)
    family = np.empty((crops, points_per_crop), dtype=f"<U{max(map(len, FAMILIES))}")
    for number, crop in enumerate(drawn):
        images[number], family[number] = crop.image, crop.family
        pattern_strata = np.where(crop.is_depth == 1, -1, radius_to_class(crop.radius))
        strata = crop.is_depth if balance == "depth edges" else pattern_strata
        chosen = choose_balanced(strata, points_per_crop, rng=rng)
        count = len(chosen)
        points[number, :count, 0] = number
        points[number, :count, 1:] = crop.points[chosen]
        radius[number, :count] = crop.radius[chosen]
        is_depth[number, :count] = crop.is_depth[chosen]
        valid[number, :count] = 1
    truth = radius.reshape(-1)
    return CropBatch(
        levels=share_levels(truth),
        radius=truth,
        is_depth=is_depth.reshape(-1),
        valid=valid.reshape(-1),
        family=family.reshape(-1),
        images=images,
        points=points.reshape(-1, 3),
    )


@dataclass(frozen=True)
class PatchBatch(PointBatch):
    """Points with one patch each."""

    #: (P, 41, 41, 3) RGB in [0, 1], a point in the centre of each.
    patches: NDArray[np.float32]

    @property
    def inputs(self) -> dict[str, NDArray[Any]]:
        """For `PatchModel`."""
        return {"patches": self.patches}


class CropSource(Protocol):
    """Draws crops without end."""

    def draw_batch(
        self, crops: int, points_per_crop: int, *, rng: np.random.Generator, balance: Balance = "radius"
    ) -> CropBatch:
        """Draw `crops` crops with at most `points_per_crop` points each; the rest of the room is padding."""


class BatchSampler(Protocol):
    """Draws batches without end."""

    def draw_batch(
        self, crops: int, points_per_crop: int, *, rng: np.random.Generator, balance: Balance = "radius"
    ) -> PointBatch:
        """Draw `crops` crops with at most `points_per_crop` points each; the rest of the room is padding."""
