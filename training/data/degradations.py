"""Pictures made worse after the camera while their truth stays known: noise, JPEG, sharpening, half size."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from defocus_edge.blur_levels import MAX_RADIUS, MIN_RADIUS
from defocus_edge.psf import decode_srgb
from synth.camera import Sensor
from training.data.development import DevelopmentScene
from training.data.labels import UNDECIDED
from training.data.photographs import photograph

#: The condition that the others are compared with.
CLEAN = "clean"
#: Standard deviations of the noise in 8-bit steps and the JPEG quality; ours.
NOISE_STEPS = (2.0, 5.0)
JPEG_QUALITY = 75
#: How much of the difference from itself, blurred with a Gaussian of a standard deviation in px, a camera that sharpens
#: adds to a picture; ours: a strong setting, whose halos are easily seen.
SHARPEN_AMOUNT, SHARPEN_SIGMA = 1.0, 1.0
_SEED = 255


def degrade(scene: DevelopmentScene, condition: str) -> DevelopmentScene:
    """Put a scene under a condition; the result is the same each time.

    `condition` is one of `CONDITIONS`: ``clean``; ``noise-2`` and ``noise-5``, Gaussian noise with that standard
    deviation of 255 on the encoded picture, quantized; ``jpeg-75``, JPEG of that quality; ``sharpened``, an unsharp
    mask; ``half-size``. Raises ValueError for another condition.
    """
    if condition not in CONDITIONS:
        msg = f"condition must be one of {', '.join(CONDITIONS)}. Got: {condition!r}."
        raise ValueError(msg)
    # Each scene has its own noise, whatever other scenes and conditions are made besides.
    rng = np.random.default_rng([_SEED, zlib.crc32(scene.name.encode()), zlib.crc32(condition.encode())])
    return CONDITIONS[condition](scene, rng)


def degrade_all(
    scenes: Iterable[DevelopmentScene], conditions: Iterable[str]
) -> Iterator[tuple[str, DevelopmentScene]]:
    """Yield each scene under each condition, one at a time, after the condition's name."""
    conditions = list(conditions)
    for scene in scenes:
        for condition in conditions:
            yield condition, degrade(scene, condition)


def halve_scene(scene: DevelopmentScene) -> DevelopmentScene:
    """Show a scene as a sensor with pixels of twice the side would: means of 2×2 px of light.

    An odd last row or column is left out. Radii are means of 2×2 px, then halved and clipped to the levels. A pixel is
    a depth edge if one of its four was. Otherwise it is undecided if one of its four, or of a neighbour's four, was not
    a pattern edge: edges are found as precisely as before in px, so half as precisely in the scene.
    """
    light = _average_blocks(decode_srgb(scene.image))
    radius = _average_blocks(scene.radius) / 2
    is_depth_edge = _any_of_blocks(scene.edge_label == 1)
    is_undecided = ndimage.binary_dilation(_any_of_blocks(scene.edge_label != 0), np.ones((3, 3), dtype=bool))
    label = np.where(is_depth_edge, 1, np.where(is_undecided, UNDECIDED, 0))
    return replace(
        scene,
        image=photograph(light, Sensor(), rng=np.random.default_rng(0)),
        radius=np.clip(radius, MIN_RADIUS, MAX_RADIUS).astype(np.float32),
        edge_label=label.astype(np.int8),
        sharp=None,  # of another size
    )


def _degrade_picture(sensor: Sensor) -> Callable[[DevelopmentScene, np.random.Generator], DevelopmentScene]:
    """Take a picture of the picture: without noise and JPEG a sensor returns an 8-bit picture as it was."""
    return lambda scene, rng: replace(scene, image=photograph(decode_srgb(scene.image), sensor, rng=rng))


def _sharpen(scene: DevelopmentScene, _: np.random.Generator) -> DevelopmentScene:
    """Sharpen a picture by an unsharp mask, in 8 bits."""
    blurred = cv2.GaussianBlur(scene.image, (0, 0), SHARPEN_SIGMA)
    sharpened = np.clip(scene.image + SHARPEN_AMOUNT * (scene.image - blurred), 0, 1)
    return replace(scene, image=(np.rint(sharpened * 255) / 255).astype(np.float32))


def _average_blocks(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Means of 2×2 px, in float32."""
    return np.asarray(_split_blocks(values).mean(axis=(1, 3), dtype=np.float32))


def _any_of_blocks(values: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return np.asarray(_split_blocks(values).any(axis=(1, 3)))


def _split_blocks(values: NDArray[Any]) -> NDArray[Any]:
    """(H, W, …) to (H // 2, 2, W // 2, 2, …)."""
    height, width = values.shape[0] // 2, values.shape[1] // 2
    return values[: 2 * height, : 2 * width].reshape(height, 2, width, 2, *values.shape[2:])


#: Name of a condition to the function that puts a clean scene under it.
CONDITIONS: dict[str, Callable[[DevelopmentScene, np.random.Generator], DevelopmentScene]] = {
    CLEAN: lambda scene, _: scene,
    **{f"noise-{steps:g}": _degrade_picture(Sensor(noise=steps)) for steps in NOISE_STEPS},
    f"jpeg-{JPEG_QUALITY}": _degrade_picture(Sensor(jpeg_quality=JPEG_QUALITY)),
    "sharpened": _sharpen,
    "half-size": lambda scene, _: halve_scene(scene),
}
