"""Scenes rendered on the accelerator as by `synth.scenes`, a batch of crops at a time."""

from __future__ import annotations

from typing import Any

import numpy as np

from defocus_edge.psf import LINEAR_END, SRGB_GAMMA, SRGB_LINEAR_END, SRGB_OFFSET, SRGB_SLOPE
from training.edges.device.apertures import Optics
from training.edges.device.atlas import MARGIN, SIDE
from training.edges.device.lazy_jax import jnp

#: Number of blurred versions that a ramp is blended from. The steepest ramp has 4.4 px of radius from corner to corner
#: of a crop, so the versions are at most 5/16 px apart.
VERSIONS = 16


def decode_light(encoded: Any) -> Any:
    """`defocus_edge.psf.decode_srgb` of tensors."""
    curve = ((jnp.maximum(encoded, SRGB_LINEAR_END) + SRGB_OFFSET) / (1 + SRGB_OFFSET)) ** SRGB_GAMMA
    return jnp.where(encoded <= SRGB_LINEAR_END, encoded / SRGB_SLOPE, curve)


def encode_light(light: Any) -> Any:
    """`defocus_edge.psf.encode_srgb` of tensors."""
    curve = (1 + SRGB_OFFSET) * jnp.maximum(light, LINEAR_END) ** (1 / SRGB_GAMMA) - SRGB_OFFSET
    return jnp.where(light <= LINEAR_END, light * SRGB_SLOPE, curve)


def blur(values: Any, row: Any, optics: Optics) -> Any:
    """Blur (B, 96, 96, C) values by one aperture each; wrong in the `MARGIN` px at each side.

    `row` (B,) holds rows of `Optics.transfer`.
    """
    return _invert(_transform(values) * optics.transfer[row][..., None])


def blur_ramp(light: Any, step: Any, optics: Optics, *, versions: int = VERSIONS) -> Any:
    """Blur (B, 96, 96, 3) light by disks whose radius changes; wrong in the `MARGIN` px at each side.

    `step` (B, 96, 96) holds the radius of each pixel in steps of 1/16 px, whole numbers.

    Notes
    -----
    The result is a blend of uniformly blurred versions with radii spread evenly over those of the crop. Each pixel
    mixes the two versions around its own radius so that the second moment of the mixed kernel is that of its own disk.
    """
    inner = step[:, MARGIN:-MARGIN, MARGIN:-MARGIN]
    low, high = inner.min(axis=(1, 2))[:, None], inner.max(axis=(1, 2))[:, None]
    spacing = jnp.ceil((high - low) / (versions - 1))
    numbers = jnp.minimum(low + spacing * np.arange(versions), high).astype(jnp.int32)
    blurred = _invert(_transform(light)[:, None] * optics.transfer[numbers][..., None])
    known = optics.moment[numbers][..., None, None]
    wanted = optics.moment[step.astype(jnp.int32)][:, None]
    # Each version adds its share of the way to the pixel's own moment. Equal versions add nothing.
    way = jnp.clip((wanted - known[:, :-1]) / jnp.maximum(known[:, 1:] - known[:, :-1], 1e-6), 0, 1)
    return blurred[:, 0] + (way[..., None] * (blurred[:, 1:] - blurred[:, :-1])).sum(axis=1)


def cover(far: Any, light: Any, matte: Any, row: Any, optics: Optics) -> Any:
    """Lay a blurred layer over what is behind it, as `synth.scenes.render_layers` does.

    Returns (B, 96, 96, 3) light.

    Parameters
    ----------
    far : (B, 96, 96, 3) array
        Blurred light.
    light : (B, 96, 96, 3) array
        Sharp light of the layer.
    matte : (B, 96, 96) array
        Share of each pixel that the layer covers.
    row : (B,) array
        Row of the layer's aperture in `Optics.transfer`.
    """
    matte = matte[..., None]
    layer = blur(jnp.concatenate([light * matte, matte], axis=-1), row, optics)
    return layer[..., :3] + (1 - layer[..., 3:]) * far


def _transform(values: Any) -> Any:
    """Spectra, (…, 96, 49, C), of (…, 96, 96, C) values."""
    return jnp.fft.rfft2(values, axes=(-3, -2))


def _invert(spectra: Any) -> Any:
    """The inverse of `_transform`."""
    return jnp.fft.irfft2(spectra, s=(SIDE, SIDE), axes=(-3, -2))
