"""Files of pictures, made by OpenCV and Pillow."""

from __future__ import annotations

import io
import struct

import cv2
import numpy as np
import pillow_heif
from PIL import Image

HEIGHT, WIDTH = 40, 56
#: What EXIF's orientations do to a picture.
UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    8: lambda a: np.rot90(a, 1),
}


def encode(suffix, rgb, *params):
    ok, data = cv2.imencode(suffix, rgb if rgb.ndim == 2 else rgb[..., ::-1], params)
    assert ok
    return data.tobytes()


def save_with_pillow(rgb, file_format, **options):
    file = io.BytesIO()
    Image.fromarray(rgb).save(file, file_format, **options)
    return file.getvalue()


def encode_heif(*pictures, quality=-1, **options):
    """HEIC file of pictures of one kind: 8 or 16 bits, grey, RGB or RGBA. Quality -1: only colours are rounded."""
    file = pillow_heif.HeifFile()
    for pixels in pictures:
        channels = 1 if pixels.ndim == 2 else pixels.shape[2]
        mode = {1: "L", 3: "RGB", 4: "RGBA"}[channels]
        if pixels.dtype == np.uint16:
            mode = {"L": "I;16"}.get(mode, f"{mode};16")
        file.add_frombytes(mode, (pixels.shape[1], pixels.shape[0]), np.ascontiguousarray(pixels).tobytes())
    data = io.BytesIO()
    file.save(data, quality=quality, chroma=444, **options)
    return data.getvalue()


def exif_orientation(value):
    exif = Image.Exif()
    exif[0x0112] = value
    return exif


def jpeg_with_thumbnail(rgb):
    """JPEG whose APP1 segment holds a whole small JPEG, with an end marker of its own."""
    jpeg, thumbnail = encode(".jpg", rgb), encode(".jpg", rgb[::4, ::4])
    body = b"Exif\0\0" + thumbnail
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + jpeg[2:]


def write(path, data):
    path.write_bytes(data)
    return path
