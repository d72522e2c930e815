"""What the browser draws: the photograph, and the numbers of the map behind each of its pixels."""

from __future__ import annotations

import base64
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from defocus_edge.arrays import shrink
from defocus_edge.plots import choose_scale_top, make_colour_table

FloatArray = NDArray[np.float32]

#: Longest side in px of what the browser gets; larger pictures are averaged down.
LARGEST_SIDE = 1280
#: Steps of the radius per px in two bytes: radii up to 131 px, twice the largest that a map may hold.
STEPS_PER_PX = 500
_JPEG_QUALITY = 90


def pack_view(
    image: FloatArray,
    radius: FloatArray,
    confidence: FloatArray,
    *,
    name: str,
    probability: FloatArray | None = None,
) -> dict[str, Any]:
    """Pack a measured photograph for the viewer in the browser, as values that JSON can hold.

    Parameters
    ----------
    image : (H, W, 3) ndarray of float32
        RGB in [0, 1].
    radius, confidence : (H, W) ndarray of float32
        Radius in px, and confidence from 0 to 1.
    name : str
        What the photograph is called.
    probability : (H, W) ndarray of float32, optional
        Probability of blur by a segmentation network. With it, the mask is made of it and not of the radius.

    Returns
    -------
    dict
        ``photo`` is a JPEG picture and ``values`` a PNG picture, both as data URLs, of at most `LARGEST_SIDE` px.
        Red · 256 + green of ``values`` is the radius in 1/`STEPS_PER_PX` px. Blue is the confidence in 1/255.
        ``probability`` is a grey PNG picture or None. ``colours`` are 256 colours from 0 to ``top`` px.
    """
    height, width = radius.shape
    steps = np.clip(np.rint(shrink(radius, LARGEST_SIDE) * STEPS_PER_PX), 0, 0xFFFF).astype(np.uint16)
    values = np.dstack([steps >> 8, steps & 0xFF, _to_bytes(shrink(confidence, LARGEST_SIDE))]).astype(np.uint8)
    return {
        "name": name,
        "width": width,
        "height": height,
        "photo": _encode(_to_bytes(shrink(image, LARGEST_SIDE)), ".jpg"),
        "values": _encode(values, ".png"),
        "probability": None if probability is None else _encode(_to_bytes(shrink(probability, LARGEST_SIDE)), ".png"),
        "steps": STEPS_PER_PX,
        "top": choose_scale_top(radius),
        "colours": make_colour_table().tolist(),
    }


def reduce_picture(image: FloatArray) -> NDArray[np.uint8]:
    """(h, w, 3) uint8 RGB of at most `LARGEST_SIDE` px."""
    return _to_bytes(shrink(image, LARGEST_SIDE))


def _to_bytes(values: FloatArray) -> NDArray[np.uint8]:
    """Values of [0, 1] in 255 steps."""
    return np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)


def _encode(picture: NDArray[np.uint8], suffix: str) -> str:
    """Data URL of a grey or RGB picture."""
    pixels = picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    options = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY] if suffix == ".jpg" else []
    data = cv2.imencode(suffix, pixels, options)[1].tobytes()
    kind = "jpeg" if suffix == ".jpg" else "png"
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"
