"""Random crops of random scenes with labels at their edge points: what B-NET and E-NET learn from."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

from defocus_edge.blur_levels import BLUR_LEVELS, MAX_RADIUS, MIN_RADIUS, RADIUS_STEP
from defocus_edge.estimation.edges import EdgeSettings, edge_points, find_edges
from defocus_edge.networks.edge.patches import PATCH_RADIUS
from synth.scenes import Layer, Scene, lens_radius, render_depth, render_gradual, render_layers, render_uniform
from training.data.camera import (
    BEYOND_SHARE,
    CROP_SIDE,
    DEPTH_REDUCTIONS,
    EDGE_QUANTILES,
    FAMILIES,
    FOCUS_RADII,
    FOCUS_SHARE,
    LARGEST_RADIUS,
    LEVEL_SHARE,
    RADII,
    REDUCTIONS,
    RIM_DISTANCE,
    SHAPE_REDUCTIONS,
    STEEPEST_RAMP,
)
from training.data.labels import label_depth_edges
from training.data.photographs import draw_gain, draw_sensor, find_light, photograph
from training.data.sources import WHITE_FROM, Sources, find_inside
from training.edges.batches import Balance, CropBatch, LabelledCrop, join_crops

#: Further px that are rendered and cut away, so that no mirrored border is blurred into the crop.
_RENDER_MARGIN = 10
#: A crop with a smaller share of edge points is drawn again, at most `_TRIES` times.
_LEAST_EDGE_SHARE = 0.03
_TRIES = 4


class CropSampler:
    """Draws crops without end. One sampler serves one thread at a time.

    Raises ValueError as `check_families` does.

    Parameters
    ----------
    families : dict, optional
        Family name to how often it occurs.
    level_share : float
        Share of the uniform crops that have exactly the radius of a level.
    """

    def __init__(
        self, sources: Sources, *, families: dict[str, float] | None = None, level_share: float = LEVEL_SHARE
    ) -> None:
        families = FAMILIES if families is None else families
        check_families(families, sources)
        self.sources = sources
        self._rng = np.random.default_rng(0)
        self._level_share = level_share
        # In a fixed order, whatever the order of the settings, so that a seed always gives the same crops.
        self._names = [name for name in FAMILIES if name in families]
        shares = np.array([families[name] for name in self._names])
        self._shares = shares / shares.sum()
        self._draw: dict[str, Callable[[int, float], Scene]] = {
            "uniform": self._draw_uniform,
            "gradual": self._draw_gradual,
            "composite": self._draw_composite,
            "depth": self._draw_depth,
        }
        self._rims = [_find_rim(cutout.mask) for cutout in sources.cutouts]
        self._shape_rims = [_find_rim(shape) for shape in sources.shapes]

    def draw_batch(
        self, crops: int, points_per_crop: int, *, rng: np.random.Generator, balance: Balance = "radius"
    ) -> CropBatch:
        """Draw crops with at most `points_per_crop` random edge points each; the rest of the room is padding."""
        self._rng = rng
        drawn = (self._draw_crop(str(rng.choice(self._names, p=self._shares))) for _ in range(crops))
        return join_crops(drawn, crops, points_per_crop, rng=rng, balance=balance)

    def _draw_crop(self, family: str) -> LabelledCrop:
        """Render a crop and label its edge points."""
        radius = self._draw_radius()
        side = CROP_SIDE + 2 * PATCH_RADIUS
        for _ in range(_TRIES):
            scene = self._draw[family](side + 2 * _RENDER_MARGIN, radius)
            inner = slice(_RENDER_MARGIN, _RENDER_MARGIN + side)
            picture = photograph(scene.light, draw_sensor(self._rng), rng=self._rng)
            image = np.ascontiguousarray(picture[inner, inner])
            settings = EdgeSettings(high_quantile=float(self._rng.uniform(*EDGE_QUANTILES)))
            edges = find_edges(image, settings=settings)[PATCH_RADIUS:-PATCH_RADIUS, PATCH_RADIUS:-PATCH_RADIUS]
            if edges.mean() >= _LEAST_EDGE_SHARE:
                break
        points = edge_points(edges)
        offset = _RENDER_MARGIN + PATCH_RADIUS
        rows, cols = points[:, 0] + offset, points[:, 1] + offset
        truth = np.clip(scene.radius[rows, cols], MIN_RADIUS, MAX_RADIUS)
        return LabelledCrop(family, image, points, truth, label_depth_edges(scene)[rows, cols])

    def _draw_radius(self) -> float:
        """A radius, balanced over the levels; sharp pictures and those beyond the last level occur."""
        if self._rng.random() < BEYOND_SHARE:
            return float(self._rng.uniform(MAX_RADIUS, LARGEST_RADIUS))
        return float(self._rng.uniform(*RADII))

    def _draw_uniform(self, side: int, radius: float) -> Scene:
        """Mostly the 23 levels themselves, balanced, as in the paper."""
        if self._rng.random() < self._level_share:
            radius = float(self._rng.choice(BLUR_LEVELS))
        return render_uniform(self._cut_sharp(side), radius)

    def _draw_gradual(self, side: int, radius: float) -> Scene:
        """A ramp across the crop in any direction, smooth or in steps of one level."""
        angle, slope = self._rng.uniform(0, 2 * np.pi), self._rng.uniform(0, STEEPEST_RAMP)
        axis = np.arange(side, dtype=np.float32) - side / 2
        ramp = radius + slope * (np.cos(angle) * axis[:, None] + np.sin(angle) * axis[None, :])
        if self._rng.random() < 0.5:
            ramp = np.rint(ramp / RADIUS_STEP) * RADIUS_STEP
        return render_gradual(self._cut_sharp(side), np.clip(ramp, 0, LARGEST_RADIUS).astype(np.float32))

    def _draw_composite(self, side: int, radius: float) -> Scene:
        """An object over a background, one of them mostly in focus."""
        other = float(self._rng.uniform(*FOCUS_RADII)) if self._rng.random() < FOCUS_SHARE else self._draw_radius()
        near, far = (radius, other) if self._rng.random() < 0.5 else (other, radius)
        if self._rng.random() < 0.5 and self.sources.cutouts:
            light, matte = self._cut_object(side)
        else:
            light, matte = self._cut_sharp(side), self._cut_shape(side)
        background = self._cut_sharp(side)
        return render_layers([Layer(background, np.ones_like(matte), far), Layer(light, matte, near)])

    def _draw_depth(self, side: int, radius: float) -> Scene:
        """Part of a picture with disparity, seen through a lens."""
        source = self.sources.depth[self._rng.integers(len(self.sources.depth))]
        factor = float(self._rng.uniform(*DEPTH_REDUCTIONS))
        window = self._choose_window(source.picture.shape, side, factor)
        light = _reduce(find_light(source.picture[window]), side)
        disparity = cv2.resize(source.disparity[window], (side, side), interpolation=cv2.INTER_NEAREST)
        low, high = np.percentile(source.disparity, [1, 99])
        focus = float(self._rng.uniform(low, high))
        signed = lens_radius(disparity, focus, radius, reach=max(high - focus, focus - low))
        turn = self._draw_turn()
        return render_depth(turn(light) * draw_gain(self._rng), turn(np.clip(signed, -LARGEST_RADIUS, LARGEST_RADIUS)))

    def _cut_sharp(self, side: int) -> NDArray[np.float32]:
        """Linear light of a random part of a random sharp picture, reduced, turned, brighter or darker."""
        picture = self.sources.sharp[self._rng.integers(len(self.sources.sharp))]
        window = self._choose_window(picture.shape, side, float(self._rng.uniform(*REDUCTIONS)))
        return self._draw_turn()(_reduce(find_light(picture[window]), side)) * draw_gain(self._rng)

    def _cut_object(self, side: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Light and matte of part of an object around its rim."""
        number = int(self._rng.integers(len(self.sources.cutouts)))
        cutout = self.sources.cutouts[number]
        window = self._choose_window(
            cutout.mask.shape, side, float(self._rng.uniform(*REDUCTIONS)), around=self._rims[number]
        )
        matte = _reduce(find_inside(cutout.mask[window]), side)
        turn = self._draw_turn()
        return turn(_reduce(find_light(cutout.picture[window]), side)) * draw_gain(self._rng), turn(matte)

    def _cut_shape(self, side: int) -> NDArray[np.float32]:
        """Matte of part of a hand-drawn mask around its rim, either side of it."""
        number = int(self._rng.integers(len(self.sources.shapes)))
        shape = self.sources.shapes[number]
        window = self._choose_window(
            shape.shape, side, float(self._rng.uniform(*SHAPE_REDUCTIONS)), around=self._shape_rims[number]
        )
        matte = _reduce((shape[window] >= WHITE_FROM).astype(np.float32), side)
        return self._draw_turn()(matte if self._rng.random() < 0.5 else 1 - matte)

    def _choose_window(
        self, shape: tuple[int, ...], side: int, factor: float, *, around: NDArray[np.int32] | None = None
    ) -> tuple[slice, slice]:
        """Square window that becomes `side` px when reduced by `factor`, anywhere or around one of some points."""
        length = min(round(side / factor), shape[0], shape[1])
        corner = [int(self._rng.integers(size - length + 1)) for size in shape[:2]]
        if around is not None and len(around):
            spread = round(RIM_DISTANCE * length / side)
            centre = around[self._rng.integers(len(around))] + self._rng.integers(-spread, spread + 1, 2)
            corner = [int(np.clip(c - length // 2, 0, size - length)) for c, size in zip(centre, shape, strict=False)]
        return slice(corner[0], corner[0] + length), slice(corner[1], corner[1] + length)

    def _draw_turn(self) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
        """One of the eight turns and mirrorings of a square."""
        quarters, mirror = int(self._rng.integers(4)), self._rng.random() < 0.5

        def turn(values: NDArray[np.float32]) -> NDArray[np.float32]:
            turned = np.rot90(values, quarters)
            return np.ascontiguousarray(turned[:, ::-1] if mirror else turned)

        return turn


def check_families(families: Iterable[str], sources: Sources) -> None:
    """Raise ValueError if a family is unknown, or one with depth has no picture with disparity."""
    for name in families:
        if name not in FAMILIES:
            msg = f"families must be of {', '.join(FAMILIES)}. Got: {name!r}."
            raise ValueError(msg)
        if name == "depth" and not sources.depth:
            msg = "families must not name 'depth' where no picture with disparity is left for it. Got: 'depth'."
            raise ValueError(msg)


def _reduce(values: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    return np.asarray(cv2.resize(values, (side, side), interpolation=cv2.INTER_AREA), dtype=np.float32)


def _find_rim(mask: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Pixels along the border of a mask, (N, 2)."""
    return np.argwhere(cv2.morphologyEx(mask, cv2.MORPH_GRADIENT, np.ones((3, 3), dtype=np.uint8)) > 0).astype(np.int32)
