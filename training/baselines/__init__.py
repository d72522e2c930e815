"""Published blur detectors without a network, behind one call: what the networks are compared with."""

from training.baselines.registry import BASELINES, Baseline

__all__ = ["BASELINES", "Baseline"]
