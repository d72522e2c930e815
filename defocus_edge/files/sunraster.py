"""Sun raster files (.ras, .sun), whose depths, colour orders and colour maps OpenCV and Pillow only partly know."""

from __future__ import annotations

import re
import struct
from typing import Any

import numpy as np
import numpy.typing as npt

from defocus_edge.files.atomic import UnsupportedError

# Magic number, width, height, depth, length, type, type of the colour map, its length (rasterfile(5) of SunOS).
_HEADER = struct.Struct(">8I")
_OLD, _STANDARD, _RUNS, _RGB = range(4)
_NO_MAP, _RGB_MAP = 0, 1
_DEPTHS = (1, 8, 24, 32)
# A run is 128, its length - 1 and its byte; 128 alone is 128 and 0.
_RUN = re.compile(rb"\x80(?:\0|([^\0])(.))", re.DOTALL)
# Bytes that one byte can become at most: a run of 256 has three.
_EXPANSION = 256 / 3
_ROW_BITS = 16  # rows are filled up to this


def decode_sun_raster(data: bytes) -> npt.NDArray[np.uint8]:
    """Grey (H, W) or RGB picture of a Sun raster file.

    Raises
    ------
    ValueError, LookupError, struct.error
        If the file is damaged.
    UnsupportedError
        If its kind is not known.
    """
    _, width, height, depth, _, kind, map_kind, map_length = _HEADER.unpack_from(data)
    if kind > _RGB or map_kind > _RGB_MAP or depth not in _DEPTHS:
        got = f"a Sun raster file of type {kind}, {depth} bits, colour map of type {map_kind}"
        raise UnsupportedError(f"{got}. Convert it to PNG or TIFF")
    start = _HEADER.size + map_length
    row = -(-width * depth // _ROW_BITS) * (_ROW_BITS // 8)
    if not 0 < row * height <= (len(data) - start) * (_EXPANSION if kind == _RUNS else 1):
        raise ValueError(f"{width} x {height} px of {depth} bits do not fit into {len(data)} bytes")
    body = data[start:]
    if kind == _RUNS:
        body = _RUN.sub(lambda run: run[2] * (run[1][0] + 1) if run[1] else b"\x80", body)
    rows = np.frombuffer(body, np.uint8, row * height).reshape(height, row)
    if depth >= 24:
        samples = rows[:, : width * depth // 8].reshape(height, width, depth // 8)
        colours = samples[..., -3:]  # what precedes them is alpha or nothing
        return colours if kind == _RGB else colours[..., ::-1]
    samples = np.unpackbits(rows, axis=1)[:, :width] if depth == 1 else rows[:, :width]
    if map_kind == _RGB_MAP:
        return _read_map(data[_HEADER.size : start])[samples]
    return samples if depth == 8 else np.where(samples, 0, 255).astype(np.uint8)  # 1 is black


def _read_map(content: bytes) -> npt.NDArray[Any]:
    """Colours by number, (N, 3), from all reds, all greens and all blues."""
    return np.frombuffer(content, np.uint8).reshape(3, -1).T
