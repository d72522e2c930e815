"""Bursts for the tests of `rank`: photographs of which parts are blurred by disks, with EXIF."""

from __future__ import annotations

import cv2
import numpy as np
from PIL import Image
from skimage.data import astronaut

from defocus_edge.arrays import as_image
from defocus_edge.psf import blur_with_disk, decode_srgb, encode_srgb

EXIF_IFD, MOMENT, FRACTION = 0x8769, 36867, 37521
#: Rows and columns of all frames, and the ellipse of the subject: centre (column, row) and half axes.
SHAPE, ELLIPSE = (160, 208), ((82, 90), (48, 88))


def make_frame(subject, ground):
    """A person blurred by one radius in px before a background blurred by another."""
    image = as_image(astronaut())[: 2 * SHAPE[0] : 2, 60 : 60 + 2 * SHAPE[1] : 2]
    matte = np.zeros(SHAPE, np.float32)
    cv2.ellipse(matte, *ELLIPSE, 0, 0, 360, 1, -1)
    light = decode_srgb(image)
    parts = [blur_with_disk(light, radius) if radius else light for radius in (subject, ground)]
    mixed = matte[..., None] * parts[0] + (1 - matte[..., None]) * parts[1]
    return np.rint(255 * np.clip(encode_srgb(mixed), 0, 1)).astype(np.uint8)


def write_frame(path, picture, *, second=None, camera="Camera"):
    """Write a JPEG file, with EXIF if it has a second."""
    exif = Image.Exif()
    if second is not None:
        exif[271] = camera
        moment = f"2026:05:01 10:{int(second) // 60:02}:{int(second) % 60:02}"
        exif.get_ifd(EXIF_IFD).update({MOMENT: moment, FRACTION: f"{round(second % 1 * 100):02}"})
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path, "JPEG", quality=95, exif=exif)
    return path


class GreyNetworks:
    """Stands for networks: the radius in px is 8 times the brightness."""

    def run(self, work, screen, *, unit):  # noqa: ARG002 - of the networks that it replaces
        return work(self), {"preset": "grey", "device": "CPU", "seconds": 0.0}

    def estimate(self, image, *, progress):  # noqa: ARG002 - same
        class Blur:
            radius = 8 * image.mean(axis=2)

        return Blur


def make_grey(radius, shape=(32, 48)):
    """A picture for which `GreyNetworks` find this radius everywhere, or in each of its pixels."""
    return np.repeat(np.rint(255 / 8 * np.broadcast_to(radius, shape)).astype(np.uint8)[..., None], 3, axis=2)
