"""The formats that are read: how a file of each is made. The tests and the list in the documentation come from here.

``python -m tests.defocus_edge.files.format_cases`` writes the list into the documentation.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import imagecodecs
import numpy as np
import pillow_heif
import tifffile
from PIL import Image

from tests.defocus_edge.files.file_cases import encode_heif, exif_orientation

PAGE = Path(__file__).resolve().parents[3] / "docs" / "how-to" / "files.md"
START, END = "<!-- formats: python -m tests.defocus_edge.files.format_cases -->\n", "<!-- end -->\n"
#: Depth of floats, which is no number of bits of an integer.
FLOAT = "float"
Depth = int | str
ALL = tuple(range(1, 9))
_ORIENTATION = 274


@dataclass(frozen=True)
class FormatCase:
    """One format.

    `encode` takes an RGB scene of floats in [0, 1], a depth, and one of the `orientations` that the file is to name.
    `tolerance` is the largest mean difference of pixels that the format itself explains; 0 if it has no loss.
    """

    name: str
    suffixes: tuple[str, ...]
    encode: Callable[[np.ndarray, Depth, int], bytes]
    depths: tuple[Depth, ...] = (8,)
    tolerance: float = 0.0
    #: Depths for which `encode` can name an orientation.
    turned_depths: tuple[Depth, ...] = ()
    #: Depths in words, for the list, where it says more than the depths of the tests.
    bits: str = ""
    #: Where the format names its orientation, for the list.
    turned_by: str = "–"
    pages: str = "1"
    extra: str = "–"
    #: Whether this is another encoding of the row before.
    is_variant: bool = False

    def __str__(self) -> str:
        return self.name


def quantize(scene, depth):
    """Samples as they stand in a file: white is the largest number of that many bits, or 1."""
    if depth == FLOAT:
        return scene.astype(np.float32)
    return np.rint(scene * ((1 << depth) - 1)).astype(np.uint8 if depth <= 8 else np.uint16)


def fill(scene, depth):
    """Samples of a depth, spread over the range of their type."""
    samples = quantize(scene, depth)
    if depth == FLOAT:
        return samples
    return np.rint(samples * (np.iinfo(samples.dtype).max / ((1 << depth) - 1))).astype(samples.dtype)


def save(scene, orientation, file_format, **options):
    """File by Pillow, with the orientation in EXIF."""
    file, exif = io.BytesIO(), exif_orientation(orientation)
    Image.fromarray(quantize(scene, 8)).save(file, file_format, exif=exif, **options)
    return file.getvalue()


def encode_with_opencv(suffix, samples, *params):
    done, data = cv2.imencode(suffix, np.ascontiguousarray(samples[..., ::-1]), params)
    assert done
    return data.tobytes()


def encode_png(scene, depth, orientation):
    bgr = np.ascontiguousarray(quantize(scene, depth)[..., ::-1])
    exif = np.frombuffer(exif_orientation(orientation).tobytes().removeprefix(b"Exif\0\0"), np.uint8)
    done, data = cv2.imencodeWithMetadata(".png", bgr, [cv2.IMAGE_METADATA_EXIF], [exif])
    assert done
    return data.tobytes()


def encode_tiff(scene, depth, orientation, **options):
    file, tags = io.BytesIO(), [(_ORIENTATION, "H", 1, orientation, True)]
    tifffile.imwrite(file, quantize(scene, depth), photometric="rgb", extratags=tags, metadata=None, **options)
    return file.getvalue()


def encode_avif(scene, depth, orientation):
    if orientation != 1:
        return save(scene, orientation, "AVIF", quality=95, subsampling="4:4:4")
    params = (cv2.IMWRITE_AVIF_QUALITY, 95, cv2.IMWRITE_AVIF_DEPTH, depth)
    return encode_with_opencv(".avif", quantize(scene, depth), *params)


def encode_heic(scene, depth, orientation):
    pillow_heif.options.SAVE_HDR_TO_12_BIT = depth == 12
    return encode_heif(fill(scene, depth), quality=95, exif=exif_orientation(orientation).tobytes())


def encode_jxl(scene, depth, orientation):
    assert orientation == 1
    bits = {} if depth == FLOAT else {"bitspersample": depth}
    return imagecodecs.jpegxl_encode(quantize(scene, depth), lossless=True, **bits)


def encode_jpeg_as_jxl(scene, _, orientation):
    return imagecodecs.jpegxl_encode_jpeg(save(scene, orientation, "JPEG", quality=95, subsampling=0))


def encode_jp2(scene, depth, _):
    return imagecodecs.jpeg2k_encode(quantize(scene, depth), level=0, bitspersample=depth, reversible=True)


def encode_gif(scene, *_):
    file = io.BytesIO()
    Image.fromarray(quantize(scene, 8)).quantize(256).save(file, "GIF")
    return file.getvalue()


def encode_pnm(scene, depth, _):
    samples = quantize(scene, depth)
    header = b"P6\n%d %d\n%d\n" % (samples.shape[1], samples.shape[0], (1 << depth) - 1)
    return header + samples.astype(np.uint8 if depth <= 8 else ">u2").tobytes()


def encode_sun_raster(scene, depth, _):
    """24 bits without compression; magic, width, height, depth, length, type and palette (rasterfile.h)."""
    samples = quantize(scene, depth)
    header = (0x59A66A95, samples.shape[1], samples.shape[0], 24, samples.size, 1, 0, 0)
    return b"".join(number.to_bytes(4, "big") for number in header) + samples[..., ::-1].tobytes()


def encode_dng(scene, _, orientation):
    from defocus_edge.psf import decode_srgb
    from tests.defocus_edge.files.test_raw import make_dng

    return make_dng(decode_srgb(scene), orientation)


JPEG_SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".pjpeg", ".mpo")
FORMATS = [
    FormatCase(
        "JPEG",
        JPEG_SUFFIXES,
        lambda scene, _, orientation: save(scene, orientation, "JPEG", quality=95, subsampling=0),
        tolerance=0.006,
        turned_depths=(8,),
        turned_by="EXIF",
    ),
    FormatCase(
        "progressive JPEG",
        JPEG_SUFFIXES,
        lambda scene, _, orientation: save(scene, orientation, "JPEG", quality=90, progressive=True),
        tolerance=0.01,
        turned_depths=(8,),
        is_variant=True,
    ),
    FormatCase("PNG", (".png",), encode_png, (8, 16), turned_depths=(8, 16), turned_by="EXIF, XMP", pages="frames"),
    FormatCase(
        "TIFF",
        (".tif", ".tiff"),
        encode_tiff,
        (8, 16, FLOAT),
        turned_depths=(8, 16, FLOAT),
        turned_by="its tag",
        pages="pages",
    ),
    FormatCase(
        "deflate TIFF",
        (".tif", ".tiff"),
        lambda *case: encode_tiff(*case, compression="deflate", predictor=case[1] != FLOAT),
        (8, 16, FLOAT),
        is_variant=True,
    ),
    FormatCase(
        "LZW TIFF",
        (".tif", ".tiff"),
        lambda scene, depth, _: encode_with_opencv(".tif", quantize(scene, depth)),
        (8, 16),
        is_variant=True,
    ),
    FormatCase(
        "JPEG TIFF",
        (".tif", ".tiff"),
        lambda scene, _, orientation: save(scene, orientation, "TIFF", compression="jpeg", quality=95),
        tolerance=0.005,
        is_variant=True,
    ),
    FormatCase(
        "WebP",
        (".webp",),
        lambda scene, _, orientation: save(scene, orientation, "WEBP", lossless=True),
        turned_depths=(8,),
        turned_by="EXIF",
        pages="frames",
    ),
    FormatCase(
        "lossy WebP",
        (".webp",),
        lambda scene, _, orientation: save(scene, orientation, "WEBP", quality=95),
        tolerance=0.008,
        is_variant=True,
    ),
    FormatCase(
        "AVIF",
        (".avif",),
        encode_avif,
        (8, 10, 12),
        tolerance=0.008,
        turned_depths=(8,),
        turned_by="the container",
        pages="frames",
    ),
    FormatCase(
        "HEIC",
        (".heic", ".heif", ".hif"),
        encode_heic,
        (8, 10, 12),
        tolerance=0.005,
        turned_depths=(8, 10, 12),
        turned_by="the container",
        pages="pictures",
        extra="heif",
    ),
    FormatCase(
        "JPEG XL",
        (".jxl",),
        encode_jxl,
        (8, 10, 12, 16, FLOAT),
        turned_by="the codestream",
        pages="frames",
        extra="imagecodecs",
    ),
    FormatCase("JPEG XL of JPEG", (".jxl",), encode_jpeg_as_jxl, tolerance=0.006, turned_depths=(8,), is_variant=True),
    FormatCase("JPEG 2000", (".jp2", ".j2k"), encode_jp2, (8, 10, 12, 16)),
    FormatCase("BMP", (".bmp", ".dib"), lambda scene, depth, _: encode_with_opencv(".bmp", quantize(scene, depth))),
    FormatCase("GIF", (".gif",), encode_gif, tolerance=0.003, pages="frames"),
    FormatCase("PNM", (".ppm", ".pgm", ".pbm", ".pnm"), encode_pnm, (7, 8, 10, 12, 14, 16), bits="1 to 16"),
    FormatCase("Sun raster", (".ras",), encode_sun_raster),
    FormatCase(
        "camera raw",
        (".dng",),
        encode_dng,
        (14,),
        bits="as the camera has them",
        tolerance=0.005,
        turned_depths=(14,),
        turned_by="its tag",
        extra="raw",
    ),
]
CASES = [(form, depth) for form in FORMATS for depth in form.depths]


def name_case(value):
    """Name of a case for pytest."""
    return str(value).replace(" ", "-")


def write_list() -> str:
    """The list for the documentation, in Markdown."""
    rows = [("Format", "Suffixes", "Bits", "Turned by", "Of several", "Extra")]
    rows += [
        (
            form.name,
            " ".join(f"`{suffix}`" for suffix in form.suffixes) if form.extra != "raw" else "`.dng` and many others",
            form.bits or ", ".join(map(str, form.depths)),
            form.turned_by,
            form.pages,
            form.extra if form.extra == "–" else f"`{form.extra}`",
        )
        for form in FORMATS
        if not form.is_variant
    ]
    rows.insert(1, ("---",) * len(rows[0]))
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def read_list() -> str:
    """The list as it stands in the documentation."""
    return PAGE.read_text(encoding="utf-8").partition(START)[2].partition(END)[0]


if __name__ == "__main__":
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(START)
    PAGE.write_text(before + START + write_list() + END + rest.partition(END)[2], encoding="utf-8")
