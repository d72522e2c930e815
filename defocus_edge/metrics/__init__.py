"""Figures of blur detection: how well maps of blur probability fit hand-drawn masks.

The positive class is *blurred* (True, 1) everywhere. The same masks have scores from 0.78 to 0.91 under five published
protocols, so every figure comes with the name of its protocol, see `MaskProtocol`.
"""

from defocus_edge.metrics.curves import ALPHAS, BETA_SQUARED, DEFAULT_THRESHOLD, THRESHOLDS, MaskCurves, measure_mask
from defocus_edge.metrics.summary import NATIVE_SIZE, AverageCurves, MaskProtocol, average_curves, summarize_masks

__all__ = [
    "ALPHAS",
    "BETA_SQUARED",
    "DEFAULT_THRESHOLD",
    "NATIVE_SIZE",
    "THRESHOLDS",
    "AverageCurves",
    "MaskCurves",
    "MaskProtocol",
    "average_curves",
    "measure_mask",
    "summarize_masks",
]
