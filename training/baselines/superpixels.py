"""Superpixels: small connected segments of one colour each."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

#: SLIC: weight of the distance in space against that in colour (CIELAB), and how often the centres move; OpenCV's own.
COMPACTNESS = 10.0
ROUNDS = 10
#: Segments smaller than this, in percent of the mean size, join a neighbour; OpenCV's own.
_LEAST_SHARE = 25


def find_superpixels(picture: NDArray[np.float32], *, side: int) -> NDArray[np.int32]:
    """Number (H, W), from 0 on, of the superpixel of each pixel of a picture (H, W, 3), RGB in [0, 1].

    Superpixels have about `side` × `side` px.

    References
    ----------
    R. Achanta, A. Shaji, K. Smith, A. Lucchi, P. Fua and S. Süsstrunk, "SLIC superpixels compared to state-of-the-art
    superpixel methods", TPAMI 34(11), 2012, doi:10.1109/TPAMI.2012.120.
    """
    lab = cv2.cvtColor(np.rint(picture * 255).astype(np.uint8), cv2.COLOR_RGB2LAB)
    slic = cv2.ximgproc.createSuperpixelSLIC(lab, cv2.ximgproc.SLIC, side, COMPACTNESS)
    slic.iterate(ROUNDS)
    slic.enforceLabelConnectivity(_LEAST_SHARE)
    numbers = np.unique(slic.getLabels(), return_inverse=True)[1]
    return numbers.reshape(picture.shape[:2]).astype(np.int32)


def find_centres(segments: NDArray[np.int32]) -> NDArray[np.intp]:
    """The mean place (N, 2), rounded to a pixel, of each of N segments (H, W)."""
    labels = segments.ravel()
    counts = np.bincount(labels)
    rows, columns = np.divmod(np.arange(labels.size), segments.shape[1])
    places = [np.bincount(labels, one) / counts for one in (rows, columns)]
    return np.rint(np.stack(places, axis=1)).astype(np.intp)
