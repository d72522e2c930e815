"""From 8-bit pictures to linear light, and from light to what a random camera saves."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from defocus_edge.psf import decode_srgb
from synth.camera import Sensor, take_picture
from training.data.camera import (
    COLOUR_CAST,
    EXPOSURE_DEVIATION,
    JPEG_QUALITIES,
    JPEG_SHARE,
    MEAN_NOISE,
    MOST_NOISE,
    NOISE_SHARE,
)

# Light of each 8-bit value.
_LIGHT = decode_srgb(np.arange(256) / 255)


def find_light(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Linear light, (H, W, 3) float32 in [0, 1], of an 8-bit sRGB picture."""
    return _LIGHT[picture]


def photograph(light: NDArray[np.float32], sensor: Sensor, *, rng: np.random.Generator) -> NDArray[np.float32]:
    """Picture that a sensor saves of linear light: (H, W, 3) float32 in [0, 1], in the steps of 8 bits."""
    return take_picture(light, sensor, rng=rng).astype(np.float32) / np.float32(255)


def draw_sensor(rng: np.random.Generator) -> Sensor:
    """Draw a sensor with the noise and the JPEG quality of random crops."""
    noise = float(rng.exponential(MEAN_NOISE)) if rng.random() < NOISE_SHARE else 0.0
    low, high = JPEG_QUALITIES
    quality = int(rng.integers(low, high + 1)) if rng.random() < JPEG_SHARE else None
    return Sensor(min(noise, MOST_NOISE), quality)


def draw_gain(rng: np.random.Generator) -> NDArray[np.float32]:
    """Draw the factors of red, green and blue light: exposure and a slight colour cast."""
    return (np.exp(rng.normal(0, EXPOSURE_DEVIATION)) * rng.uniform(*COLOUR_CAST, 3)).astype(np.float32)
