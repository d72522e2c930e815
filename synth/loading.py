"""Source files to arrays of one size: read, turned, reduced, in linear light."""

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

_MASK_LEVEL = 0.5
_QUARTER = 90
_FULL_TURN = 360


class SourceError(ValueError):
    """A source file that cannot be used.

    Attributes
    ----------
    source : Source or None
        The one at fault; None if only the choice of several does not fit together.
    """

    def __init__(self, message: str, source: Source | None = None) -> None:
        super().__init__(message)
        self.source = source


@dataclass(frozen=True)
class Turn:
    """How a source is turned before it is reduced.

    Parameters
    ----------
    angle : float
        Degrees counter-clockwise. Multiples of 90 are exact; others are cut to the largest upright part and
        interpolated, which the reduction afterwards sharpens again.
    mirrored : bool
        Left and right are swapped first.
    """

    angle: float = 0.0
    mirrored: bool = False

    def apply(self, values: NDArray[np.float32], *, nearest: bool = False) -> NDArray[np.float32]:
        """Turn (H, W) or (H, W, C) values; `nearest` where values must not be mixed."""
        turned = values[:, ::-1] if self.mirrored else values
        angle = self.angle % _FULL_TURN
        if angle % _QUARTER == 0:
            return np.ascontiguousarray(np.rot90(turned, int(angle // _QUARTER)))
        return _rotate(np.ascontiguousarray(turned), angle, nearest=nearest)


def load_picture(source: Source) -> NDArray[np.float32]:
    """Linear light of a source picture, (H, W, 3) float32 in [0, 1].

    Raises
    ------
    SourceError
        If the file cannot be read.
    """
    try:
        return decode_srgb(read_image(source.folder / source.picture))
    except (OSError, ValueError) as error:
        raise SourceError(str(error), source) from error


def load_mask(source: Source) -> NDArray[np.float32]:
    """Object of a source, (H, W) float32, 1 = object.

    Raises
    ------
    SourceError
        If the source has none or its file cannot be read.
    """
    try:
        if source.outline is not None:
            return draw_mask(source.outline).astype(np.float32)
        if source.mask is not None:
            return (read_image(source.folder / source.mask)[..., 0] >= _MASK_LEVEL).astype(np.float32)
    except (OSError, ValueError) as error:
        raise SourceError(str(error), source) from error
    msg = f"'{source.picture}' must have a mask. Got: none."
    raise SourceError(msg, source)


def load_depth(source: Source) -> NDArray[np.float32]:
    """Inverse depth of a source, (H, W) float32, larger is nearer, without holes.

    Raises
    ------
    SourceError
        If the source has none or its file cannot be read.
    """
    if source.depth is None:
        msg = f"'{source.picture}' must have disparity or depth. Got: none."
        raise SourceError(msg, source)
    try:
        return read_inverse_depth(source.folder / source.depth, kind=source.depth_kind)
    except (OSError, ValueError) as error:
        raise SourceError(str(error), source) from error


def check_same_size(picture: NDArray[np.float32], other: NDArray[np.float32], source: Source) -> None:
    """Raise a `SourceError` unless the second array has the height and width of the picture."""
    if picture.shape[:2] != other.shape[:2]:
        msg = f"'{source.picture}' and what belongs to it must have one size. Got: {picture.shape} and {other.shape}."
        raise SourceError(msg, source)


def resize(values: NDArray[np.float32], shape: tuple[int, int], *, nearest: bool = False) -> NDArray[np.float32]:
    """Values reduced to (height, width) by area averaging, or by picking where they must not be mixed."""
    if values.shape[:2] == shape:
        return values
    method = cv2.INTER_NEAREST if nearest else cv2.INTER_AREA
    return np.asarray(cv2.resize(values, shape[::-1], interpolation=method), dtype=np.float32)


def _rotate(values: NDArray[np.float32], angle: float, *, nearest: bool) -> NDArray[np.float32]:
    """Turn about the centre and keep the largest upright part of the same proportions that has no empty corner."""
    height, width = values.shape[:2]
    sine, cosine = abs(np.sin(np.deg2rad(angle))), abs(np.cos(np.deg2rad(angle)))
    scale = min(width / (width * cosine + height * sine), height / (width * sine + height * cosine))
    size = (max(int(width * scale) - 2, 1), max(int(height * scale) - 2, 1))  # what cubic interpolation reaches
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, 1.0)
    matrix[:, 2] += [(size[0] - width) / 2, (size[1] - height) / 2]
    method = cv2.INTER_NEAREST if nearest else cv2.INTER_CUBIC
    turned = cv2.warpAffine(values, matrix, size, flags=method, borderMode=cv2.BORDER_REFLECT)
    return np.clip(np.asarray(turned, dtype=np.float32), values.min(), values.max())
