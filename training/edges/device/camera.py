"""From light on the sensor to the file, on the accelerator with JAX: what cameras and programs do to pictures.

In the order of a camera: exposure and clipping, noise that grows with the light, interpolation of colours, encoding
with a tone curve, contrast, noise, denoising, sharpening, resizing, JPEG, 8 bits. Each happens to some of the crops.
`CLEAN_SHARE` of them are only encoded and rounded, so that faint detail, which tells close radii apart, is learnt, too.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy.fft import dct

from training.data.camera import MEAN_NOISE, MOST_NOISE
from training.edges.device.atlas import IMAGE_SIDE, MARGIN
from training.edges.device.chance import Chance
from training.edges.device.lazy_jax import jax, jnp
from training.edges.device.scenes import encode_light

# All numbers are ours unless a source is named.
#: Share of the crops from an ideal camera.
CLEAN_SHARE = 0.4
#: Shares of the other crops that each step changes.
SHARES = {
    "dark": 0.3,
    "raw noise": 0.45,
    "interpolated": 0.3,
    "curve": 0.5,
    "flat": 0.2,
    "noise": 0.25,
    "denoised": 0.25,
    "sharpened": 0.4,
    "resized": 0.2,
    "jpeg": 0.5,
    "coarse colours": 0.6,
}
#: Exposure of the dark crops, and its standard deviation in the others, in stops.
DARK_STOPS, STOPS_DEVIATION = (-3.5, 0.0), 0.4
#: Contrast of the flat crops, in powers of 2.
FLAT_STOPS = (-3.0, 0.0)
#: Mean standard deviation of the raw noise at full light and in the dark, in shares of full light.
SHOT_NOISE, READ_NOISE = 0.01, 0.001
#: Exponent of the tone curve, and its bend to an S.
EXPONENTS, BENDS = (0.7, 1.4), (-0.2, 0.6)
#: Largest detail that denoising takes away, in 255ths.
DENOISED = 4.0
#: Standard deviation in px and amount of the unsharp mask.
SHARPEN_SIGMAS, SHARPEN_AMOUNTS = (0.5, 2.0), (0.2, 1.8)
#: Factor of the size.
FACTORS = (0.9, 1.4)
#: Quality of JPEG.
QUALITIES = (60.0, 98.0)
#: Border in px that the camera needs: the blocks of JPEG begin anywhere, and reducing to 0.9 takes a wider picture.
BORDER = 8
#: Side in px of what the camera sees.
SENSOR_SIDE = IMAGE_SIDE + 2 * BORDER
#: Border in px that is cut off the 96×96 px of a scene for the camera.
SCENE_BORDER = MARGIN - BORDER
_BLOCK = 8
# Side in px of what is compressed: a window into it is the picture.
_JPEG_SIDE = IMAGE_SIDE + _BLOCK
# Taps of the unsharp mask's Gaussian on each side.
_TAPS = 6
# Tables K.1 and K.2 of ITU-T T.81.
_LUMA_TABLE = [
    *(16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56),
    *(14, 17, 22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92),
    *(49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99),
]
_CHROMA_TABLE = [
    *(17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99),
    *(47, 66, *([99] * 38)),
]
# Luminance and two colour differences of RGB (ITU-T T.871).
_TO_YCC = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])


class Shot(NamedTuple):
    """Pictures and how they were resized."""

    #: (B, 64, 64, 3) float32: whole 255ths in [0, 1].
    images: Any
    #: (B,) float32: factor of the size.
    factor: Any
    #: (B, 80, 80) float32: matrix that resizes the rows, and the columns, of maps.
    resize: Any


def shoot(light: Any, chance: Chance, *, may_resize: Any) -> Shot:
    """Take pictures of (B, 80, 80, 3) linear light, 1 is white; `may_resize` (B,) says which may change their size."""
    is_clean = chance.toss(CLEAN_SHARE)
    used = {name: chance.toss(share) & ~is_clean for name, share in SHARES.items()}
    stops = jnp.where(used["dark"], chance.draw(*DARK_STOPS), STOPS_DEVIATION * chance.normal())
    light = jnp.clip(light * _widen(2.0**stops), 0, 1)
    noise = _make_coarse(chance.normal(*light.shape[1:]), chance)
    light = light + noise * _draw_deviation(light, used["raw noise"], chance)
    light = jnp.where(_widen(used["interpolated"]), _interpolate_colours(light), light)
    encoded = _bend(encode_light(jnp.clip(light, 0, 1)), used["curve"], chance)
    contrast = jnp.where(used["flat"], 2.0 ** chance.draw(*FLAT_STOPS), 1.0)
    pivot = _widen(chance.draw(0.3, 0.7))
    encoded = pivot + _widen(contrast) * (encoded - pivot)
    deviation = jnp.where(used["noise"], chance.exponential(MEAN_NOISE, MOST_NOISE), 0.0) / 255
    encoded = encoded + _widen(deviation) * chance.normal(*encoded.shape[1:])
    encoded = _denoise(encoded, jnp.where(used["denoised"], chance.draw(0, DENOISED), 0.0) / 255)
    amount = jnp.where(used["sharpened"], chance.draw(*SHARPEN_AMOUNTS), 0.0)
    encoded = jnp.clip(_sharpen(encoded, amount, chance.draw(*SHARPEN_SIGMAS)), 0, 1)
    factor = jnp.where(used["resized"] & may_resize, chance.draw(*FACTORS), 1.0)
    resize = make_resize_matrix(factor)
    encoded = jnp.clip(apply_resize(encoded, resize), 0, 1)
    encoded = _compress(_round(encoded), used["jpeg"], used["coarse colours"], chance)
    return Shot(_round(encoded), factor, resize)


def _widen(values: Any) -> Any:
    """(B,) to (B, 1, 1, 1)."""
    return values[:, None, None, None]


def _round(encoded: Any) -> Any:
    return jnp.clip(jnp.round(encoded * 255), 0, 255) / 255


def _draw_deviation(light: Any, is_noisy: Any, chance: Chance) -> Any:
    """Standard deviation of noise whose variance is linear in the light."""
    shot, read = (
        _widen(jnp.where(is_noisy, chance.exponential(mean, 4 * mean), 0.0)) for mean in (SHOT_NOISE, READ_NOISE)
    )
    return jnp.sqrt(shot**2 * light + read**2)


def _make_coarse(noise: Any, chance: Chance) -> Any:
    """Noise that is coarse in half of the crops, as after denoising."""
    coarse = jnp.where(chance.toss(), chance.draw(), 0.0)
    return noise + _widen(coarse) * (_smooth(noise) - noise)


def _smooth(values: Any) -> Any:
    """Binomial filter of 3×3 px; at the border the last pixel is repeated."""
    for axis in (1, 2):
        size = values.shape[axis]
        before, after = (jnp.take(values, np.clip(np.arange(size) + by, 0, size - 1), axis=axis) for by in (-1, 1))
        values = 0.25 * before + 0.5 * values + 0.25 * after
    return values


def _interpolate_colours(light: Any) -> Any:
    """Keep red and blue at every second px of every second row and interpolate their differences to green."""
    green = light[..., 1:2]
    colours = [light[..., :1], light[..., 2:]]
    for start in (0, 1):
        known = np.zeros((1, SENSOR_SIDE, SENSOR_SIDE, 1), np.float32)
        known[:, start::2, start::2] = 4  # a quarter of the pixels
        colours[start] = green + _smooth((colours[start] - green) * known)
    return jnp.concatenate([colours[0], green, colours[1]], axis=-1)


def _bend(encoded: Any, is_bent: Any, chance: Chance) -> Any:
    """Tone curve: a power and an S."""
    exponent, bend = (jnp.where(is_bent, chance.draw(*span), same) for span, same in ((EXPONENTS, 1.0), (BENDS, 0.0)))
    powered = jnp.where(_widen(is_bent), jnp.maximum(encoded, 1e-6) ** _widen(exponent), encoded)
    return powered + _widen(bend) * (3 * powered**2 - 2 * powered**3 - powered)


def _denoise(encoded: Any, most: Any) -> Any:
    """Make detail finer than 3 px smaller by `most`; fainter detail vanishes."""
    smooth = _smooth(encoded)
    detail = encoded - smooth
    kept = jnp.sign(detail) * jnp.maximum(jnp.abs(detail) - _widen(most), 0)
    return jnp.where(_widen(most) > 0, smooth + kept, encoded)


def _sharpen(encoded: Any, amount: Any, sigma: Any) -> Any:
    """Unsharp mask."""
    weights = jnp.exp(-0.5 * (np.arange(-_TAPS, _TAPS + 1) / sigma[:, None]) ** 2)
    weights = weights / weights.sum(axis=1, keepdims=True)
    smooth = encoded
    for axis in (1, 2):
        size = encoded.shape[axis]
        padded = jnp.take(smooth, np.clip(np.arange(-_TAPS, size + _TAPS), 0, size - 1), axis=axis)
        parts = [jax.lax.slice_in_dim(padded, tap, tap + size, axis=axis) for tap in range(2 * _TAPS + 1)]
        smooth = sum(_widen(weights[:, tap]) * part for tap, part in enumerate(parts))
    return encoded + _widen(amount) * (encoded - smooth)


def make_resize_matrix(factor: Any) -> Any:
    """(B, 80, 80) weights of cubic interpolation around the middle (Keys 1981, a = -1/2); factor 1 is the identity."""
    middle = (SENSOR_SIDE - 1) / 2
    pixel = np.arange(SENSOR_SIDE, dtype=np.float32)
    place = jnp.clip(middle + (pixel - middle) / factor[:, None], 0, SENSOR_SIDE - 1)
    # Where the picture becomes smaller the kernel grows, so that nothing is skipped.
    distance = jnp.abs(place[:, :, None] - pixel) * jnp.minimum(factor, 1.0)[:, None, None]
    near = 1.5 * distance**3 - 2.5 * distance**2 + 1
    far = -0.5 * distance**3 + 2.5 * distance**2 - 4 * distance + 2
    weights = jnp.where(distance < 1, near, jnp.where(distance < 2, far, 0.0))
    return weights / weights.sum(axis=-1, keepdims=True)


def apply_resize(values: Any, matrix: Any) -> Any:
    """Resize (B, 80, 80, C) values."""
    return _multiply("bcw,brwk->brck", matrix, _multiply("brh,bhwc->brwc", matrix, values))


def _multiply(rule: str, *arrays: Any) -> Any:
    """Product that the accelerator does not round."""
    return jnp.einsum(rule, *arrays, precision=jax.lax.Precision.HIGHEST)


def _compress(encoded: Any, is_jpeg: Any, has_coarse_colours: Any, chance: Chance) -> Any:
    """JPEG of a window whose blocks begin anywhere; (B, 80, 80, 3) to (B, 64, 64, 3)."""
    offset = jnp.stack([chance.count(_BLOCK), chance.count(_BLOCK)], axis=-1)
    window = _cut(encoded, BORDER - offset, _JPEG_SIDE)
    centre = jnp.array([128.0, 0, 0])
    colours = _multiply("bhwc,kc->bhwk", window * 255, jnp.asarray(_TO_YCC, jnp.float32)) - centre
    colours = jnp.where(_widen(has_coarse_colours), _halve_colours(colours), colours)
    quality = chance.draw(*QUALITIES)
    scale = jnp.where(quality < 50, 5000 / quality, 200 - 2 * quality)[:, None, None, None, None, None]
    base = np.stack([_LUMA_TABLE, _CHROMA_TABLE, _CHROMA_TABLE], axis=-1).reshape(_BLOCK, 1, _BLOCK, 3)
    table = jnp.clip(jnp.floor((scale * base + 50) / 100), 1, 255)  # (B, 1, 8, 1, 8, 3)
    count = _JPEG_SIDE // _BLOCK
    blocks = colours.reshape(-1, count, _BLOCK, count, _BLOCK, 3)
    cosines = jnp.asarray(dct(np.eye(_BLOCK), axis=0, norm="ortho"), jnp.float32)  # a row for each frequency
    spectrum = _multiply("ui,naibjc,vj->naubvc", cosines, blocks, cosines)
    blocks = _multiply("ui,naubvc,vj->naibjc", cosines, jnp.round(spectrum / table) * table, cosines)
    to_rgb = jnp.asarray(np.linalg.inv(_TO_YCC), jnp.float32)
    decoded = _multiply("bhwk,ck->bhwc", blocks.reshape(window.shape) + centre, to_rgb) / 255
    return _cut(jnp.where(_widen(is_jpeg), decoded, window), offset, IMAGE_SIDE)


def _halve_colours(colours: Any) -> Any:
    """Average the colour differences over 2×2 px; the luminance stays."""
    batch, height, width, _ = colours.shape
    blocks = colours.reshape(batch, height // 2, 2, width // 2, 2, 3).mean(axis=(2, 4))
    coarse = jnp.repeat(jnp.repeat(blocks, 2, axis=1), 2, axis=2)
    return jnp.concatenate([colours[..., :1], coarse[..., 1:]], axis=-1)


def _cut(values: Any, corner: Any, side: int) -> Any:
    """Square windows of (B, H, W, C) values at (B, 2) corners."""
    return jax.vmap(lambda each, start: jax.lax.dynamic_slice(each, (*start, 0), (side, side, each.shape[2])))(
        values, corner
    )
