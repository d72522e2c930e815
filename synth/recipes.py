"""Recipe of a sample: all its random choices, from a seed and a number."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from defocus_edge.blur_levels import BLUR_LEVELS, MIN_RADIUS, N_LEVELS, RADIUS_STEP
from synth.apertures import MASKS
from synth.camera import Lens, Sensor
from synth.loading import Turn
from synth.readers import Source
from synth.settings import PAPER_RADII, SIGNED_FAMILIES, Pool, Settings

# Foci of layered scenes lie between these quantiles of the inverse depth.
_FOCUS_RANGE = (0.02, 0.98)
# Ramps change by at least this much across the picture, px; chosen.
_LEAST_RAMP = 1.0
# Share of composites that are cut out with a shape if there are both objects and shapes; chosen.
_SHAPE_SHARE = 0.5
# Streams of random numbers of one seed.
_DRAW, _BALANCE, _NOISE = range(3)


@dataclass(frozen=True)
class Recipe:
    """Everything that is needed to make one sample.

    Attributes
    ----------
    settings : Settings
    number, attempt : int
        Number of the sample, and number of earlier choices of sources that were unusable.
    picture : Source
        The picture; in a composite the front one.
    turn : Turn
    lens : Lens
    sensor : Sensor
    radii : tuple of float
        Blur radii in px. uniform: (all,); gradual, steps: (smallest, largest); composite: (near, far); layered:
        (largest,); dual, coded: (largest,) with depth, otherwise (smallest, largest), signed.
    direction : float
        gradual, steps, and dual or coded without depth: direction in which the radius grows, degrees from the columns'
        axis.
    focus : float
        layered, and dual or coded with depth: quantile of the inverse depth that is in focus.
    background, shape : Source, optional
        composite: the picture behind, and a mask that replaces the object of the front picture.
    background_turn : Turn
    mask : str
        coded: name of the mask, see `synth.apertures.MASKS`.
    """

    settings: Settings
    number: int
    attempt: int
    picture: Source
    turn: Turn
    lens: Lens
    sensor: Sensor
    radii: tuple[float, ...]
    direction: float = 0.0
    focus: float = 0.0
    background: Source | None = None
    background_turn: Turn = field(default_factory=Turn)
    shape: Source | None = None
    mask: str = ""

    @property
    def sources(self) -> list[Source]:
        """All sources of the sample."""
        return [source for source in (self.picture, self.background, self.shape) if source is not None]

    def noise_generator(self) -> np.random.Generator:
        """Generator of the sensor's noise."""
        return np.random.default_rng((self.settings.seed, self.number, self.attempt, _NOISE))


def draw_recipe(settings: Settings, pool: Pool, number: int, *, attempt: int = 0) -> Recipe:
    """Draw everything that is random about a sample; the same arguments give the same recipe.

    `pool` is checked with `Pool.check`. Another `attempt` draws other sources for the same number, from 0; radii that
    are balanced over the numbers stay.
    """
    rng = np.random.default_rng((settings.seed, number, attempt, _DRAW))
    turn, background_turn = _draw_turn(settings, rng), _draw_turn(settings, rng)
    lens = Lens(settings.psf, settings.blades, float(rng.uniform(0, 360)) if settings.psf == "polygon" else 0.0)
    sensor = _draw_sensor(settings, rng)
    radii = _draw_radii(settings, number, rng)
    sources = pool.scenes if settings.family == "layered" else pool.pictures
    if settings.family in SIGNED_FAMILIES:
        sources = pool.scenes or pool.pictures
    recipe = Recipe(settings, number, attempt, _choose(sources, rng), turn, lens, sensor, radii)
    if settings.family in SIGNED_FAMILIES:
        return _draw_signed(recipe, rng)
    if settings.family == "layered":
        return replace(recipe, focus=float(rng.uniform(*_FOCUS_RANGE)))
    if settings.family == "composite":
        return replace(_choose_layers(recipe, pool, rng), background_turn=background_turn)
    return replace(recipe, direction=float(rng.uniform(0, 360)) if settings.family != "uniform" else 0.0)


def _draw_signed(recipe: Recipe, rng: np.random.Generator) -> Recipe:
    """Complete a recipe of signed radii: the focus in a scene with depth, or a plane that crosses the focus."""
    if recipe.settings.family == "coded":
        recipe = replace(recipe, mask=str(rng.choice(list(MASKS))))
    if recipe.picture.depth is not None:
        return replace(recipe, focus=float(rng.uniform(*_FOCUS_RANGE)))
    behind, before = (float(rng.uniform(MIN_RADIUS, recipe.settings.largest)) for _ in range(2))
    return replace(recipe, radii=(-behind, before), direction=float(rng.uniform(0, 360)))


