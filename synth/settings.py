"""Settings and sources that all samples of a run share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

import numpy as np

from defocus_edge.blur_levels import BLURRED_ABOVE, MAX_RADIUS
from synth.camera import Lens, Psf
from synth.readers import Source, unique_pictures

Family = Literal["uniform", "gradual", "steps", "composite", "layered", "dual", "coded"]
FAMILIES: tuple[str, ...] = get_args(Family)
#: Families whose samples tell the side of the focus; their kernels are parts of a disk.
SIGNED_FAMILIES = ("dual", "coded")
#: Radii in px of composites in the paper; the other layer is in focus, 0 px (Karaali et al. 2022, section III).
PAPER_RADII = (1.0, 3.0, 5.0)
#: Limits of the largest radius of a run, px; chosen.
LARGEST = (1.0, 50.0)
# A composite takes two different pictures.
_FEWEST_BACKGROUNDS = 2


class PoolError(ValueError):
    """Source folders without the files that a family needs."""


@dataclass(frozen=True)
class Settings:
    """Settings that all samples of a run share.

    Parameters
    ----------
    family, seed
        Kind of the samples, and start of all random numbers.
    psf, blades
        See `synth.camera.Lens`.
    largest : float
        Largest radius in px. The uniform family always has its 23 levels.
    reduce : float
        Sources are shrunk by this factor before they are blurred, since none is perfectly sharp.
    max_side : int
        Sources are shrunk further until no side has more px.
    rotations : tuple of float
        Degrees counter-clockwise, one of which is drawn for each source.
    mirror : bool
        Whether half of the sources are mirrored.
    noise : float
        Largest standard deviation of the noise, in 8-bit steps; each sample draws from 0 to this.
    jpeg_share : float
        Share of the samples that is compressed as JPEG.
    jpeg_quality : tuple of int
        Lowest and highest JPEG quality.
    mask_radius : float
        Pixels with a larger blur radius in px are True in the mask.
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
                raise ValueError(f"{rule}. Got: {got}.")
        Lens(self.psf, self.blades)
        if self.family in SIGNED_FAMILIES and self.psf != "disk":
            raise ValueError(f"{self.family} must have psf disk, of which it takes parts. Got: {self.psf!r}.")


@dataclass(frozen=True)
class Pool:
    """Sources that a run draws from: pictures (one source for each), sources with an object to cut out, and with depth.

    `shapes` are pictures that are masks themselves.
    """

    pictures: list[Source]
    objects: list[Source] = field(default_factory=list)
    scenes: list[Source] = field(default_factory=list)
    shapes: list[Source] = field(default_factory=list)

    def check(self, family: Family) -> None:
        """Raise a `PoolError` that tells which sources a family lacks."""
        if family == "layered" and not self.scenes:
            raise PoolError(
                "layered needs sources with disparity or depth (NAME_rgb.png with NAME_disparity.png). Got: none."
            )
        if family == "composite" and not (self.objects or self.shapes):
            raise PoolError(
                "composite needs sources with masks (MS-COCO, HKU-IS, or NAME.jpg with NAME_mask.png), or shapes: a "
                "folder of masks. Got: none."
            )
        if family == "composite" and len(self.pictures) < _FEWEST_BACKGROUNDS:
            raise PoolError(f"composite needs at least two different source pictures. Got: {len(self.pictures)}.")
        if not self.pictures:
            raise PoolError(f"{family} needs source pictures. Got: none.")


def build_pool(family: Family, sources: list[Source], *, shapes: Sequence[Source] = ()) -> Pool:
    """Sort sources by their use; `shapes` are pictures that are masks. Raises a `PoolError` as `Pool.check` does.

    A composite takes pictures with an object as backgrounds only if there are fewer than two others: the surroundings
    of an object in focus are often blurred already.
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
