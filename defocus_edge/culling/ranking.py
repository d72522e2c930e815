"""The order of the frames of a burst, and what it means: a verdict and a rating."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from defocus_edge.culling.places import Measurement
from defocus_edge.thresholds import DEFAULT_RADII

#: A frame is soft above this radius in px, unless another one is given: a smaller disk is as good as sharp.
SOFT_ABOVE = DEFAULT_RADII[0]
#: Stars by verdict, of the best frame of a burst and of the others. A soft frame never has more than a sharp one.
STARS = {"sharp": (5, 3), "soft": (2, 1)}


@dataclass(frozen=True)
class RankedFrame:
    """A frame with its place in its burst, from 1, its verdict, and its rating in stars."""

    measurement: Measurement
    rank: int
    verdict: Literal["sharp", "soft"]
    rating: int


def rank_frames(measurements: Iterable[Measurement], *, soft_above: float = SOFT_ABOVE) -> list[RankedFrame]:
    """Order the frames of a burst by their radius, the sharpest first; of equals, the first one given.

    Only the first has the rank 1, also among equals: one frame of a burst is kept.
    """
    ranked = []
    for number, measurement in enumerate(sorted(measurements, key=lambda found: found.radius)):
        verdict: Literal["sharp", "soft"] = "soft" if measurement.radius > soft_above else "sharp"
        best, other = STARS[verdict]
        ranked.append(RankedFrame(measurement, number + 1, verdict, other if number else best))
    return ranked
