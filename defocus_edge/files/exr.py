"""Maps as OpenEXR files: one channel of float32, with the description in the attribute ``comments``.

The channel is called ``Y``, the format's name for luminance: programs show it as grey. They show channels with other
names only on demand.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import numpy.typing as npt

from defocus_edge._extras import EXR
from defocus_edge._quiet import catch_complaints

CHANNEL = "Y"
_COMMENTS = "comments"
_COLOURS = {"RY", "BY"}  # channels beside Y in pictures


def encode_exr(values: npt.NDArray[np.float32], text: str) -> bytes:
    """File of a map, compressed without loss."""
    openexr = EXR.load()
    header = {"compression": openexr.ZIP_COMPRESSION, "type": openexr.scanlineimage, _COMMENTS: text}
    file = io.BytesIO()
    openexr.File(header, {CHANNEL: values}).write(file)
    return file.getvalue()


def decode_exr(data: bytes) -> npt.NDArray[Any]:
    """The only channel of a file, or else ``Y``; ValueError if the file is damaged or cannot be a map."""
    part = _open_only_part(data, header_only=False)
    channels = part.channels
    name = next(iter(channels)) if len(channels) == 1 else CHANNEL
    if name not in channels or _COLOURS & set(channels):
        raise ValueError(f"the channels {', '.join(channels)}; the map must be the only one, or be named {CHANNEL}")
    window = part.header["displayWindow"]
    values, (width, height) = np.asarray(channels[name].pixels), window[1] - window[0] + 1
    if values.shape != (height, width) or not np.array_equal(part.header["dataWindow"], window):
        raise ValueError(f"values of {values.shape} that do not fill the display window of {(int(height), int(width))}")
    return values


def read_exr_size(data: bytes) -> tuple[int, int]:
    """Width and height by the header; ValueError if the file is damaged."""
    first, last = _open_only_part(data, header_only=True).header["dataWindow"]
    width, height = (int(size) for size in np.asarray(last, np.int64) - np.asarray(first, np.int64) + 1)
    return width, height


def read_exr_comments(data: bytes) -> str:
    """Description of the map; empty if there is none."""
    return str(_open_only_part(data, header_only=True).header.get(_COMMENTS, ""))


def _open_only_part(data: bytes, *, header_only: bool) -> Any:
    """The part of a file; ValueError unless it has one."""
    openexr = EXR.load()
    try:
        with catch_complaints():
            parts = openexr.File(io.BytesIO(data), separate_channels=True, header_only=header_only).parts
    except RuntimeError as error:
        raise ValueError(str(error)) from error
    if not parts:  # damaged ones are left out
        raise ValueError("no whole part")
    if len(parts) > 1:
        raise ValueError(f"{len(parts)} parts; the map must be the only one")
    return parts[0]
