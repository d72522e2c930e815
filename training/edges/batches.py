"""Labelled edge points of one training step, on crops or as patches of their own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from defocus_edge.blur_levels import radius_to_class
from training.data.labels import UNDECIDED
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


@dataclass(frozen=True)
class PatchBatch(PointBatch):
    """Points with one patch each."""

    #: (P, 41, 41, 3) RGB in [0, 1], a point in the centre of each.
    patches: NDArray[np.float32]

    @property
    def inputs(self) -> dict[str, NDArray[Any]]:
        """For `PatchModel`."""
        return {"patches": self.patches}


class BatchSampler(Protocol):
    """Draws batches without end."""

    def draw_batch(
        self, crops: int, points_per_crop: int, *, rng: np.random.Generator, balance: Balance = "radius"
    ) -> PointBatch:
        """Draw `crops` crops with at most `points_per_crop` points each; the rest of the room is padding."""
