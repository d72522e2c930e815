"""How far blur spreads, and what stops it."""

import math
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

from defocus_edge.choices import LARGEST_DEPTH_PENALTY


@dataclass(frozen=True, kw_only=True)
class PropagationSettings:
    """How far blur spreads from the pattern edge points, and what stops it.

    The defaults were chosen on the development set (`python -m training evaluate edges`). `paper` gives the settings of
    Karaali, Harte and Jung [1]_.

    Parameters
    ----------
    sigma_s : float, optional
        Spatial standard deviation of the propagation, in pixels; None for ``sigma_s_fraction`` of the shorter side.
    sigma_s_fraction : float
        Spatial standard deviation as a fraction of the shorter side of the image; used if ``sigma_s`` is None.
    sigma_r : float
        Range standard deviation of the propagation, for differences of a guide in [0, 1] summed over R, G and B.
    iterations : int
        Iterations of the propagation.
    depth_penalty : float
        Added to the derivative of the domain transform at depth edges, in pixels; 0 lets blur pass them.
    confidence_power : float
        A point counts in proportion to this power of its confidence; 0 lets all points count alike.
    close_boundaries : bool
        Link depth edges along the contours of the picture, see `close_depth_edges`.
    guide_sigma_s : float
        Spatial standard deviation of the guide's own smoothing, in pixels.
    guide_sigma_r : float
        Range standard deviation of the guide's own smoothing, in the unit of ``sigma_r``.
    guide_iterations : int
        Iterations of the guide's own smoothing.

    Raises
    ------
    ValueError
        If a number is out of its range.
    TypeError
        If a number of iterations is not an integer.

    References
    ----------
    .. [1] A. Karaali, N. Harte and C. R. Jung, "Deep multi-scale feature learning for defocus blur estimation", IEEE
       Transactions on Image Processing 31, 2022. https://arxiv.org/abs/2009.11939
    """

    sigma_s: float | None = None
    sigma_s_fraction: float = 0.25
    sigma_r: float = 1.5
    iterations: int = 5
    depth_penalty: float = 100.0
    confidence_power: float = 4.0
    close_boundaries: bool = True
    guide_sigma_s: float = 7.0
    guide_sigma_r: float = 0.5
    guide_iterations: int = 5

    def __post_init__(self) -> None:
        """Refuse numbers that the filter could not use."""
        positive = ["sigma_s_fraction", "sigma_r", "guide_sigma_s", "guide_sigma_r"]
        for name in positive if self.sigma_s is None else ["sigma_s", *positive]:
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                msg = f"{name} must be finite and greater than 0. Got: {value}; leave it out for the default"
                raise ValueError(msg)
        for name in ("iterations", "guide_iterations"):
            count: Any = getattr(self, name)
            if not isinstance(count, int):
                msg = f"{name} must be an integer. Got: {count!r}; 3 to 5 are usual"
                raise TypeError(msg)
            if count < 1:
                msg = f"{name} must be at least 1. Got: {count}; 3 to 5 are usual"
                raise ValueError(msg)
        for name in ("depth_penalty", "confidence_power"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                msg = f"{name} must be finite and at least 0. Got: {value}; 0 switches it off"
                raise ValueError(msg)
        if self.depth_penalty > LARGEST_DEPTH_PENALTY:
            msg = f"depth_penalty must be at most {LARGEST_DEPTH_PENALTY:g} px. Got: {self.depth_penalty}"
            raise ValueError(msg)

    @classmethod
    def paper(cls) -> Self:
        """Return the settings printed in the TIP 2022 paper: only depth-edge points stop the blur, all count alike."""
        return cls(
            sigma_s_fraction=1 / 8,
            sigma_r=3.75,
            iterations=5,
            depth_penalty=100.0,
            confidence_power=0.0,
            close_boundaries=False,
        )

    @classmethod
    def authors_code(cls) -> Self:
        """Return the settings that reproduce the maps the authors published: theirs with a penalty of 20."""
        return replace(cls.paper(), depth_penalty=20.0)

    def compute_sigma_s(self, height: int, width: int) -> float:
        """Return the spatial standard deviation, in pixels, for an image of this size."""
        return self.sigma_s_fraction * min(height, width) if self.sigma_s is None else self.sigma_s


def choose_propagation(
    propagation: PropagationSettings | Literal["paper"] | None, depth_penalty: float | None
) -> PropagationSettings:
    """Settings that the caller named, with another depth penalty if one is given."""
    if isinstance(propagation, str) and propagation != "paper":
        msg = f"propagation must be 'paper' or PropagationSettings. Got: {propagation!r}."
        raise ValueError(msg)
    chosen = PropagationSettings.paper() if propagation == "paper" else propagation or PropagationSettings()
    return chosen if depth_penalty is None else replace(chosen, depth_penalty=depth_penalty)
