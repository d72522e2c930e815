"""An estimate: the map, the points that it rests on, and all settings that it depends on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from defocus_edge.choices import DEFAULT_MAX_RADIUS, READ_OUTS, MaxRadius, Precision, ReadOut
from defocus_edge.estimation.edges import EdgeSettings
from defocus_edge.propagation.settings import PropagationSettings
from defocus_edge.thresholds import threshold_blur_map


@dataclass(frozen=True)
class EstimatorSettings:
    """Everything that a `BlurEstimate` depends on besides the picture.

    Attributes
    ----------
    preset : str
        Name or folder of the weights.
    edges : EdgeSettings
        How edges were found.
    propagation : PropagationSettings
        How blur spread, with the depth penalty that was used.
    read_out, depth_threshold, tile_side, max_radius, edge_step, grid_step, precision, stretch_range
        As for `BlurEstimator`.
    context : str or None
        Preset of the network that corrected the points; None where none did.
    """

    preset: str
    read_out: ReadOut = "median"
    depth_threshold: float = 0.5
    edges: EdgeSettings = field(default_factory=EdgeSettings)
    propagation: PropagationSettings = field(default_factory=PropagationSettings)
    tile_side: int | None = None
    max_radius: MaxRadius = DEFAULT_MAX_RADIUS
    edge_step: int = 1
    grid_step: int = 1
    precision: Precision = "float32"
    stretch_range: bool = True
    context: str | None = None

    def __post_init__(self) -> None:
        if self.max_radius != "auto" and not (
            isinstance(self.max_radius, int | float) and 0 < self.max_radius < float("inf")
        ):
            msg = f"max_radius must be 'auto' or a positive, finite number of pixels. Got: {self.max_radius!r}."
            raise ValueError(msg)
        if not isinstance(self.edge_step, int) or self.edge_step < 1:
            msg = f"edge_step must be an integer of 1 or more. Got: {self.edge_step!r}."
            raise ValueError(msg)
        if self.read_out not in READ_OUTS:
            msg = f"read_out must be one of {READ_OUTS}. Got: {self.read_out!r}."
            raise ValueError(msg)
        if not 0 < self.depth_threshold < 1:
            msg = f"depth_threshold must be between 0 and 1. Got: {self.depth_threshold}."
            raise ValueError(msg)


@dataclass(frozen=True, eq=False)
class BlurEstimate:
    """How blurred each part of a picture is.

    ``np.asarray(estimate)`` is the radius map.

    Attributes
    ----------
    radius : (H, W) ndarray of float32
        Blur radius in px of the input image.
    confidence : (H, W) ndarray of float32
        0 to 1: how far the map rests on measurements, see `propagate_blur`.
    points : (N, 2) ndarray of int32
        Row and column of each edge point: those of the picture in reading order, then those of reduced pictures.
    point_radius : (N,) ndarray of float32
        Radius in px at each point; the radii of depth edges were not used.
    point_confidence : (N,) ndarray of float32
        Probability that the true radius is within 0.5 px of `point_radius`, or 0.5 · s px if the point was
        measured in a picture reduced by s. That of a context network counts a twelfth of a radius above 6 · s px.
    is_depth_edge : (N,) ndarray of bool
        True where depth jumps, False on pattern edges.
    settings : EstimatorSettings
    point_scale : (N,) ndarray of int32
        Reduction of the picture in which each point was measured: 1, 2, 4, …
    bit_depth : int or None
        Bits of a sample that were taken for the range of the picture; None for floats.
    """

    radius: NDArray[np.float32]
    confidence: NDArray[np.float32]
    points: NDArray[np.int32]
    point_radius: NDArray[np.float32]
    point_confidence: NDArray[np.float32]
    is_depth_edge: NDArray[np.bool_]
    settings: EstimatorSettings
    point_scale: NDArray[np.int32]
    bit_depth: int | None = None

    @property
    def rests_on_depth_edges(self) -> bool:
        """Whether no point is a pattern edge: the map rests on depth edges alone, with low confidence."""
        return bool(self.is_depth_edge.all())

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.radius, dtype=dtype, copy=copy)

    def mask(self, *, alpha: float | None = None, radius: float | None = None) -> NDArray[np.bool_]:
        """Mark the pixels that are out of focus.

        Parameters
        ----------
        alpha, radius : float, optional
            One threshold or none, as for `threshold_blur_map`.

        Returns
        -------
        (H, W) ndarray of bool
            True = blurred.

        Raises
        ------
        ValueError
            If both thresholds are given or one is out of range.
        """
        return threshold_blur_map(self.radius, alpha=alpha, radius=radius)
