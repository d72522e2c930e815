"""Photographs in and out with all that their files hold: depth, grey, alpha, EXIF and colour profile.

`images.read_image` makes one kind of picture of all files; this module is for photographs that are written again.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from defocus_edge._quiet import QUIET_OPENCV
from defocus_edge.arrays import as_image, find_bit_depth
from defocus_edge.choices import AUTO, DEFAULT_MAX_PIXELS, BitDepth
from defocus_edge.files.atomic import (
    BROKEN_FILE,
    ImageReadError,
    PathLike,
    atomic_write,
    blame_picture,
    quote,
    read_bytes,
)
from defocus_edge.files.exif import extract_exif, insert_exif, name_byte_order, set_upright
from defocus_edge.files.formats.extras import decode_with_extra, needs_extra
from defocus_edge.files.images import choose_bit_depth
from defocus_edge.files.kinds import JPEG_SUFFIXES, PNG_SUFFIXES, SUN_START, TIFF_STARTS, TIFF_SUFFIXES
from defocus_edge.files.metadata import EXIF_MARK, Metadata, decode_stored, find_orientation, read_tiff_metadata
from defocus_edge.files.pages import decode_page
from defocus_edge.files.raw import is_raw
from defocus_edge.files.samples import turn_upright
from defocus_edge.files.tiff import describe_channels

#: Quality of JPEG files, 0 to 100; colours keep their full resolution.
JPEG_QUALITY = 95

# Numbers of channels that a colour profile fits, by the colour space that it names (ICC.1:2022, table 19).
_CHANNELS_BY_SPACE = {b"GRAY": (1, 2), b"RGB ": (3, 4)}
_STRAIGHT = 2  # TIFF tag ExtraSamples
_UPRIGHT = 1  # EXIF tag Orientation
# Longest side in px that libjpeg writes.
_LONGEST_JPEG_SIDE = 65_500


@dataclass(frozen=True, eq=False)
class Photo:
    """A photograph as in its file, but upright.

    Attributes
    ----------
    pixels : (H, W) or (H, W, C) ndarray of uint8, uint16 or float
        Grey, grey + alpha, RGB or RGBA, sRGB-encoded as in the file.
    metadata : Metadata
        EXIF, the orientation as it was, and the colour profile.
    alpha_kind : int
        Kind of alpha in TIFF: 1 if the colours are multiplied by it, 2 if not, 0 if the file does not say.
    bit_depth : int or None
        Bits that were taken for the range of the samples; None for floats.
    """

    pixels: NDArray[Any]
    metadata: Metadata = field(default_factory=Metadata)
    alpha_kind: int = _STRAIGHT
    bit_depth: int | None = None


def read_photo(
    path: PathLike, *, bit_depth: BitDepth = AUTO, raw: bool = False, max_pixels: int = DEFAULT_MAX_PIXELS
) -> Photo:
    """Read a picture file as it is, turned upright by its EXIF orientation.

    Files, options and errors are those of `read_image`; floats in files other than TIFF are an `ImageReadError`, too.
    Metadata are read from JPEG, PNG, WebP, AVIF, HEIC and TIFF, EXIF also from JPEG XL. BigTIFF gives the profile only.
    Raw files give EXIF if they are built as TIFF files, as CR2, NEF, ARW and DNG are.
    """
    data = read_bytes(path)
    pixels = decode_page(data, path, raw=raw, max_pixels=max_pixels)
    alpha_kind = _STRAIGHT
    if is_raw(data, path):
        metadata = Metadata(extract_exif(data))
    elif data.startswith(SUN_START):
        metadata = Metadata()
    elif data.startswith(TIFF_STARTS):
        with blame_picture(path):
            metadata, (channels, alpha_kind) = read_tiff_metadata(data), describe_channels(data)
        if pixels.shape[2:] == (3,) and channels != 3:
            stored = decode_stored(data, path)[0]
            pixels = pixels if stored is None else _restore_channels(pixels, stored, _UPRIGHT)
    elif needs_extra(data):
        pixels, metadata = decode_with_extra(data, path)
    else:
        stored, metadata, samples = decode_stored(data, path)
        if stored is None:  # OpenCV decodes grey + alpha JPEG 2000 as colours only
            stored = _decode_with_pillow(data, path)
        pixels = _restore_channels(pixels, stored, find_orientation(metadata, samples))
    try:
        bits = find_bit_depth(pixels, choose_bit_depth(data, path, bit_depth))
        as_image(pixels, bit_depth=bits or AUTO)
    except (TypeError, ValueError) as error:
        raise ImageReadError(f"Cannot use picture {quote(path)}: {error}") from error
    if pixels.dtype.kind == "f" and not data.startswith(TIFF_STARTS):
        raise ImageReadError(f"Cannot use picture {quote(path)}: floats must be in a TIFF file. Convert it.")
    return Photo(pixels, metadata, alpha_kind, bits)


def write_photo(path: PathLike, photo: Photo) -> None:
    """Write a photograph with its metadata, orientation upright.

    Parameters
    ----------
    path : str or path
        Ends in ``.jpg`` or ``.jpeg`` (quality 95), ``.png``, ``.tif`` or ``.tiff`` (uncompressed). Its folder exists.
        An existing file is replaced at the end.
    photo : Photo
        An upright photograph. The orientation in its EXIF becomes 1, the rest of it stays. The colour profile is left
        out if it does not fit the channels, and from PNG files if it is damaged.

    Raises
    ------
    ValueError
        If the suffix is none of these, or the format cannot hold the pixels.
    OSError
        As `atomic_write` does.
    """
    pixels, suffix = photo.pixels, Path(path).suffix.lower()
    pixels = pixels[..., 0] if pixels.shape[2:] == (1,) else pixels
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    fits = channels in _CHANNELS_BY_SPACE.get(photo.metadata.icc_profile[16:20], ())
    metadata = Metadata(photo.metadata.exif, photo.metadata.icc_profile if fits else b"")
    if suffix in TIFF_SUFFIXES:
        encoded = _encode_tiff(pixels, metadata, photo.alpha_kind)
    elif suffix in JPEG_SUFFIXES and pixels.dtype == np.uint8 and channels in (1, 3):
        encoded = _encode_jpeg(pixels, metadata)
    elif suffix in PNG_SUFFIXES and pixels.dtype.kind == "u":
        encoded = _encode_png(pixels, metadata)
    else:
        got = f"{quote(path)} for {pixels.dtype} with {channels} channels"
        raise ValueError(f"path must end in .jpg (8 bits, no alpha), .png (8 or 16 bits) or .tif. Got: {got}.")
    with atomic_write(path) as temporary:
        temporary.write_bytes(encoded)


def _restore_channels(pixels: NDArray[Any], stored: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Grey as one channel, and alpha: `decode_picture` loses both where OpenCV decodes."""
    if stored.ndim == 2:
        return pixels[..., 0]
    channels = stored.shape[2]
    if channels not in (2, 4):
        return pixels
    colours = pixels[..., :1] if channels == 2 else pixels
    return np.dstack([colours, turn_upright(stored[..., -1], orientation)])


