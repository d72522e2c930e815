"""Pictures, EXIF and maps."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

import cv2
import numpy as np
import tifffile
from PIL import Image

from defocus_edge.files.atomic import ImageReadError
from defocus_edge.files.exif import extract_exif, insert_exif, read_orientation, set_upright
from defocus_edge.files.images import count_pages, read_image
from defocus_edge.files.maps import read_map, read_map_description, read_map_source, write_map
from defocus_edge.files.photos import read_photo
from tests.defocus_edge.files.format_cases import CASES, encode_jxl, quantize
from tests.fuzz.target import Target

HEIGHT, WIDTH = 32, 40
#: Pixels at most, so that headers that tell many cost little memory.
MOST_PIXELS = 1 << 20


def make_scene() -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.uniform(0.1, 0.9, (HEIGHT // 4, WIDTH // 4, 3)).repeat(4, axis=0).repeat(4, axis=1)


def make_pictures() -> list[bytes]:
    """A file of each format and depth, animations, and floats that OpenCV decodes."""
    scene = make_scene()
    found = [form.encode(scene, depth, 1) for form, depth in CASES]
    frames = [Image.fromarray(quantize(frame, 8)) for frame in (scene, 1 - scene)]
    for file_format in ("TIFF", "GIF", "PNG", "WEBP", "AVIF"):
        file = io.BytesIO()
        frames[0].save(file, file_format, save_all=True, append_images=frames[1:])
        found.append(file.getvalue())
    floats = scene.astype(np.float32)
    found += [cv2.imencode(suffix, floats)[1].tobytes() for suffix in (".hdr", ".pfm")]
    return [*found, encode_jxl(np.stack([scene, 1 - scene]), 8, 1)]


def read_pages(data: bytes, folder: Path) -> None:
    path = folder / "picture.jpg"
    path.write_bytes(data)
    last = count_pages(path) - 1
    picture = read_image(path, max_pixels=MOST_PIXELS)
    assert picture.ndim == 3
    assert np.isfinite(picture).all()
    if last:
        read_image(path, page=last, max_pixels=MOST_PIXELS)


def read_all(data: bytes, folder: Path) -> None:
    path = folder / "photo.jpg"
    path.write_bytes(data)
    read_photo(path, max_pixels=MOST_PIXELS)


def make_exif() -> list[bytes]:
    """EXIF as cameras write it: in both orders of bytes, with directories below the first."""
    exif = Image.Exif()
    exif[274], exif[271], exif[306], exif[282] = 6, "Maker", "2024:01:02 03:04:05", 72.0
    exif.get_ifd(0x8769).update({33434: 0.01, 37500: b"notes" * 9, 36867: "2024:01:02 03:04:05"})
    exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 8.0, 0.0)})
    found = [exif.tobytes().removeprefix(b"Exif\0\0")]
    for order in ("<", ">"):
        file = io.BytesIO()
        tags = [(274, "H", 1, 8, True), (315, "s", 6, "Artist", True)]
        tifffile.imwrite(file, np.zeros((8, 8), np.uint8), byteorder=order, extratags=tags, metadata=None)
        found.append(file.getvalue())
    return found


def use_exif(data: bytes, _: Path) -> None:
    assert 1 <= read_orientation(data) <= 8
    assert len(set_upright(data)) == len(data)
    assert len(extract_exif(data)) <= 3 * len(data) + 1000
    insert_exif(data, extract_exif(data))


def make_maps(suffix: str) -> list[bytes]:
    values = make_scene()[..., 0].astype(np.float32) * 6
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"map{suffix}"
        write_map(path, values, description={"source": "photo.jpg"})
        found = [path.read_bytes()]
    if suffix == ".npy":
        for other in (values.astype(">f8"), np.asfortranarray(values)):
            file = io.BytesIO()
            np.save(file, other)
            found.append(file.getvalue())
    if suffix == ".tif":
        for options in ({"compression": "deflate"}, {"compression": "lzw"}, {"tile": (16, 16)}, {"bigtiff": True}):
            file = io.BytesIO()
            tifffile.imwrite(file, values, metadata=None, **options)
            found.append(file.getvalue())
    return found


def use_map(suffix: str, data: bytes, folder: Path) -> None:
    path = folder / f"map{suffix}"
    path.write_bytes(data)
    assert isinstance(read_map_source(path), str | None)
    try:
        read_map_description(path)
    finally:
        values = read_map(path, max_pixels=MOST_PIXELS)
    assert values.ndim == 2
    assert np.isfinite(values).all()


def make_map_target(name: str, suffix: str) -> Target:
    return Target(
        name, lambda: make_maps(suffix), lambda data, folder: use_map(suffix, data, folder), (ImageReadError,)
    )


TARGETS = [
    Target("pictures", make_pictures, read_pages, (ImageReadError,)),
    Target("photographs", make_pictures, read_all, (ImageReadError,)),
    Target("exif", make_exif, use_exif, ()),
    make_map_target("maps-tiff", ".tif"),
    make_map_target("maps-exr", ".exr"),
    make_map_target("maps-npy", ".npy"),
]
