"""The lens of a sample: its point spread function for each radius."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from defocus_edge.psf import convolve, disk_kernel, gaussian_kernel, polygon_kernel

Psf = Literal["disk", "gaussian", "polygon"]
PSFS: tuple[str, ...] = get_args(Psf)


@dataclass(frozen=True)
class Lens:
    """Point spread function for each radius, with the second moment of the disk of that radius.

    Parameters
    ----------
    psf : {'disk', 'gaussian', 'polygon'}
    blades : int
        Corners of the polygon.
    angle : float
        Degrees by which the polygon is turned.
    """

    psf: Psf = "disk"
    blades: int = 6
    angle: float = 0.0

    def __post_init__(self) -> None:
        if self.psf not in PSFS:
            raise ValueError(f"psf must be one of {', '.join(PSFS)}. Got: {self.psf!r}.")
        self.kernel(0)  # checks blades and angle

    def kernel(self, radius: float) -> NDArray[np.float32]:
        """Point spread function (2n+1, 2n+1) of a radius in px; sums to one."""
        if self.psf == "gaussian":
            return gaussian_kernel(radius)
        if self.psf == "polygon":
            return polygon_kernel(radius, blades=self.blades, angle=self.angle)
        return disk_kernel(radius)

    def blur(self, values: NDArray[np.float32], radius: float) -> NDArray[np.float32]:
        """Blur (H, W) or (H, W, C) linear light; a `blur` for the functions in `synth.scenes`."""
        return convolve(values, self.kernel(radius))
