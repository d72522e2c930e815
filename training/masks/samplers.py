"""What a network that detects blur learns from: photographs with masks, and photographs without masks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import cv2
import numpy as np
from numpy.typing import NDArray

from defocus_edge.files.images import read_image
from defocus_edge.psf import blur_with_disk_fast
from training.data.mask_datasets import MaskPair, read_pair
from training.data.photographs import draw_gain, draw_sensor, find_light, photograph
from training.data.sources import WHITE_FROM, list_pictures
from training.masks.scenes import MaskSceneSampler, draw_blurred


class MaskSampler(Protocol):
    """Draws pictures with masks without end; they depend on nothing but the generator."""

    def draw_batch(self, count: int, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Draw pictures (count, side, side, 3), RGB in [0, 1], and masks (count, side, side), True = blurred."""


@runtime_checkable
class WholeSampler(MaskSampler, Protocol):
    """Also draws pictures that are sharp or blurred all over."""

    def draw_wholes(self, count: int, rng: np.random.Generator, *, blurred: bool) -> NDArray[np.float32]:
        """Draw pictures (count, side, side, 3), RGB in [0, 1]."""


@runtime_checkable
class RadiusSampler(MaskSampler, Protocol):
    """Also draws rendered scenes with their true radii."""

    def draw_radii(self, count: int, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Draw pictures (count, side, side, 3), RGB in [0, 1], and radii in px (count, side, side)."""


@runtime_checkable
class DepthSampler(MaskSampler, Protocol):
    """Also draws rendered scenes with their true radii, and with their disparity where it is known."""

    def draw_depths(
        self, count: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Draw pictures (count, side, side, 3), RGB in [0, 1], signed radii in px and disparity (count, side, side).

        The disparity is relative, from 0, far, to 1, near; `UNLABELLED` in pixels where it is not known. There radii
        are positive. Elsewhere they are negative behind the focus, and linear in the disparity of a picture.
        """


@runtime_checkable
class InFocusSampler(RadiusSampler, Protocol):
    """Also draws these scenes without blur."""

    def draw_in_focus(
        self, count: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Draw pictures and radii as `draw_radii` does, and the same pictures with all radii 0."""


@runtime_checkable
class PhotographSampler(MaskSampler, Protocol):
    """Also draws photographs with masks alone."""

    def draw_photographs(self, count: int, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Draw pictures and masks as `draw_batch` does."""


class PairSampler:
    """Draws random parts of photographs with hand-drawn masks: resized, turned, cropped, mirrored.

    Raises ValueError if there are no pairs, or `resized` is smaller than `side`. Raises MaskSetError, ImageReadError or
    FileNotFoundError if a pair cannot be read.

    Parameters
    ----------
    pairs : sequence of MaskPair
        All are read at once, resized and kept.
    side : int
        Side of the crops, px.
    resized : int
        Side in px of the squares that whole photographs are resized to, as in the papers; 0 for `side`.
    rotation : float
        Largest turn either way, in rad.
    scaling : float
        Photographs are enlarged by a random factor from 1 to this.
    """

    def __init__(
        self, pairs: Sequence[MaskPair], *, side: int, resized: int = 0, rotation: float = 0.0, scaling: float = 1.0
    ) -> None:
        resized = resized or side
        if not pairs or resized < side:
            msg = f"There must be pairs, resized to {side} px or more. Got: {len(pairs)} and {resized} px."
            raise ValueError(msg)
        self._side, self._resized, self._rotation, self._scaling = side, resized, rotation, scaling
        self._pictures = []
        for pair in pairs:
            picture, mask = read_pair(pair)
            small = cv2.resize(picture, (resized, resized), interpolation=cv2.INTER_AREA)
            matte = cv2.resize(mask.astype(np.uint8) * 255, (resized, resized), interpolation=cv2.INTER_LINEAR)
            self._pictures.append(np.dstack([small, matte]))

    def draw_batch(self, count: int, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """See `MaskSampler`."""
        parts = [self._cut(self._pictures[rng.integers(len(self._pictures))], rng) for _ in range(count)]
        both = np.stack(parts)
        return both[..., :3].astype(np.float32) / np.float32(255), both[..., 3] >= WHITE_FROM

    def _cut(self, picture: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
        """Cut a part of one photograph, which is mirrored beyond its border."""
        factor = rng.uniform(1, self._scaling)
        angle = rng.uniform(-self._rotation, self._rotation)
        spare = max(self._resized * factor - self._side, 0) / 2
        shift = rng.uniform(-spare, spare, 2)
        cosine, sine = np.cos(angle) / factor, np.sin(angle) / factor
        # From crop to photograph, about the middles of both; the middle of n px is at (n - 1) / 2.
        to_photo = np.array([[cosine, -sine], [sine, cosine]])
        middle = (self._resized - 1) / 2 - to_photo @ ((self._side - 1) / 2 - shift)
        part = cv2.warpAffine(
            picture,
            np.column_stack([to_photo, middle]),
            (self._side, self._side),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REFLECT_101,
        )
        return np.asarray(part[:, ::-1] if rng.random() < 0.5 else part)


class MixedSampler:
    """Draws crops of photographs with masks and of synthetic scenes in turn, as photographs vary.

    Photographs are resized by a random factor, mirrored beyond their borders, given another exposure and colour, noise
    and JPEG; some are blurred as a whole. Raises ValueError if there are no pairs. Raises MaskSetError, ImageReadError
    or FileNotFoundError if a pair cannot be read.

    Parameters
    ----------
    pairs : sequence of MaskPair
        All are read at once and kept.
    scenes : MaskSceneSampler
        Draws scenes of the size of the crops.
    share : float
        Share of the crops that are of photographs.
    scales : (float, float)
        Smallest and largest factor on the size of a photograph.
    blurred_share : float
        Share of the photographs that are blurred as a whole: all of such a picture counts as blurred.
    """

    def __init__(
        self,
        pairs: Sequence[MaskPair],
        scenes: MaskSceneSampler,
        *,
        share: float,
        scales: tuple[float, float],
        blurred_share: float,
    ) -> None:
        if not pairs:
            raise ValueError("There must be photographs with masks. Got: none.")
        self._scenes, self._share, self._scales, self._blurred = scenes, share, scales, blurred_share
        self._photos = [np.dstack([picture, mask.astype(np.uint8) * 255]) for picture, mask in map(read_pair, pairs)]

    def draw_batch(self, count: int, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """See `MaskSampler`."""
        parts = [self._draw(rng) for _ in range(count)]
        return np.stack([image for image, _ in parts]), np.stack([mask for _, mask in parts])

    def draw_radii(self, count: int, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """See `RadiusSampler`."""
        return self._scenes.draw_radii(count, rng)

    def draw_depths(
        self, count: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """See `DepthSampler`."""
        return self._scenes.draw_depths(count, rng)

    def draw_in_focus(
        self, count: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """See `InFocusSampler`."""
        return self._scenes.draw_in_focus(count, rng)

    def draw_photographs(self, count: int, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """See `PhotographSampler`."""
        parts = [self._draw_photograph(rng) for _ in range(count)]
        return np.stack([image for image, _ in parts]), np.stack([mask for _, mask in parts])

    def draw_wholes(self, count: int, rng: np.random.Generator, *, blurred: bool) -> NDArray[np.float32]:
        """See `WholeSampler`: sharp pictures as the scenes are made of, not photographs with masks."""
        return self._scenes.draw_wholes(count, rng, blurred=blurred)

    def _draw(self, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        if rng.random() >= self._share:
            return self._scenes.draw_sample(rng)
        return self._draw_photograph(rng)

    def _draw_photograph(self, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        photo = self._photos[rng.integers(len(self._photos))]
        factor = float(np.exp(rng.uniform(*np.log(self._scales))))
        part = cut_scaled(photo, self._scenes.side, factor, rng)
        part = part[:, ::-1] if rng.random() < 0.5 else part
        light = find_light(part[..., :3]) * draw_gain(rng)
        mask = part[..., 3] >= WHITE_FROM
        if rng.random() < self._blurred:
            light, mask = blur_with_disk_fast(light, draw_blurred(rng)), np.ones_like(mask)
        return photograph(light, draw_sensor(rng), rng=rng), mask


def cut_scaled(photo: NDArray[np.uint8], side: int, factor: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Cut a random square part that has a side in px once it is resized; beyond the border it is mirrored."""
    wanted = round(side / factor)
    first = [int(rng.integers(max(length - wanted, 0) + 1)) for length in photo.shape[:2]]
    part = photo[first[0] : first[0] + wanted, first[1] : first[1] + wanted]
    size = [min(side, max(round(length * factor), 1)) for length in part.shape[1::-1]]
    small = cv2.resize(part, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR)
    spare = [side - length for length in small.shape[:2]]
    before = [int(rng.integers(length + 1)) for length in spare]
    after = [length - own for length, own in zip(spare, before, strict=True)]
    return np.asarray(cv2.copyMakeBorder(small, before[0], after[0], before[1], after[1], cv2.BORDER_REFLECT_101))


class PhotoSampler:
    """Draws random square parts of photographs that have no masks.

    The parts have a `side` in px; smaller photographs are enlarged to it. Raises FileNotFoundError or ImageReadError if
    the folder has no pictures or one cannot be read.
    """

    def __init__(self, folder: str | Path, *, side: int) -> None:
        self._side = side
        self._photos = []
        for path in list_pictures(Path(folder)):
            photo = np.rint(read_image(path) * 255).astype(np.uint8)
            factor = side / min(photo.shape[:2])
            if factor > 1:
                size = [max(round(length * factor), side) for length in photo.shape[1::-1]]
                photo = np.asarray(cv2.resize(photo, size, interpolation=cv2.INTER_LINEAR), dtype=np.uint8)
            self._photos.append(photo)

    def draw_photos(self, count: int, rng: np.random.Generator) -> NDArray[np.float32]:
        """Draw pictures (count, side, side, 3), RGB in [0, 1]."""
        parts = []
        for _ in range(count):
            photo = self._photos[rng.integers(len(self._photos))]
            top, left = (int(rng.integers(length - self._side + 1)) for length in photo.shape[:2])
            part = photo[top : top + self._side, left : left + self._side]
            parts.append(part[:, ::-1] if rng.random() < 0.5 else part)
        return np.stack(parts).astype(np.float32) / np.float32(255)
