"""Pairs of photographs of one scene, focused near and far, and where each is sharper, found without any network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from defocus_edge.files.images import read_image
from defocus_edge.psf import LUMA
from training.data.sources import list_pictures

#: Ends of the file names of the picture focused near and of the one focused far.
NEAR, FAR = "-A", "-B"
#: A picture is sharper where its focus measure is at least this many times the other's; ours.
LEAST_RATIO = 1.5
#: A pixel is textured where the larger focus measure exceeds this, for luminance 0 to 255. White noise with a standard
#: deviation of 5 of 255 has 1.6 (measured); that of the Lytro pictures is mostly 0.3 to 0.7.
TEXTURE_FLOOR = 2.0
#: Standard deviation in px of the window that the focus measure is averaged over.
WINDOW_SIGMA = 3.0
#: Standard deviation in px of the smoothing against noise and JPEG blocks before the Laplacian.
_NOISE_SIGMA = 1.0
# Structure coarser than this, px, is alike in both pictures, so a difference there is exposure.
_EXPOSURE_SIGMA = 16.0


class FocusPairError(ValueError):
    """Pictures that are no pair, or pairs in which nothing can be compared."""


@dataclass(frozen=True)
class FocusPair:
    """Registered pictures of one scene, focused near and far: (H, W, 3) float32, RGB in [0, 1]."""

    name: str
    near: NDArray[np.float32]
    far: NDArray[np.float32]


def load_focus_pairs(folder: str | Path) -> list[FocusPair]:
    """Read all pairs of a folder, by sorted name: NAME-A and NAME-B, focused near and far, of one size.

    Raises FileNotFoundError if the folder is missing or holds no picture. Raises FocusPairError if a picture has no
    partner or one of another size. Raises ImageReadError if a picture is damaged.
    """
    paths = {path.stem: path for path in list_pictures(Path(folder))}
    names = sorted({stem.removesuffix(NEAR).removesuffix(FAR) for stem in paths})
    pairs = []
    for name in names:
        missing = [name + end for end in (NEAR, FAR) if name + end not in paths]
        if missing:
            msg = f"folder must hold pairs of pictures NAME{NEAR} and NAME{FAR}. Got: {name!r} without {missing[0]!r}."
            raise FocusPairError(msg)
        near, far = read_image(paths[name + NEAR]), read_image(paths[name + FAR])
        if near.shape != far.shape:
            msg = f"Both pictures of a pair must have one size. Got: {name!r} with {near.shape} and {far.shape}."
            raise FocusPairError(msg)
        pairs.append(FocusPair(name, near, far))
    return pairs


def compare_sharpness(pair: FocusPair) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    r"""Where each picture of a pair is measurably sharper than the other.

    Returns two (H, W) arrays of bool: where the near picture is sharper, and where the far one is. Both are False where
    there is no texture, or too little difference. Raises FocusPairError if both are False everywhere.

    Notes
    -----
    The focus measure is the sum-modified Laplacian [1]_, \|L_xx\| + \|L_yy\| of the luminance summed over a window. In
    the comparison of [2]_ measures with a Laplacian are the best on common pictures. Here the luminance is smoothed
    first, so that noise is no sharpness, and the window is Gaussian. Gain and offset between the two pictures are
    fitted where focus does not matter, to their coarse structure, and taken off.

    Outlines are not left out, although the window carries the sharpness of an object over to what is behind it, by one
    or two of its σ: a map that is right there counts as wrong.

    References
    ----------
    .. [1] S. K. Nayar, Y. Nakagawa, "Shape from focus", TPAMI 16, 1994, doi:10.1109/34.308479.
    .. [2] S. Pertuz, D. Puig, M. A. Garcia, "Analysis of focus measure operators for shape-from-focus", Pattern
       Recognition 46, 2013, doi:10.1016/j.patcog.2012.11.011.
    """
    near, far = pair.near @ LUMA * 255, pair.far @ LUMA * 255
    near_energy, far_energy = _measure_focus(_match_exposure(near, far)), _measure_focus(far)
    textured = np.maximum(near_energy, far_energy) > TEXTURE_FLOOR
    near_is_sharper = textured & (near_energy > LEAST_RATIO * far_energy)
    far_is_sharper = textured & (far_energy > LEAST_RATIO * near_energy)
    if not (near_is_sharper.any() or far_is_sharper.any()):
        why = "it has texture, but both pictures are equally sharp" if textured.any() else "it has no textured pixels"
        msg = f"A pair must have pixels where one picture is sharper. Got: {pair.name!r}; {why}."
        raise FocusPairError(msg)
    return near_is_sharper, far_is_sharper


def _match_exposure(luminance: NDArray[np.float32], reference: NDArray[np.float32]) -> NDArray[np.float32]:
    """Apply the gain and offset that bring the coarse structure of a luminance next to that of the reference."""
    coarse, wanted = (cv2.GaussianBlur(values, (0, 0), _EXPOSURE_SIGMA).ravel() for values in (luminance, reference))
    spread = float(coarse.var())
    gain = float(np.mean((coarse - coarse.mean()) * (wanted - wanted.mean()))) / spread if spread > 0 else 1.0
    return (luminance - coarse.mean()) * np.float32(gain) + wanted.mean()


def _measure_focus(luminance: NDArray[np.float32]) -> NDArray[np.float32]:
    """Modified Laplacian, averaged in a Gaussian window."""
    smooth = cv2.GaussianBlur(luminance, (0, 0), _NOISE_SIGMA, borderType=cv2.BORDER_REFLECT)
    second = np.array([[-1, 2, -1]], dtype=np.float32)
    laplacian = sum(
        np.abs(cv2.filter2D(smooth, cv2.CV_32F, kernel, borderType=cv2.BORDER_REFLECT)) for kernel in (second, second.T)
    )
    return np.asarray(cv2.GaussianBlur(laplacian, (0, 0), WINDOW_SIGMA, borderType=cv2.BORDER_REFLECT))
