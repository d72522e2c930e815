"""From source files to arrays: pictures in linear light, masks and depth, which are turned and reduced."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from defocus_edge.files.images import read_image
from defocus_edge.psf import decode_srgb
from synth.coco import draw_mask
from synth.depth import read_inverse_depth
from synth.readers import Source

# A pixel belongs to the object if the mask's picture, which goes from 0 to 1, has at least this value.
_MASK_LEVEL = 0.5
# A quarter of a turn and a full turn, in degrees.
_QUARTER, _FULL_TURN = 90, 360
# Px by which a rotated picture is smaller than what fits: cubic interpolation reaches that far.
_ROTATION_MARGIN = 2


class SourceError(ValueError):
    """A source that cannot be used. `source` is None if it is only that several sources do not fit together."""

    def __init__(self, message: str, source: Source | None = None) -> None:
        super().__init__(message)
        self.source = source


@dataclass(frozen=True)
class Turn:
    """How a source is turned before it is reduced.

    `angle` is in degrees counter-clockwise. Multiples of 90 are exact. Others are interpolated and cut to the largest
    upright part; the reduction afterwards makes them sharp again. `mirrored` swaps left and right first.
    """

    angle: float = 0.0
    mirrored: bool = False

    def apply(self, values: NDArray[np.float32], *, nearest: bool = False) -> NDArray[np.float32]:
        """Turn (H, W) or (H, W, C) values. With `nearest` neighbouring values are not mixed."""
        turned = values[:, ::-1] if self.mirrored else values
        angle = self.angle % _FULL_TURN
        if angle % _QUARTER == 0:
            return np.ascontiguousarray(np.rot90(turned, int(angle // _QUARTER)))
        return _rotate(np.ascontiguousarray(turned), angle, nearest=nearest)


def load_picture(source: Source) -> NDArray[np.float32]:
    """Linear light of a source picture, (H, W, 3) float32 in [0, 1]; `SourceError` if the file cannot be read."""
    try:
        return decode_srgb(read_image(source.folder / source.picture))
    except (OSError, ValueError) as error:
        raise SourceError(str(error), source) from error


def load_mask(source: Source) -> NDArray[np.float32]:
    """Object of a source, (H, W) float32, 1 = object; `SourceError` if there is none or it cannot be read."""
    try:
        if source.outline is not None:
            return draw_mask(source.outline).astype(np.float32)
        if source.mask is not None:
            return (read_image(source.folder / source.mask, bit_depth=16)[..., 0] >= _MASK_LEVEL).astype(np.float32)
    except (OSError, ValueError) as error:
        raise SourceError(str(error), source) from error
    raise SourceError(f"'{source.picture}' must have a mask. Got: none.", source)


def load_depth(source: Source) -> NDArray[np.float32]:
    """Inverse depth of a source, (H, W) float32, larger is nearer, without holes; raises as `load_mask` does."""
    if source.depth is None:
        raise SourceError(f"'{source.picture}' must have disparity or depth. Got: none.", source)
    try:
        return read_inverse_depth(source.folder / source.depth, kind=source.depth_kind)
    except (OSError, ValueError) as error:
        raise SourceError(str(error), source) from error


def check_same_size(picture: NDArray[np.float32], other: NDArray[np.float32], source: Source) -> None:
    """Raise a `SourceError` unless the second array has the height and width of the picture."""
    if picture.shape[:2] != other.shape[:2]:
        raise SourceError(
            f"'{source.picture}' and what belongs to it must have one size. Got: {picture.shape} and {other.shape}.",
            source,
        )


def resize(values: NDArray[np.float32], shape: tuple[int, int], *, nearest: bool = False) -> NDArray[np.float32]:
    """Reduce values to (height, width) by area averages; with `nearest` they are picked instead of mixed."""
    if values.shape[:2] == shape:
        return values
    method = cv2.INTER_NEAREST if nearest else cv2.INTER_AREA
    return np.asarray(cv2.resize(values, shape[::-1], interpolation=method), dtype=np.float32)


def _rotate(values: NDArray[np.float32], angle: float, *, nearest: bool) -> NDArray[np.float32]:
    """Turn about the centre and keep the largest upright part of the same proportions without an empty corner."""
    height, width = values.shape[:2]
    sine, cosine = abs(np.sin(np.deg2rad(angle))), abs(np.cos(np.deg2rad(angle)))
    scale = min(width / (width * cosine + height * sine), height / (width * sine + height * cosine))
    size = tuple(max(int(side * scale) - _ROTATION_MARGIN, 1) for side in (width, height))
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, 1.0)
    matrix[:, 2] += [(size[0] - width) / 2, (size[1] - height) / 2]
    method = cv2.INTER_NEAREST if nearest else cv2.INTER_CUBIC
    turned = cv2.warpAffine(values, matrix, size, flags=method, borderMode=cv2.BORDER_REFLECT)
    return np.clip(np.asarray(turned, dtype=np.float32), values.min(), values.max())
