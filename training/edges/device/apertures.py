"""Apertures that cameras have, tabulated for the accelerator: disks, blades, cat's eyes, soft and uneven disks."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from defocus_edge.psf import disk_kernel, gaussian_kernel, polygon_kernel
from training.data.camera import LARGEST_RADIUS
from training.edges.device.atlas import SIDE
from training.edges.device.lazy_jax import jnp

#: Apertures are tabulated in steps of 1/16 px, so that each blur level has its own.
STEPS_PER_PIXEL = 16
#: Number of the step of the largest radius, and number of radii in the table.
LARGEST_STEP = round(LARGEST_RADIUS * STEPS_PER_PIXEL)
STEPS = LARGEST_STEP + 1
# All numbers below are ours.
#: Near the corner of a picture the aperture is the common part of two disks. Half the distance of their centres, as a
#: share of their radius.
CAT_EYE_SHIFT = 0.25
#: Light at the rim of an uneven disk, as a share more or less than in its middle.
RIM_LIGHT = (1.0, -0.5)
#: Standard deviations in px of the lens' own softness.
SOFTNESS = (0.25, 0.4)
# Sub-pixels along one side of a pixel when light is added up.
_OVERSAMPLING = 16

Kernel = Callable[[float], NDArray[np.floating]]
Light = Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]


class Aperture(NamedTuple):
    """One kind of aperture."""

    #: How often it occurs; the sum is 1.
    share: float
    #: Radius in px to a point spread function that is the same when turned by 180°.
    kernel: Kernel
    #: Standard deviation in px of a Gaussian that blurs it, too.
    softness: float = 0.0


class Optics(NamedTuple):
    """A apertures at all radii, in the memory of the accelerator; the first aperture is the disk."""

    #: (A · 145, 96, 49) float32: Fourier transform in the row ``145 · aperture + step``, real by symmetry.
    transfer: Any
    #: (A · 145,) float32: radius in px of the disk with the same second moment.
    radius: Any
    #: (145,) float32: second moment of the sampled disks along one axis, px².
    moment: Any


def list_apertures() -> list[Aperture]:
    """List the apertures, the disk first."""
    blades = [(6, 0.0), (6, 30.0), (8, 10.0)]
    angles = np.deg2rad([0, 45, 90, 135]).tolist()
    apertures = [
        Aperture(0.62, disk_kernel),
        *(Aperture(share, disk_kernel, softness) for share, softness in zip((0.1, 0.04), SOFTNESS, strict=True)),
        Aperture(0.05, gaussian_kernel),
        *(Aperture(0.03, partial(polygon_kernel, blades=number, angle=angle)) for number, angle in blades),
        *(Aperture(0.0125, partial(_sample, partial(_shine_cat_eye, angle))) for angle in angles),
        *(Aperture(0.025, partial(_sample, partial(_shine_uneven, rim))) for rim in RIM_LIGHT),
    ]
    whole = sum(aperture.share for aperture in apertures)
    return [aperture._replace(share=aperture.share / whole) for aperture in apertures]


@lru_cache(maxsize=1)
def build_optics() -> Optics:
    """Tabulate all apertures and take them to the accelerator, once for all samplers."""
    apertures = list_apertures()
    square = np.add.outer(np.fft.fftfreq(SIDE) ** 2, np.fft.rfftfreq(SIDE) ** 2)
    radii = np.arange(STEPS) / STEPS_PER_PIXEL

    def tabulate(aperture: Aperture) -> NDArray[np.float32]:
        own = np.exp(-2 * (np.pi * aperture.softness) ** 2 * square)
        return np.stack([_transform(aperture.kernel(radius)) * own for radius in radii.tolist()]).astype(np.float32)

    with ThreadPoolExecutor() as executor:
        transfers = list(executor.map(tabulate, apertures))
    # A Gaussian of σ has the second moment of a disk of 2 σ; moments add up.
    radius = np.concatenate([np.hypot(radii, 2 * aperture.softness) for aperture in apertures])
    moments = [_find_moment(disk_kernel(radius)) for radius in radii.tolist()]
    return Optics(*(jnp.asarray(each, jnp.float32) for each in (np.concatenate(transfers), radius, moments)))


def _transform(kernel: NDArray[np.floating]) -> NDArray[np.float64]:
    """Fourier transform, (96, 49), of a symmetric kernel around the first pixel."""
    half = len(kernel) // 2
    padded = np.zeros((SIDE, SIDE))
    padded[: len(kernel), : len(kernel)] = kernel
    return np.fft.rfft2(np.roll(padded, (-half, -half), axis=(0, 1))).real


def _find_moment(kernel: NDArray[np.floating]) -> float:
    """Second moment along one axis, px²."""
    return float((kernel.sum(axis=0) * (np.arange(len(kernel)) - len(kernel) // 2) ** 2).sum())


def _shine_cat_eye(angle: float, down: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """Common part of two disks of radius 1, shifted against each other along a direction in radians."""
    row, col = CAT_EYE_SHIFT * np.sin(angle), CAT_EYE_SHIFT * np.cos(angle)
    first, second = (np.hypot(down + sign * row, right + sign * col) <= 1 for sign in (-1, 1))
    return (first & second).astype(np.float64)


def _shine_uneven(rim: float, down: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """Disk of radius 1 that is brighter or darker towards its rim."""
    square = down**2 + right**2
    return np.where(square <= 1, 1 + rim * square, 0.0)


def _sample(shine: Light, radius: float) -> NDArray[np.float64]:
    """Area-sampled light of an aperture, scaled to the second moment of a disk of `radius` px."""
    grid = (np.arange(256) + 0.5) / 128 - 1
    light = shine(grid[:, None], grid[None, :])
    moment = (light * np.add.outer(grid**2, grid**2) / 2).sum() / light.sum()
    size = max(radius * np.sqrt(0.25 / moment), 1e-3)  # a disk of radius 1 has the moment 1/4
    half = max(int(np.ceil(size - 0.5)), 0)
    side = 2 * half + 1
    centres = ((np.arange(side * _OVERSAMPLING) + 0.5) / _OVERSAMPLING - side / 2) / size
    area = shine(centres[:, None], centres[None, :]).reshape(side, _OVERSAMPLING, side, _OVERSAMPLING).sum(axis=(1, 3))
    if area.sum() == 0:  # an aperture smaller than a sub-pixel
        area[half, half] = 1
    return area / area.sum()
