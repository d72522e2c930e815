"""Scenes rendered on the accelerator as by `synth.scenes` and `synth.camera`, a batch of crops at a time."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from defocus_edge.psf import LINEAR_END, SRGB_GAMMA, SRGB_LINEAR_END, SRGB_OFFSET, SRGB_SLOPE, disk_kernel
from training.data.camera import LARGEST_RADIUS
from training.edges.device.atlas import MARGIN, SIDE, index_dtype

#: Kernels are tabulated in steps of 1/16 px, so that each blur level has its own kernel.
STEPS_PER_PIXEL = 16
#: Number of the kernel of the largest radius.
LARGEST_STEP = round(LARGEST_RADIUS * STEPS_PER_PIXEL)
#: Number of blurred versions that a ramp is blended from. The steepest ramp has 4.4 px of radius from corner to corner
#: of a crop, so the versions are at most 5/16 px apart.
VERSIONS = 16


class Optics(NamedTuple):
    """Area-sampled disks of radii in steps of 1/16 px."""

    #: (145, 96, 96) tensor of float32: Fourier transform of each disk, real since a disk is symmetric.
    transfer: Any
    #: (145,) tensor of float32: second moment along one axis, px².
    moment: Any


@lru_cache(maxsize=1)
def build_optics() -> Optics:
    """Tabulate the disks and take them to the accelerator, once for all samplers."""
    transfer = np.empty((LARGEST_STEP + 1, SIDE, SIDE), dtype=np.float32)
    moment = np.empty(LARGEST_STEP + 1, dtype=np.float32)
    for step in range(LARGEST_STEP + 1):
        kernel = disk_kernel(step / STEPS_PER_PIXEL).astype(np.float64)
        half = len(kernel) // 2
        padded = np.zeros((SIDE, SIDE))
        padded[: len(kernel), : len(kernel)] = kernel
        transfer[step] = np.fft.fft2(np.roll(padded, (-half, -half), axis=(0, 1))).real
        moment[step] = (kernel.sum(axis=0) * (np.arange(len(kernel)) - half) ** 2).sum()
    return Optics(ops.convert_to_tensor(transfer), ops.convert_to_tensor(moment))


def decode_light(encoded: Any) -> Any:
    """`defocus_edge.psf.decode_srgb` of tensors."""
    curve = ((ops.maximum(encoded, SRGB_LINEAR_END) + SRGB_OFFSET) / (1 + SRGB_OFFSET)) ** SRGB_GAMMA
    return ops.where(encoded <= SRGB_LINEAR_END, encoded / SRGB_SLOPE, curve)


def encode_light(light: Any) -> Any:
    """`defocus_edge.psf.encode_srgb` of tensors."""
    curve = (1 + SRGB_OFFSET) * ops.maximum(light, LINEAR_END) ** (1 / SRGB_GAMMA) - SRGB_OFFSET
    return ops.where(light <= LINEAR_END, light * SRGB_SLOPE, curve)


def render_far(light: Any, step: Any, optics: Optics, *, versions: int = VERSIONS) -> Any:
    """Blur the farthest layer.

    Returns a (B, 96, 96, 3) tensor of float32: blurred light, wrong in the `MARGIN` px at each side.

    Parameters
    ----------
    light : (B, 96, 96, 3) tensor of float32
        Linear light.
    step : (B, 96, 96) tensor of float32
        Radius of each pixel in steps of 1/16 px, whole numbers.
    versions : int
        1 for crops with one radius each.

    Notes
    -----
    A ramp is a blend of uniformly blurred versions with radii spread evenly over those of the crop. Each pixel mixes
    the two versions around its own radius so that the second moment of the mixed kernel is that of its own disk.
    """
    spectrum = _transform(ops.concatenate([light, ops.zeros_like(light[..., :1])], axis=-1))
    inner = step[:, MARGIN:-MARGIN, MARGIN:-MARGIN]
    low, high = ops.min(inner, axis=(1, 2))[:, None], ops.max(inner, axis=(1, 2))[:, None]
    spacing = ops.ceil((high - low) / max(versions - 1, 1))
    numbers = ops.minimum(low + spacing * ops.arange(versions, dtype="float32"), high)
    numbers = ops.cast(numbers, index_dtype())
    transfer = ops.take(optics.transfer, numbers, axis=0)[:, :, None]
    real, imaginary = (ops.expand_dims(part, axis=1) * transfer for part in spectrum)
    blurred = ops.stack(ops.ifft2((real, imaginary)), axis=3)  # (B, versions, 2, 2, 96, 96): a pair, its parts
    result = blurred[:, 0]
    if versions > 1:
        known = ops.take(optics.moment, numbers, axis=0)[..., None, None]
        wanted = ops.take(optics.moment, ops.cast(step, index_dtype()), axis=0)[:, None]
        # Each version adds its share of the way to the pixel's own moment. Equal versions add nothing.
        way = ops.clip((wanted - known[:, :-1]) / ops.maximum(known[:, 1:] - known[:, :-1], 1e-6), 0, 1)
        result = result + ops.sum(way[:, :, None, None] * (blurred[:, 1:] - blurred[:, :-1]), axis=1)
    return _join(result)[..., :3]


def cover(far: Any, light: Any, matte: Any, step: Any, optics: Optics) -> Any:
    """Lay a blurred layer over what is behind it, as `synth.scenes.render_layers` does.

    Returns a (B, 96, 96, 3) tensor of float32.

    Parameters
    ----------
    far : (B, 96, 96, 3) tensor of float32
        Blurred light.
    light : (B, 96, 96, 3) tensor of float32
        Sharp light of the layer.
    matte : (B, 96, 96) tensor of float32
        Share of each pixel that the layer covers.
    step : (B,) tensor of float32
        Radius of the layer in steps of 1/16 px.
    """
    matte = matte[..., None]
    transfer = ops.take(optics.transfer, ops.cast(step, index_dtype()), axis=0)[:, None]
    spectrum = _transform(ops.concatenate([light * matte, matte], axis=-1))
    layer = _join(ops.stack(ops.ifft2((spectrum[0] * transfer, spectrum[1] * transfer)), axis=2))
    return layer[..., :3] + (1 - layer[..., 3:]) * far


def take_pictures(light: Any, deviation: Any, noise: Any) -> Any:
    """8-bit sRGB pictures of linear light, as by `synth.camera.take_picture` without JPEG.

    Returns a (B, H, W, 3) tensor of float32: whole 255ths in [0, 1].

    Parameters
    ----------
    light : (B, H, W, 3) tensor of float32
    deviation : (B,) tensor of float32
        Standard deviation of the noise in 8-bit steps.
    noise : (B, H, W, 3) tensor of float32
        Standard normal deviates.
    """
    encoded = encode_light(ops.clip(light, 0, 1)) * 255 + deviation[:, None, None, None] * noise
    return ops.clip(ops.round(encoded), 0, 255) / 255


def _transform(values: Any) -> tuple[Any, Any]:
    """Spectra of four channels as those of two complex pictures: a real transfer function keeps the parts apart."""
    real, imaginary = (ops.stack([values[..., part], values[..., part + 2]], axis=1) for part in (0, 1))
    return ops.fft2((real, imaginary))


def _join(pairs: Any) -> Any:
    """(B, pair, part, H, W) to four channels (B, H, W, pair × part)."""
    batch, _, _, height, width = pairs.shape
    return ops.transpose(ops.reshape(pairs, (batch, 4, height, width)), (0, 2, 3, 1))
