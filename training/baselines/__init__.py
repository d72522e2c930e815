"""Published blur detectors without a network, behind one call: what the networks are compared with.

`dual_pixel` and `coded_aperture` are not in the registry, since they take other inputs than one photograph.
"""

from training.baselines.registry import BASELINES, Baseline

__all__ = ["BASELINES", "Baseline"]
