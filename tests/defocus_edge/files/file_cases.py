"""Files of pictures, made by OpenCV and Pillow."""

from __future__ import annotations

import io
import struct

import cv2
from PIL import Image

HEIGHT, WIDTH = 40, 56


def encode(suffix, rgb, *params):
    ok, data = cv2.imencode(suffix, rgb if rgb.ndim == 2 else rgb[..., ::-1], params)
    assert ok
    return data.tobytes()


def save_with_pillow(rgb, file_format, **options):
    file = io.BytesIO()
    Image.fromarray(rgb).save(file, file_format, **options)
    return file.getvalue()


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
