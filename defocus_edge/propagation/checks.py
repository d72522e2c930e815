"""Checks of the arguments of the filter and of the propagation."""

import math
import operator

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]


def check_picture(image: npt.NDArray[np.floating]) -> FloatArray:
    """Return RGB in [0, 1] as float32."""
    picture = np.asarray(image)
    if picture.dtype.kind != "f":
        msg = f"image must be a float array in [0, 1]. Got: dtype {picture.dtype}; divide uint8 values by 255"
        raise TypeError(msg)
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.size == 0:
        msg = f"image must be RGB, of shape (H, W, 3). Got: shape {picture.shape}; stack a grey image three times"
        raise ValueError(msg)
    low, high = picture.min(), picture.max()
    if not (low >= 0 and high <= 1):  # in this form NaN is refused too
        msg = f"image must lie in [0, 1]. Got: values from {low} to {high}; scale or clip it, and replace NaN"
        raise ValueError(msg)
    return picture.astype(np.float32, copy=False)


def check_per_point(name: str, values: npt.NDArray[np.floating], count: int, largest: float) -> FloatArray:
    """Return one positive, finite float32 per point, up to ``largest``."""
    numbers = np.asarray(values)
    if numbers.dtype.kind not in "fiu":
        msg = f"{name} must be real numbers. Got: dtype {numbers.dtype}; convert it to float32"
        raise TypeError(msg)
    if numbers.shape != (count,):
        msg = f"{name} must hold one value per point, shape ({count},). Got: {numbers.shape}; select both by one mask"
        raise ValueError(msg)
    numbers = numbers.astype(np.float32, copy=False)
    low, high = numbers.min(), numbers.max()
    if not (low > 0 and high <= largest and math.isfinite(high)):
        rule = "finite and greater than 0" if math.isinf(largest) else f"greater than 0 and at most {largest:g}"
        msg = f"{name} must be {rule}. Got: values from {low} to {high}; leave out the points where it is not"
        raise ValueError(msg)
    return numbers


def check_walls(name: str, where: npt.NDArray[np.bool_], shape: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Return walls as one bool per pixel."""
    walls = np.asarray(where)
    if walls.dtype != np.bool_:
        msg = f"{name} must be bool. Got: dtype {walls.dtype}; compare it with a threshold"
        raise TypeError(msg)
    if walls.shape != shape:
        msg = f"{name} must be as large as image, {shape}. Got: {walls.shape}; mark the points in an empty mask"
        raise ValueError(msg)
    return walls


def check_values(image: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """Return what is filtered as an array of (H, W) or (H, W, C) numbers."""
    values = np.asarray(image)
    if values.dtype.kind not in "fiub":
        msg = f"image must be an array of real numbers. Got: dtype {values.dtype}; convert it to float32"
        raise TypeError(msg)
    if values.ndim not in (2, 3):
        msg = f"image must have the shape (H, W) or (H, W, C). Got: {values.shape}; filter pictures one by one"
        raise ValueError(msg)
    return values


def check_guide(guide: npt.NDArray[np.number], shape: tuple[int, ...]) -> FloatArray:
    """Return the guide as contiguous float32 of 1 or 3 channels and the image's height and width."""
    edges = np.asarray(guide)
    if edges.dtype.kind not in "fiub":
        msg = f"guide must be an array of real numbers. Got: dtype {edges.dtype}; convert it to float32"
        raise TypeError(msg)
    if edges.shape[:2] != shape or edges.ndim not in (2, 3) or (edges.ndim == 3 and edges.shape[2] not in (1, 3)):
        msg = (
            f"guide must be grey or RGB and as large as image, {shape}. Got: shape {edges.shape}; resize it, or drop "
            "its alpha channel"
        )
        raise ValueError(msg)
    return np.ascontiguousarray(edges, np.float32)


def check_penalty(penalty: npt.NDArray[np.floating] | None, shape: tuple[int, ...]) -> FloatArray:
    """Return the penalty as contiguous float32; no penalty is an array without rows."""
    if penalty is None:
        return np.empty((0, shape[1]), np.float32)
    walls = np.ascontiguousarray(penalty, np.float32)
    if walls.shape != shape:
        msg = f"penalty must be as large as image, {shape}. Got: shape {walls.shape}; give one value per pixel"
        raise ValueError(msg)
    if walls.size > 0 and not walls.min() >= 0:  # in this form NaN is refused too
        msg = f"penalty must be at least 0 everywhere. Got: a minimum of {walls.min()}; use 0 where nothing is stopped"
        raise ValueError(msg)
    return walls


def check_out(out: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    """Return the array for the result, if the kernels can write to it."""
    if not isinstance(out, np.ndarray) or out.dtype != np.float32 or not out.flags.carray or out.shape != shape:
        got = f"{out.dtype}, {out.shape}" if isinstance(out, np.ndarray) else type(out).__name__
        msg = f"out must be a writable, C-contiguous float32 array shaped like image, {shape}. Got: {got}"
        raise ValueError(msg)
    return out


def check_filter(sigma_s: float, sigma_r: float, iterations: int) -> None:
    """Refuse numbers that the filter cannot use."""
    for name, value, unit in (("sigma_s", sigma_s, "pixels"), ("sigma_r", sigma_r, "the unit of guide")):
        if not (math.isfinite(value) and value > 0):
            msg = f"{name} must be finite and greater than 0. Got: {value}; it is a standard deviation in {unit}"
            raise ValueError(msg)
    try:
        count = operator.index(iterations)
    except TypeError as error:
        msg = f"iterations must be an integer. Got: {iterations!r}; 3 to 5 are usual"
        raise TypeError(msg) from error
    if count < 1:
        msg = f"iterations must be at least 1. Got: {iterations}; 3 to 5 are usual"
        raise ValueError(msg)
