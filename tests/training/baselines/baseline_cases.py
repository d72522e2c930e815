"""Pictures of known blur, which the tests of all baselines share."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import skimage.data
from scipy.special import erf

from defocus_edge.psf import blur_with_disk_fast, decode_srgb, encode_srgb

SIDE = 160


def make_step(sigma, *, offset=0.0, low=0.2, high=0.8, shape=(48, 96)):
    """Grey picture of a vertical edge between `low` and `high` that a Gaussian has blurred; where it lies, in px."""
    position = np.arange(shape[1]) - shape[1] / 2 + offset
    edge = low + (high - low) * (1 + erf(position / (sigma * np.sqrt(2)))) / 2
    return np.tile(edge, (shape[0], 1)).astype(np.float32)


def make_colour(grey):
    return np.repeat(grey[..., None], 3, axis=2)


def load_photograph(name):
    """Up to 160×160 px of a photograph of scikit-image at half size, so that it is sharp."""
    picture = getattr(skimage.data, name)()
    picture = picture if picture.ndim == 3 else make_colour(picture)
    half = cv2.resize(picture.astype(np.float32) / 255, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    return quantize(half[:SIDE, 30 : 30 + SIDE])


def blur_photograph(picture, radius):
    """What a camera does: a disk on light, not on encoded values; 8 bits."""
    return quantize(encode_srgb(np.clip(blur_with_disk_fast(decode_srgb(picture), radius), 0, 1)))


def quantize(picture):
    return (np.rint(np.clip(picture, 0, 1) * 255) / 255).astype(np.float32)


def make_strips(picture, radii):
    """Vertical strips of one picture, each of another blur, and the columns well inside each."""
    edges = np.linspace(0, picture.shape[1], len(radii) + 1).astype(int)
    parts = [
        blur_photograph(picture, radius)[:, start:stop]
        for radius, (start, stop) in zip(radii, pairwise(edges), strict=True)
    ]
    inner = [slice(start + 5, stop - 5) for start, stop in pairwise(edges)]
    return np.concatenate(parts, axis=1), inner


def make_composite(sharp, blurred, radius):
    """Left half sharp, right half of another picture and blurred; and the mask, True = blurred."""
    height, middle = min(len(sharp), len(blurred)), sharp.shape[1] // 2
    picture = np.concatenate([sharp[:height, :middle], blur_photograph(blurred[:height], radius)[:, middle:]], axis=1)
    mask = np.zeros(picture.shape[:2], dtype=bool)
    mask[:, middle:] = True
    return picture, mask