def _decode_with_pillow(data: bytes, path: PathLike) -> NDArray[Any]:
    """Pixels with all channels, as Pillow decodes them."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data)) as picture:
            return np.asarray(picture)
    except BROKEN_FILE as error:
        raise ImageReadError(f"Cannot read picture {quote(path)} with its alpha. Got: {error}.") from error


def _encode_jpeg(pixels: NDArray[Any], metadata: Metadata) -> bytes:
    """JPEG file, by Pillow: OpenCV takes no profile of more than 64 kB."""
    from PIL import Image

    if max(pixels.shape[:2]) > _LONGEST_JPEG_SIDE:
        raise ValueError(f"A .jpg file cannot hold this picture. Got: shape {pixels.shape}.")
    file, exif = io.BytesIO(), set_upright(metadata.exif)
    Image.fromarray(pixels).save(
        file,
        "JPEG",
        quality=JPEG_QUALITY,
        subsampling=0,
        exif=EXIF_MARK + exif if exif else b"",
        icc_profile=metadata.icc_profile or None,
    )
    return file.getvalue()


def _encode_png(pixels: NDArray[Any], metadata: Metadata) -> bytes:
    """PNG file, by OpenCV: Pillow takes no colours of 16 bits."""
    native = np.ascontiguousarray(pixels, dtype=pixels.dtype.newbyteorder("="))
    if native.shape[2:] == (2,):  # OpenCV has no grey with alpha
        native = native[..., [0, 0, 0, 1]]
    if native.shape[2:] in ((3,), (4,)):
        native = cv2.cvtColor(native, cv2.COLOR_RGBA2BGRA if native.shape[2] == 4 else cv2.COLOR_RGB2BGR)
    profile = metadata.icc_profile if _is_whole(metadata.icc_profile) else b""
    found = {cv2.IMAGE_METADATA_EXIF: set_upright(metadata.exif), cv2.IMAGE_METADATA_ICCP: profile}
    parts = {kind: np.frombuffer(part, np.uint8) for kind, part in found.items() if part}
    with QUIET_OPENCV:
        done, encoded = cv2.imencodeWithMetadata(".png", native, [*parts], [*parts.values()])
    if not done:
        raise ValueError(f"A .png file cannot hold this picture. Got: shape {pixels.shape}.")
    return encoded.tobytes()


def _is_whole(profile: bytes) -> bool:
    """Whether libpng writes a profile: it is as long as it says, and from version 4 on a multiple of 4."""
    length = len(profile)
    return length == int.from_bytes(profile[:4], "big") and (length % 4 == 0 or profile[8] < 4)  # ICC.1:2022, 7.2


def _encode_tiff(pixels: NDArray[Any], metadata: Metadata, alpha_kind: int) -> bytes:
    """Uncompressed TIFF file with metadata."""
    import tifffile

    file, exif = io.BytesIO(), set_upright(metadata.exif)
    is_grey = pixels.ndim == 2 or pixels.shape[2] <= 2
    tifffile.imwrite(
        file,
        pixels,
        byteorder=name_byte_order(exif),
        photometric="minisblack" if is_grey else "rgb",
        planarconfig=None if pixels.ndim == 2 else "contig",
        extrasamples=[alpha_kind] if pixels.shape[2:] in ((2,), (4,)) else None,
        iccprofile=metadata.icc_profile or None,
        software=False,
        metadata=None,
    )
    return insert_exif(file.getvalue(), exif)
