"""A picture with depth through a lens, as slices that go on under nearer ones only where those let them be seen."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from synth.scenes import DEPTH_EDGE_JUMP, Blur, Scene
from training.fast_blur import blur_fast


def render_slices(light: NDArray[np.float32], signed_radius: NDArray[np.float32], *, blur: Blur = blur_fast) -> Scene:
    """Blur a picture with depth.

    `synth.scenes.render_depth` lets each slice go on under everything nearer. Where a slice is more blurred than what
    covers it, it then spills out around things that it is nowhere near, as a ring of a foreign colour. Here it goes
    on only as far as it can be seen under the blurred rim of a nearer one.

    Parameters
    ----------
    light : (H, W, 3) ndarray of float32
        Linear light.
    signed_radius : (H, W) ndarray of float32
        Radius in px, positive in front of the focus, negative behind it; of few different values, each is a slice.
    blur : callable
        The lens.

    Returns
    -------
    Scene
        Without depth edges.
    """
    slices = np.unique(signed_radius)
    largest = float(np.abs(slices).max())
    blurred = np.zeros_like(light)
    for number in slices:
        covered = signed_radius >= number
        # A surface that goes on smoothly into the next slices is itself what lies beneath them.
        surface = covered & (signed_radius <= number + DEPTH_EDGE_JUMP)
        distance, (rows, cols) = ndimage.distance_transform_edt(~surface, return_indices=True)
        radius = abs(float(number))
        # A nearer slice is open inwards from its rim as far as its radius; what is seen there comes from beyond.
        seen = covered & (distance <= radius + largest + 1)
        matte = np.where(number == slices[0], np.float32(1), seen).astype(np.float32)  # nothing is behind the first one
        own = blur(light[rows, cols] * matte[..., None], radius)
        blurred = own + (1 - blur(matte, radius)[..., None]) * blurred
    nothing = np.zeros(signed_radius.shape, dtype=np.float32)
    return Scene(blurred, np.abs(signed_radius), nothing.astype(bool), nothing)
