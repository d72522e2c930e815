"""What a map of blur radii must be to go with a picture, whether it comes as an array or as a file."""

from __future__ import annotations

import json

import numpy as np
from numpy.typing import ArrayLike, NDArray

from defocus_edge.files.atomic import ImageReadError, PathLike, quote
from defocus_edge.files.maps import read_map, read_map_description

FloatArray = NDArray[np.float32]

#: Largest radius in px that is taken for one: a disk of more is a picture in itself, and maps in other units go higher.
LARGEST_RADIUS = 64.0


def check_radius_map(blur_map: ArrayLike, shape: tuple[int, ...]) -> FloatArray:
    """The radii as an array, if they fit the picture.

    Parameters
    ----------
    blur_map : (H, W) array_like of float
        Blur radius in px.
    shape : tuple of int
        (H, W) of the picture.

    Returns
    -------
    (H, W) ndarray of float32
        Not copied if `blur_map` is such an array.

    Raises
    ------
    ValueError
        If the shape is another one, or a radius is negative, above 64 px or not finite.
    """
    radius = np.asarray(blur_map, dtype=np.float32)
    if radius.shape != shape:
        msg = f"blur_map must have the shape of the image, {shape}. Got: {radius.shape}."
        raise ValueError(msg)
    if not np.isfinite(radius).all():
        msg = "blur_map must be finite. Got: NaN or infinity."
        raise ValueError(msg)
    if radius.min() < 0:
        msg = f"blur_map must hold radii in px >= 0. Got: minimum {radius.min():g}."
        raise ValueError(msg)
    if radius.max() > LARGEST_RADIUS:
        rule = f"blur_map must hold radii of at most {LARGEST_RADIUS:g} px"
        msg = f"{rule}. Got: maximum {radius.max():g}. Check its unit."
        raise ValueError(msg)
    return radius


def read_radius_map(path: PathLike, shape: tuple[int, ...]) -> FloatArray:
    """Read the map of a picture.

    Parameters
    ----------
    path : str or path
        As for `read_map`.
    shape : tuple of int
        (H, W) of the picture.

    Returns
    -------
    (H, W) ndarray of float32
        Blur radius in px.

    Raises
    ------
    FileNotFoundError, IsADirectoryError, ValueError
        As `read_map` does.
    ImageReadError
        As `read_map` does, and if the radii are out of range or the size is that of another picture.
    """
    blur_map = read_map(path)
    try:
        return check_radius_map(blur_map, shape)
    except ValueError as error:
        raise ImageReadError(f"Cannot use map {quote(path)}: {error} Pass the map of this picture.") from error


def read_map_source(path: PathLike) -> str | None:
    """Name of the picture that a map was estimated from, as `defocus-edge estimate` notes it in TIFF and EXR files.

    Parameters
    ----------
    path : str or path
        A map that `read_map` reads.

    Returns
    -------
    str or None
        None where the file does not say.
    """
    try:
        return str(json.loads(read_map_description(path))["source"])
    except (ValueError, LookupError, TypeError):  # another program's words
        return None
