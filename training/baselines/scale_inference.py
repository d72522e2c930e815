"""One map from maps of several scales: belief propagation on a stack of pixel grids."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: β of Yi and Eramian 2016: cost of two neighbours, in space or scale, that differ.
COUPLING = 0.5
#: Number of rounds of messages. Each round reaches one pixel farther; after 60 rounds even maps of noise change by less
#: than 0.001 (measured).
ROUNDS = 60
#: Share of the old message that is kept, so that the rounds settle; ours.
DAMPING = 0.5


def infer_across_scales(
    scores: NDArray[np.float32], *, coupling: float = COUPLING, rounds: int = ROUNDS
) -> NDArray[np.float32]:
    r"""Probability of being sharp at the finest scale, given scores of all scales.

    Returns (H, W) float32 in [0, 1]. Raises ValueError if a shape or a number is not as described.

    Parameters
    ----------
    scores : (S, H, W) ndarray of float32
        Sharpness 0 to 1 at each scale, the finest first.
    coupling : float
        β below, >= 0.
    rounds : int
        Number of rounds in which all pixels send messages.

    Notes
    -----
    Each pixel of each scale is sharp, h = 1, or not, h = 0, with an energy [1]_ for scores :math:`\hat h`

    .. math:: E = \sum_s \sum_i |h_i^s - \hat h_i^s|
              + \beta \Big( \sum_s \sum_{i, j} |h_i^s - h_j^s| + \sum_s \sum_i |h_i^s - h_i^{s+1}| \Big)

    where j are the four neighbours of i. The marginals of :math:`e^{-E}` are approximated by loopy belief
    propagation: a message is the logarithm of the odds of being sharp, and what arrives with the log-odds :math:`o`
    leaves as :math:`2 \, \mathrm{artanh}(\tanh(\beta / 2) \tanh(o / 2))`.

    References
    ----------
    .. [1] X. Yi and M. Eramian, "LBP-based segmentation of defocus blur", IEEE Transactions on Image Processing 25(4),
       2016, doi:10.1109/TIP.2016.2528042.
    """
    if scores.ndim != 3 or scores.size == 0 or not (scores.min() >= 0 and scores.max() <= 1):
        msg = f"scores must have shape (S, H, W) and lie in [0, 1]. Got: shape {scores.shape}, or other values."
        raise ValueError(msg)
    if not 0 <= coupling < np.inf or rounds < 1:
        msg = f"coupling must be finite and >= 0, rounds at least 1. Got: {coupling} and {rounds}."
        raise ValueError(msg)
    evidence = 2 * scores - np.float32(1)  # -|1 - h| + |h|
    strength = np.float32(np.tanh(coupling / 2))
    # Two messages along each axis: [0] from the neighbour before, [1] from the one after.
    messages = np.zeros((3, 2, *scores.shape), dtype=np.float32)
    for _ in range(rounds):
        belief = evidence + messages.sum(axis=(0, 1))
        for axis in range(3):
            before, after = messages[axis]
            to_after = _weaken(belief - after, strength)  # without what the receiver itself has said
            to_before = _weaken(belief - before, strength)
            _take(before, to_after, axis, forward=True)
            _take(after, to_before, axis, forward=False)
    belief = evidence + messages.sum(axis=(0, 1))
    return (0.5 + 0.5 * np.tanh(belief[0] / 2)).astype(np.float32)


def _weaken(odds: NDArray[np.float32], strength: np.float32) -> NDArray[np.float32]:
    """Log-odds that a neighbour concludes from the log-odds of a pixel."""
    return np.asarray(2 * np.arctanh(strength * np.tanh(odds / 2)))


def _take(message: NDArray[np.float32], sent: NDArray[np.float32], axis: int, *, forward: bool) -> None:
    """Mix what the neighbour along an axis sent into the messages, in place."""
    start, stop = slice(1, None), slice(None, -1)
    to, source = (start, stop) if forward else (stop, start)
    lead = (slice(None),) * axis
    message[(*lead, to)] *= DAMPING
    message[(*lead, to)] += (1 - DAMPING) * sent[(*lead, source)]
