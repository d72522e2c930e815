"""The camera of a sample: a lens with a point spread function for each radius, and a sensor that makes a picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from defocus_edge.psf import convolve, disk_kernel, encode_srgb, gaussian_kernel, polygon_kernel

Psf = Literal["disk", "gaussian", "polygon"]
PSFS: tuple[str, ...] = get_args(Psf)
_LEVELS_8_BIT = 255


@dataclass(frozen=True)
class Lens:
    """Point spread function for each radius, with the second moment of the disk of that radius.

    A polygon has `blades` corners and is turned by `angle` degrees.
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
        """Blur (H, W) or (H, W, C) linear light; the functions in `synth.scenes` take this method as their `blur`."""
        return convolve(values, self.kernel(radius))


@dataclass(frozen=True)
class Sensor:
    """Noise and compression of a picture.

    `noise` is the standard deviation of Gaussian noise on the encoded picture, in 8-bit steps. `jpeg_quality` is
    between 1 and 100; None for no JPEG.
    """

    noise: float = 0.0
    jpeg_quality: int | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.noise < np.inf:
            raise ValueError(f"noise must be finite and >= 0 8-bit steps. Got: {self.noise}.")
        if self.jpeg_quality is not None and not 1 <= self.jpeg_quality <= 100:
            raise ValueError(f"jpeg_quality must be between 1 and 100, or None. Got: {self.jpeg_quality}.")


def take_picture(light: NDArray[np.float32], sensor: Sensor, *, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Take a picture of linear light: (H, W, 3) uint8, sRGB-encoded.

    Values of `light` above 1 are saturated; `rng` draws the noise.
    """
    encoded = encode_srgb(np.clip(light, 0, 1)) * _LEVELS_8_BIT
    if sensor.noise > 0:
        encoded += rng.normal(0, sensor.noise, encoded.shape).astype(np.float32)
    picture = np.clip(np.rint(encoded), 0, _LEVELS_8_BIT).astype(np.uint8)
    if sensor.jpeg_quality is None:
        return picture
    _, buffer = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, sensor.jpeg_quality])
    return np.ascontiguousarray(np.asarray(cv2.imdecode(buffer, cv2.IMREAD_COLOR), dtype=np.uint8)[..., ::-1])
