"""Published blur detectors, behind one call: what the networks are compared with. Two have a small network.

`dual_pixel` and `coded_aperture` are not in the registry, since they take other inputs than one photograph.
"""

from training.baselines.registry import BASELINES, Baseline

__all__ = ["BASELINES", "Baseline"]
