"""Camera raw files: how to know them, and their pictures in sRGB.

Nothing is smoothed, sharpened or brightened, since this package measures edges and noise.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt

from defocus_edge._extras import RAW
from defocus_edge._quiet import catch_complaints
from defocus_edge.choices import DEFAULT_MAX_PIXELS
from defocus_edge.files.atomic import BROKEN_FILE, ImageReadError, PathLike, quote
from defocus_edge.files.formats.sizes import check_pixels
from defocus_edge.files.kinds import START_LENGTH, TIFF_STARTS, looks_raw
from defocus_edge.psf import SRGB_GAMMA, SRGB_SLOPE

_DNG_VERSION = 50706  # a tag of every DNG file
_SENSOR_VALUES = (32803, 34892)  # TIFF tag PhotometricInterpretation: colour filter array, linear raw
_REDUCED = 1  # TIFF tag NewSubfileType: a smaller version of another picture of the file


def is_raw(data: bytes, path: PathLike) -> bool:
    """Whether a file is raw by its content, or else by its name."""
    return looks_raw(data[:START_LENGTH], Path(path).suffix) or (data.startswith(TIFF_STARTS) and _is_raw_tiff(data))


def check_marked(data: bytes, path: PathLike) -> None:
    """Refuse a raw file that only its suffix calls so: LibRaw guesses a camera from the length of such a file."""
    if not looks_raw(data[:START_LENGTH], "") and not data.startswith(TIFF_STARTS):
        reason = "only its suffix says that a camera wrote it, and nothing inside"
        advice = "Convert it to TIFF or PNG, or ask for raw (--raw) if it is a camera's raw file"
        raise ImageReadError(f"Cannot read picture {quote(path)}: {reason}. Got: {data[:4]!r} at its start. {advice}.")


def develop_raw(data: bytes, path: PathLike, max_pixels: int = DEFAULT_MAX_PIXELS) -> npt.NDArray[np.uint16]:
    """Upright picture of a raw file in full size, (H, W, 3) or (H, W) if it is grey: sRGB with the camera's white.

    White is a full sensor, or the brightest pixel if that is above three quarters of it. This is LibRaw's rule, since
    sensors are full before their files say so. Pictures are often darker than the camera's own JPEG.
    """
    reason = f"Cannot read picture {quote(path)}"
    try:
        rawpy = RAW.load()
    except ImportError as error:
        raise ImageReadError(f"{reason}: {error}") from error
    try:
        with catch_complaints():
            raw = rawpy.imread(io.BytesIO(data))
            check_pixels(raw.sizes.raw_width, raw.sizes.raw_height, path, max_pixels)
            raw.unpack()
        with raw:
            pixels = raw.postprocess(
                use_camera_wb=True, no_auto_bright=True, output_bps=16, gamma=(SRGB_GAMMA, SRGB_SLOPE)
            )
    except (rawpy.LibRawError, OSError) as error:
        got = error.args[0].decode() if isinstance(error.args[0], bytes) else error
        advice = f"Got: {got}. Copy it again, or convert it to DNG or TIFF"
        raise ImageReadError(f"{reason}: damaged, or no raw file that LibRaw knows. {advice}.") from error
    return np.asarray(pixels if pixels.shape[2] == 3 else pixels[..., 0])


def _is_raw_tiff(data: bytes) -> bool:
    """Whether the first page of a TIFF file tells that it is raw: most begin with a thumbnail; False if damaged."""
    import tifffile

    try:
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            page = file.pages[0]
            return _DNG_VERSION in page.tags or page.photometric in _SENSOR_VALUES or bool(page.subfiletype & _REDUCED)
    except BROKEN_FILE:
        return False
