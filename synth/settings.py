"""What all samples of a run have in common: the settings and the pool of sources."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

import numpy as np

from defocus_edge.blur_levels import BLURRED_ABOVE, MAX_RADIUS
from synth.optics import Lens, Psf
from synth.readers import Source, unique_pictures

Family = Literal["uniform", "gradual", "steps", "composite", "layered"]
FAMILIES: tuple[str, ...] = get_args(Family)
#: Radii in px of composites in the paper; the other layer is in focus, 0 px (Karaali et al. 2022, section III).
PAPER_RADII = (1.0, 3.0, 5.0)
#: What the largest radius of a run may be, px.
LARGEST = (1.0, 50.0)
# A composite takes two different pictures.
_FEWEST_BACKGROUNDS = 2


class PoolError(ValueError):
    """Source folders that do not hold what a family needs."""


@dataclass(frozen=True)
class Settings:
    """What all samples of a run have in common.

    Parameters
    ----------
    family : Family
    seed : int
    psf : {'disk', 'gaussian', 'polygon'}
    blades : int
        Corners of the polygon.
    largest : float
        Largest radius in px. The uniform family has its 23 levels whatever this is.
    reduce : float
        Sources are shrunk by this before they are blurred, as they are never perfectly sharp themselves.
    max_side : int
        Sources are shrunk further until their longer side has at most so many px.
    rotations : tuple of float
        Degrees counter-clockwise, one of which is drawn for each source.
    mirror : bool
        Half of the sources are mirrored.
    noise : float
        Standard deviations of noise are drawn from 0 to this, in 8-bit steps.
    jpeg_share : float
        Share of the samples that go through JPEG.
    jpeg_quality : tuple of int
        Lowest and highest quality.
    mask_radius : float
        Pixels blurred by more, in px, are True in the mask.
    """

    family: Family
    seed: int = 0
    psf: Psf = "disk"
    blades: int = 6
    largest: float = MAX_RADIUS
    reduce: float = 0.75
    max_side: int = 640
    rotations: tuple[float, ...] = (0.0, 90.0, 180.0, 270.0)
    mirror: bool = True
    noise: float = 2.0
    jpeg_share: float = 0.4
    jpeg_quality: tuple[int, int] = (65, 98)
    mask_radius: float = BLURRED_ABOVE

    def __post_init__(self) -> None:
        low, high = self.jpeg_quality
        rules = {
            f"family must be one of {', '.join(FAMILIES)}": (self.family in FAMILIES, self.family),
            "seed must be >= 0": (self.seed >= 0, self.seed),
            f"largest must be between {LARGEST[0]:g} and {LARGEST[1]:g} px": (
                LARGEST[0] <= self.largest <= LARGEST[1],
                self.largest,
            ),
            "reduce must be above 0 and at most 1": (0 < self.reduce <= 1, self.reduce),
            "max_side must be at least 1 px": (self.max_side >= 1, self.max_side),
            "rotations must hold finite degrees": (
                len(self.rotations) > 0 and bool(np.isfinite(self.rotations).all()),
                self.rotations,
            ),
            "noise must be finite and >= 0 8-bit steps": (0 <= self.noise < np.inf, self.noise),
            "jpeg_share must be between 0 and 1": (0 <= self.jpeg_share <= 1, self.jpeg_share),
            "jpeg_quality must rise within 1 to 100": (1 <= low <= high <= 100, self.jpeg_quality),
            "mask_radius must be >= 0 px": (self.mask_radius >= 0, self.mask_radius),
        }
        for rule, (kept, got) in rules.items():
            if not kept:
                msg = f"{rule}. Got: {got}."
                raise ValueError(msg)
        Lens(self.psf, self.blades)


@dataclass(frozen=True)
class Pool:
    """The sources a run draws from.

    Attributes
    ----------
    pictures : list of Source
        One for each picture.
    objects : list of Source
        Those with an object to cut out.
    scenes : list of Source
        Those with depth.
    shapes : list of Source
        Pictures that are masks themselves.
    """

    pictures: list[Source]
    objects: list[Source] = field(default_factory=list)
    scenes: list[Source] = field(default_factory=list)
    shapes: list[Source] = field(default_factory=list)

    def check(self, family: Family) -> None:
        """Raise a `PoolError` that says what is missing for a family."""
        if family == "layered" and not self.scenes:
            msg = "layered needs sources with disparity or depth (NAME_rgb.png with NAME_disparity.png). Got: none."
            raise PoolError(msg)
        if family == "composite" and not (self.objects or self.shapes):
            msg = (
                "composite needs sources with masks (MS-COCO, HKU-IS, or NAME.jpg with NAME_mask.png), or shapes: a "
                "folder of masks. Got: none."
            )
            raise PoolError(msg)
        if family == "composite" and len(self.pictures) < _FEWEST_BACKGROUNDS:
            msg = f"composite needs at least two different source pictures. Got: {len(self.pictures)}."
            raise PoolError(msg)
        if not self.pictures:
            msg = f"{family} needs source pictures. Got: none."
            raise PoolError(msg)


def build_pool(family: Family, sources: list[Source], *, shapes: Sequence[Source] = ()) -> Pool:
    """Sort sources by what they are good for.

    Parameters
    ----------
    family : Family
    sources : list of Source
    shapes : sequence of Source
        Pictures that are masks.

    Returns
    -------
    Pool
        For composites, pictures with an object serve as backgrounds only if there are not two others: what is around
        an object that somebody focused on is often blurred already.

    Raises
    ------
    PoolError
        If the sources lack what the family needs.
    """
    plain = unique_pictures(source for source in sources if not source.has_object)
    only_plain = family == "composite" and len(plain) >= _FEWEST_BACKGROUNDS
    pool = Pool(
        plain if only_plain else unique_pictures(sources),
        [source for source in sources if source.has_object],
        [source for source in sources if source.depth is not None],
        [replace(shape, mask=shape.picture) for shape in shapes],
    )
    pool.check(family)
    return pool
