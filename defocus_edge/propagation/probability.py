"""Maps of probability that are smoothed along the edges of their picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from defocus_edge.propagation.domain_transform import domain_transform_filter

#: A step of this in the sum of R, G and B counts like the filter's distance. Chosen on photographs with masks: with
#: less the filter stops at texture, and with more it passes the outlines of things.
SMOOTHING_RANGE = 0.6
# Probabilities this close to 0 or 1 count as this: their logits would be infinite.
_LEAST_PROBABILITY = 1e-6


def smooth_probability(
    probability: NDArray[np.float32], image: NDArray[np.float32], share: float
) -> NDArray[np.float32]:
    """Smooth the logits of a map by the domain transform filter, so that it ends where things end.

    Parameters
    ----------
    probability : (H, W) ndarray of float32
        Not modified.
    image : (H, W, 3) ndarray of float32
        The picture, RGB in [0, 1].
    share : float
        Spatial standard deviation of the filter as a share of the longer side; with 0 the map stays as it is.
    """
    if not share:
        return probability
    inner = np.clip(probability, _LEAST_PROBABILITY, 1 - _LEAST_PROBABILITY)
    logits = np.log(inner) - np.log1p(-inner)
    sigma_s = share * max(logits.shape)
    domain_transform_filter(logits, image, sigma_s=sigma_s, sigma_r=SMOOTHING_RANGE, out=logits)
    return np.asarray(1 / (1 + np.exp(-logits)), dtype=np.float32)
