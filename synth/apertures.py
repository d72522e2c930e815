"""Lenses whose kernel in front of the focus differs from that behind it: the views of dual pixels, and coded apertures.

Radii here are signed: positive in front of the focus, negative behind it, as `synth.scenes.lens_radius` gives them.
"""

from __future__ import annotations

from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from defocus_edge.psf import coded_kernel, convolve, half_disk_kernel

#: Cells of a mask, row by row, as the photographer sees the aperture from behind the camera: 1 = open.
Mask = tuple[tuple[float, ...], ...]

#: Asymmetric masks by name, our own: of 2500 random masks that let through 45 % of the light or more, those whose edges
#: in front of the focus and behind it differ most, in the direction of the edge in which they differ least. A mask with
#: an axis of symmetry, such as one with a closed quadrant, has directions in which they do not differ at all.
MASKS: MappingProxyType[str, Mask] = MappingProxyType(
    {
        "a": ((1, 0, 0, 1, 0), (1, 1, 0, 0, 1), (1, 1, 1, 0, 1), (1, 0, 0, 0, 0), (1, 0, 1, 1, 0)),
        "b": ((1, 1, 0, 1, 1), (1, 0, 0, 0, 1), (0, 1, 1, 0, 1), (1, 0, 1, 1, 1), (1, 0, 1, 1, 1)),
        "c": ((1, 1, 1, 0, 0), (0, 1, 0, 0, 1), (1, 0, 1, 1, 0), (1, 0, 0, 0, 0), (0, 1, 0, 1, 1)),
    }
)


def blur_left(values: NDArray[np.float32], signed_radius: float) -> NDArray[np.float32]:
    """Left view of a dual-pixel sensor of (H, W) or (H, W, C) linear light."""
    return convolve(values, half_disk_kernel(signed_radius, "left"))


def blur_right(values: NDArray[np.float32], signed_radius: float) -> NDArray[np.float32]:
    """Right view of a dual-pixel sensor of (H, W) or (H, W, C) linear light."""
    return convolve(values, half_disk_kernel(signed_radius, "right"))


def blur_coded(values: NDArray[np.float32], signed_radius: float, *, mask: Mask) -> NDArray[np.float32]:
    """(H, W) or (H, W, C) linear light through a mask in the aperture."""
    return convolve(values, coded_kernel(signed_radius, mask))
