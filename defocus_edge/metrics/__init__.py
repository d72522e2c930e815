"""How well maps of blur probability fit hand-drawn masks: the figures of blur detection, each with its protocol.

The positive class is *blurred* (True, 1) everywhere. The same masks have scores from 0.78 to 0.91 under five published
protocols, so no figure leaves this package without the name of its own: see `MaskProtocol`.
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
