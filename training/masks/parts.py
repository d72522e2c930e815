"""Random parts of source pictures, and the scenes that are put together from them, for masks of what is blurred.

Scenes are those of `synth.scenes`: linear light and the true radius of each pixel. All shapes are (rows, columns).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from defocus_edge.blur_levels import BLURRED_ABOVE, RADIUS_STEP
from defocus_edge.psf import blur_with_disk_fast
from synth.scenes import Layer, lens_radius, render_depth, render_gradual, render_layers, render_uniform
from synth.sharpness import measure_sharpness
from training.data.camera import DEPTH_REDUCTIONS, REDUCTIONS
from training.data.photographs import draw_gain, find_light
from training.data.sources import WHITE_FROM, Cutout, Sources, find_inside
from training.masks.choices import UNLABELLED
from training.masks.lenses import FocusedScene, LensScene, add_disparity, add_sharp

Shape = tuple[int, int]
T = TypeVar("T")

#: Sharp pictures for which `measure_sharpness` reads more px than this, once they are reduced, are never shown in
#: focus: some have a soft background. It reads 1.1 to 1.3 times the true radius; 1 px is the smallest blurred level.
SHARP_LIMIT = 1.2
#: Factors by which persons are reduced, so that more than a part of a person is seen.
PERSON_REDUCTIONS = (0.4, 0.8)
#: Share of a hand-drawn mask that is used, along each side. It is large, since the masks are of whole photographs.
SHAPE_WINDOWS = (0.6, 1.0)
#: A matte covers at least this share of a scene, and leaves at least as much; if not, it is drawn again, up to
#: `_TRIES` times.
_LEAST_COVER = 0.04
_TRIES = 6
#: Share of the ends of plain backgrounds that are black.
BLACK_SHARE = 0.4
# Depth beyond these percentiles is taken as noise and blurred like them. Chosen by hand.
_DEPTH_PERCENTILES = (1, 99)


class PartCutter:
    """Cuts random windows from random pictures; only the window is converted to light."""

    def __init__(self, sources: Sources) -> None:
        self.sources = sources
        self._radii: dict[int, float] = {}  # by identity: the sources outlive it
        self._find_any = lru_cache(maxsize=None)(partial(_find_fitting, sources.sharp, np.shape, "sharp picture"))
        self._find_focused = lru_cache(maxsize=None)(self._choose_focused)
        self._find_cutouts = lru_cache(maxsize=None)(
            partial(_find_fitting, sources.cutouts, lambda cutout: cutout.mask.shape, "person")
        )
        self._find_depth = lru_cache(maxsize=None)(
            partial(_find_fitting, sources.depth, lambda source: source.disparity.shape, "picture with disparity")
        )

    def __reduce__(self) -> tuple[type[PartCutter], tuple[Sources]]:
        """Another process gets the sources, and finds out anew what fits."""
        return PartCutter, (self.sources,)

    def check_shape(self, shape: Shape, *, persons: bool, depth: bool) -> None:
        """Raise ValueError if all pictures of a kind are smaller than a shape, or none is sharp enough."""
        self._find_focused(shape)
        if persons:
            self._find_cutouts(shape)
        if depth:
            self._find_depth(shape)

    def cut_light(self, shape: Shape, rng: np.random.Generator, *, radius: float) -> NDArray[np.float32]:
        """Linear light of part of a sharp picture, reduced as far as its size allows, never enlarged.

        If `radius`, in px, does not count as blurred, the light comes from pictures that are in focus all over.
        """
        pictures = self._find_focused(shape) if radius <= BLURRED_ABOVE else self._find_any(shape)
        picture = _choose(pictures, rng)
        window = _choose_window(picture.shape, shape, REDUCTIONS, rng)
        return _mirror(resize(find_light(picture[window]), shape), rng) * draw_gain(rng)

    def cut_person(self, shape: Shape, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Linear light of a part of a person's photograph, and the share of each pixel that the person covers."""
        cutouts = self._find_cutouts(shape)

        def cut() -> tuple[Cutout, tuple[slice, slice], NDArray[np.float32]]:
            cutout = _choose(cutouts, rng)
            window = _choose_window(cutout.mask.shape, shape, PERSON_REDUCTIONS, rng)
            return cutout, window, resize(find_inside(cutout.mask[window]), shape)

        cutout, window, matte = _repeat(cut, lambda part: part[2])
        both = _mirror(np.dstack([resize(find_light(cutout.picture[window]), shape), matte]), rng)
        return np.ascontiguousarray(both[..., :3]) * draw_gain(rng), np.ascontiguousarray(both[..., 3])

    def cut_shape(self, shape: Shape, rng: np.random.Generator) -> NDArray[np.float32]:
        """Share of each pixel that is blurred in a part of a hand-drawn mask of a photograph."""

        def cut() -> NDArray[np.float32]:
            mask = _choose(self.sources.shapes, rng)
            whole = max(shape[0] / mask.shape[0], shape[1] / mask.shape[1])  # with this factor all of it is seen
            window = _choose_window(mask.shape, shape, (whole / SHAPE_WINDOWS[1], whole / SHAPE_WINDOWS[0]), rng)
            return resize((mask[window] >= WHITE_FROM).astype(np.float32), shape)

        return _mirror(_repeat(cut, lambda matte: matte), rng)

    def cut_depth(self, shape: Shape, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Linear light and disparity of part of a picture with disparity."""
        source = _choose(self._find_depth(shape), rng)
        window = _choose_window(source.disparity.shape, shape, DEPTH_REDUCTIONS, rng)
        disparity = cv2.resize(source.disparity[window], shape[::-1], interpolation=cv2.INTER_NEAREST)
        both = _mirror(np.dstack([resize(find_light(source.picture[window]), shape), disparity]), rng)
        return np.ascontiguousarray(both[..., :3]) * draw_gain(rng), np.ascontiguousarray(both[..., 3])

    def _choose_focused(self, shape: Shape) -> list[NDArray[np.uint8]]:
        """Pictures that fit, and whose edges are all sharp after the least reduction that they get."""
        fitting = self._find_any(shape)
        least = [
            max(REDUCTIONS[1], *(want / have for want, have in zip(shape, one.shape, strict=False))) for one in fitting
        ]
        focused = [
            one for one, factor in zip(fitting, least, strict=True) if self._measure(one) * factor <= SHARP_LIMIT
        ]
        if not focused:
            msg = (
                f"sources must hold sharp pictures that are in focus all over. Got: none for {shape[0]}×{shape[1]} px."
            )
            raise ValueError(msg)
        return focused

    def _measure(self, picture: NDArray[np.uint8]) -> float:
        """Radius of the softer edges of a source, px, measured once; NaN without edges."""
        if id(picture) not in self._radii:
            self._radii[id(picture)] = measure_sharpness(picture.astype(np.float32) / np.float32(255)).radius
        return self._radii[id(picture)]


def compose_shape(
    cutter: PartCutter, shape: Shape, *, sharp: float, blurred: float, blurred_is_near: bool, rng: np.random.Generator
) -> FocusedScene:
    """Two pictures on the sides of a hand-drawn outline, with the radii `sharp` and `blurred` in px."""
    matte = cutter.cut_shape(shape, rng)
    focused, other = (cutter.cut_light(shape, rng, radius=radius) for radius in (sharp, blurred))
    whole = np.ones_like(matte)
    if blurred_is_near:
        layers = [Layer(focused, whole, sharp), Layer(other, matte, blurred)]
    else:
        layers = [Layer(other, whole, blurred), Layer(focused, 1 - matte, sharp)]
    return _lay(layers)


def compose_person(
    cutter: PartCutter, shape: Shape, *, near: float, far: float, rng: np.random.Generator
) -> FocusedScene:
    """A person in front of another picture, with the radii `near` and `far` in px."""
    light, matte = cutter.cut_person(shape, rng)
    background = Layer(cutter.cut_light(shape, rng, radius=far), np.ones_like(matte), far)
    return _lay([background, Layer(light, matte, near)])


def compose_backdrop(
    cutter: PartCutter, shape: Shape, *, near: float, far: float, rng: np.random.Generator
) -> FocusedScene:
    """A person in front of a plain background, such as a wall, the sky or the dark of a studio.

    The background goes evenly from one colour to another; black is among them. It has no detail that would tell its
    radius `far` in px, which counts as blurred, as it does in hand-drawn masks.
    """
    light, matte = cutter.cut_person(shape, rng)
    ends = [rng.uniform(0, 1, 3) ** 2 * (rng.random() >= BLACK_SHARE) for _ in range(2)]
    rows, cols = np.indices(shape, dtype=np.float32) / np.float32(max(shape))
    angle = rng.uniform(0, 2 * np.pi)
    along = np.clip(0.5 + np.cos(angle) * (cols - 0.5) + np.sin(angle) * (rows - 0.5), 0, 1)[..., None]
    background = (ends[0] * (1 - along) + ends[1] * along).astype(np.float32)
    layers = [Layer(background, np.ones_like(matte), far), Layer(light, matte, near)]
    return _lay(layers)


def compose_uniform(cutter: PartCutter, shape: Shape, *, radius: float, rng: np.random.Generator) -> FocusedScene:
    """One picture, all of it with the same `radius` in px."""
    light = cutter.cut_light(shape, rng, radius=radius)
    return add_sharp(render_uniform(light, radius, blur=blur_with_disk_fast), light)


def compose_plane(
    cutter: PartCutter, shape: Shape, *, focus: float, angle: float, largest: float, rng: np.random.Generator
) -> LensScene:
    """A tilted plane, such as the ground; either end may be near.

    The inverse depth of a plane, and so the signed radius, is linear in the picture's rows and columns. `angle` is in
    radians from the columns' axis. `focus` is the place of the focus along it, 0 to 1 from one end of the picture to
    the other. `largest` is the radius in px at the end that is farther from the focus.
    """
    rows, cols = np.indices(shape, dtype=np.float32)
    along = np.cos(angle) * cols + np.sin(angle) * rows
    disparity = (along - along.min()) / np.ptp(along)
    signed = disparity - focus
    radius = np.abs(signed) * (largest / float(np.abs(signed).max()))
    scene = _render_steps(cutter.cut_light(shape, rng, radius=0), radius)
    return add_disparity(scene, disparity, focus=focus, sided=False)


def compose_slope(
    cutter: PartCutter, shape: Shape, *, sharp: float, blurred: float, slope: float, rng: np.random.Generator
) -> FocusedScene:
    """One picture whose blur grows with the distance from a hand-drawn outline, by `slope` px per px."""
    is_blurred = (cutter.cut_shape(shape, rng) >= 0.5).astype(np.uint8)
    distance = cv2.distanceTransform(is_blurred, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    radius = np.minimum(sharp + slope * distance, blurred)
    return _render_steps(cutter.cut_light(shape, rng, radius=0), np.asarray(radius, dtype=np.float32))


def compose_depth(
    light: NDArray[np.float32], disparity: NDArray[np.float32], *, focus: float, largest: float
) -> LensScene:
    """A picture with disparity through a thin lens: `focus` is a share of the range, `largest` a radius in px.

    The relative disparity of noise, and of a picture without range, is not known.
    """
    low, high = (float(end) for end in np.percentile(disparity, _DEPTH_PERCENTILES))
    at = low + focus * (high - low)
    signed = lens_radius(disparity, at, largest, reach=max(high - at, at - low))
    signed = _round_radius(np.clip(signed, -largest, largest))
    scene = add_sharp(render_depth(light, signed, blur=blur_with_disk_fast), light)
    relative = (disparity - low) / (high - low) if high > low else np.full_like(disparity, UNLABELLED)
    return add_disparity(scene, relative, focus=focus)


def _render_steps(light: NDArray[np.float32], radius: NDArray[np.float32]) -> FocusedScene:
    return add_sharp(render_gradual(light, _round_radius(radius), blur=blur_with_disk_fast), light)


def _lay(layers: Sequence[Layer]) -> FocusedScene:
    """Lay layers over each other, the farthest first, as they are and in focus."""
    sharp = layers[0].light
    for layer in layers[1:]:
        matte = layer.matte[..., None]
        sharp = layer.light * matte + (1 - matte) * sharp
    return add_sharp(render_layers(layers, blur=blur_with_disk_fast), sharp)


def _round_radius(radius: NDArray[np.float32]) -> NDArray[np.float32]:
    """Round radii to the steps of the blur levels. They cannot be seen, and the renderers' own are half as wide."""
    return np.asarray(np.rint(radius / RADIUS_STEP) * RADIUS_STEP, dtype=np.float32)


def _find_fitting(parts: Sequence[T], find_size: Callable[[T], tuple[int, ...]], name: str, shape: Shape) -> list[T]:
    """Parts that need not be enlarged to a shape."""
    fitting = [part for part in parts if find_size(part)[0] >= shape[0] and find_size(part)[1] >= shape[1]]
    if not fitting:
        msg = f"shape must not be larger than each {name} of the sources. Got: {shape[0]}×{shape[1]}."
        raise ValueError(msg)
    return fitting


def _choose(parts: Sequence[T], rng: np.random.Generator) -> T:
    """Choose one at random."""
    return parts[int(rng.integers(len(parts)))]


def _choose_window(
    size: tuple[int, ...], shape: Shape, factors: tuple[float, float], rng: np.random.Generator
) -> tuple[slice, slice]:
    """Window that becomes `shape` when reduced by a random factor, or by less if the picture is too small for it."""
    factor = max(float(rng.uniform(*factors)), shape[0] / size[0], shape[1] / size[1])
    lengths = [min(round(want / factor), have) for want, have in zip(shape, size, strict=False)]
    first = [int(rng.integers(have - length + 1)) for have, length in zip(size, lengths, strict=False)]
    return slice(first[0], first[0] + lengths[0]), slice(first[1], first[1] + lengths[1])


def _repeat(cut: Callable[[], T], find_matte: Callable[[T], NDArray[np.float32]]) -> T:
    """Cut until the matte covers a part of the scene, neither all nor nothing; take the last try as it is."""
    for _ in range(_TRIES):
        part = cut()
        if _LEAST_COVER <= find_matte(part).mean() <= 1 - _LEAST_COVER:
            break
    return part


def resize(values: NDArray[np.float32], shape: Shape) -> NDArray[np.float32]:
    """Resize to (rows, columns): by area averages if both sides shrink, else linearly, so that mattes become soft."""
    smaller = values.shape[0] >= shape[0] and values.shape[1] >= shape[1]
    method = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(values, shape[::-1], interpolation=method), dtype=np.float32)


def _mirror(values: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Exchange left and right, or not."""
    return np.ascontiguousarray(values[:, ::-1]) if rng.random() < 0.5 else values