def _choose_layers(recipe: Recipe, pool: Pool, rng: np.random.Generator) -> Recipe:
    """Complete a recipe of a composite: front picture, its object or a shape instead, and another picture behind."""
    from_shape = not pool.objects or (bool(pool.shapes) and rng.random() < _SHAPE_SHARE)
    front = _choose(pool.pictures if from_shape else pool.objects, rng)
    shape = _choose(pool.shapes, rng) if from_shape else None
    index = int(rng.integers(len(pool.pictures)))
    background = pool.pictures[index]
    if (background.folder, background.picture) == (front.folder, front.picture):
        background = pool.pictures[(index + 1) % len(pool.pictures)]
    return replace(recipe, picture=front, shape=shape, background=background)


def describe_recipe(recipe: Recipe, folders: list[Path]) -> dict[str, Any]:
    """Describe a recipe completely by JSON values; sources by positions in `folders` and names relative to them."""
    settings, lens, sensor = recipe.settings, recipe.lens, recipe.sensor
    record: dict[str, Any] = {
        "sample": recipe.number,
        "family": settings.family,
        "seed": settings.seed,
        "attempt": recipe.attempt,
        "picture": _describe_source(recipe.picture, recipe.turn, folders),
        "reduce": settings.reduce,
        "max_side": settings.max_side,
        "psf": {"name": lens.psf} | ({"blades": lens.blades, "angle": lens.angle} if lens.psf == "polygon" else {}),
        "noise": sensor.noise,
        "jpeg_quality": sensor.jpeg_quality,
        "mask_radius": settings.mask_radius,
    }
    if settings.family == "uniform":
        return record | {"radius": recipe.radii[0]}
    if settings.family == "coded":
        record |= {"aperture": {"name": recipe.mask, "rows": [list(row) for row in MASKS[recipe.mask]]}}
    if settings.family == "layered" or (settings.family in SIGNED_FAMILIES and recipe.picture.depth is not None):
        return record | {"largest_radius": recipe.radii[0], "focus_quantile": recipe.focus}
    if settings.family != "composite":
        return record | {"radius_from": recipe.radii[0], "radius_to": recipe.radii[1], "direction": recipe.direction}
    record |= {"near_radius": recipe.radii[0], "far_radius": recipe.radii[1]}
    if recipe.background is not None:
        record["background"] = _describe_source(recipe.background, recipe.background_turn, folders)
    if recipe.shape is not None:
        record["shape"] = _describe_source(recipe.shape, recipe.turn, folders)
    return record


def _describe_source(source: Source, turn: Turn, folders: list[Path]) -> dict[str, Any]:
    names = {"mask": source.mask, "depth": source.depth, "object": source.outline and source.outline.number}
    return {
        "folder": folders.index(source.folder),
        "path": source.picture,
        **{name: value for name, value in names.items() if value is not None},
        "rotation": turn.angle,
        "mirrored": turn.mirrored,
    }


def _choose(sources: list[Source], rng: np.random.Generator) -> Source:
    return sources[int(rng.integers(len(sources)))]


def _draw_turn(settings: Settings, rng: np.random.Generator) -> Turn:
    angle = float(settings.rotations[int(rng.integers(len(settings.rotations)))])
    return Turn(angle, bool(rng.random() < 0.5) and settings.mirror)


def _draw_sensor(settings: Settings, rng: np.random.Generator) -> Sensor:
    noise = float(rng.uniform(0, settings.noise))
    low, high = settings.jpeg_quality
    quality = int(rng.integers(low, high + 1))
    return Sensor(noise, quality if rng.random() < settings.jpeg_share else None)


def _draw_radii(settings: Settings, number: int, rng: np.random.Generator) -> tuple[float, ...]:
    """Radii of a sample; those that are balanced over the numbers do not come from `rng`."""
    if settings.family == "uniform":
        block, place = divmod(number, N_LEVELS)
        order = np.random.default_rng((settings.seed, block, _BALANCE)).permutation(N_LEVELS)
        return (float(BLUR_LEVELS[order[place]]),)
    if settings.family in ("layered", *SIGNED_FAMILIES):
        return (float(rng.uniform(MIN_RADIUS + RADIUS_STEP, settings.largest)),)
    if settings.family == "composite":
        continuous = float(rng.uniform(MIN_RADIUS, settings.largest))
        allowed = [radius for radius in PAPER_RADII if radius <= settings.largest]
        # Every second pair of samples has the paper's radii, every second sample the near side in focus.
        blurred = allowed[number // 4 % len(allowed)] if number % 4 < 2 else continuous
        return (0.0, blurred) if number % 2 == 0 else (blurred, 0.0)
    low = float(rng.uniform(MIN_RADIUS, max(settings.largest - _LEAST_RAMP, MIN_RADIUS)))
    high = float(rng.uniform(min(low + _LEAST_RAMP, settings.largest), settings.largest))
    return low, high
