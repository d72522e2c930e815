"""Stripes, grids and soft light, drawn on the accelerator with JAX: what buildings and walls look like."""

from __future__ import annotations

from typing import Any

import numpy as np

from training.edges.device.atlas import SIDE
from training.edges.device.chance import Chance
from training.edges.device.lazy_jax import jnp

# All numbers are ours.
#: Distance from one stripe to the next, px.
PERIODS = (2.0, 24.0)
#: Share of the patterns that are grids.
GRID_SHARE = 0.4
#: Standard deviation in px of the slopes of soft light.
SHADE_WIDTHS = (4.0, 40.0)
#: Largest natural logarithm of the ratio of the light on both sides of a shadow.
SHADE_DEPTH = 2.0
#: Largest light that a lamp adds.
GLOW = 0.6


def draw_pattern(chance: Chance) -> Any:
    """Draw sharp stripes or grids: (B, 96, 96, 3) light in [0, 1] with edges that are 1 px wide."""
    angle = chance.draw(0, 2 * np.pi)
    first, second = _draw_stripes(chance, angle), _draw_stripes(chance, angle + np.pi / 2)
    is_grid = _widen(chance.toss(GRID_SHARE))
    both = jnp.where(_widen(chance.toss()), jnp.maximum(first, second), first * second)
    share = jnp.where(is_grid, both, first)[..., None]
    colours = jnp.stack([chance.draw() for _ in range(6)], axis=-1).reshape(-1, 2, 3) ** 2
    # Mostly both of one hue: paint, panes and shutters differ in brightness rather than in colour.
    grey = jnp.where(_widen(chance.toss(0.7)), colours.mean(axis=-1, keepdims=True), colours)
    one, other = grey[:, None, None, 0], grey[:, None, None, 1]
    return one + share * (other - one)


def _draw_stripes(chance: Chance, angle: Any) -> Any:
    """(B, 96, 96) share of the second colour."""
    period = _widen(_draw_size(chance, PERIODS))
    down, _ = _make_axes(angle)
    place = down / period + _widen(chance.draw())
    wave = 0.5 + 0.5 * jnp.cos(2 * np.pi * place)
    distance = (0.5 * _widen(chance.draw(0.25, 0.75)) - jnp.abs(place - jnp.round(place))) * period
    return jnp.where(_widen(chance.toss(0.2)), wave, jnp.clip(distance + 0.5, 0, 1))


def draw_shade(chance: Chance) -> tuple[Any, Any]:
    """Draw a slope of light or a soft shadow, and the glow of a lamp.

    Returns two (B, 96, 96) arrays: the light of a scene is multiplied by the first; the second is added to it.
    """
    down, right = _make_axes(chance.draw(0, 2 * np.pi))
    width = _widen(_draw_size(chance, SHADE_WIDTHS))
    slope = jnp.tanh((down - _widen(chance.draw(-15, 15))) / width)
    factor = jnp.exp(-0.5 * _widen(chance.draw(0.1, SHADE_DEPTH)) * (1 + slope))
    square = (down - _widen(chance.draw(-40, 40))) ** 2 + (right - _widen(chance.draw(-40, 40))) ** 2
    size = _widen(_draw_size(chance, SHADE_WIDTHS))
    glow = GLOW * _widen(chance.draw()) ** 2 * jnp.exp(-0.5 * square / size**2)
    kind = _widen(chance.draw())
    return jnp.where(kind < 0.7, factor, 1.0), jnp.where(kind > 0.5, glow, 0.0)


def _widen(values: Any) -> Any:
    """(B,) to (B, 1, 1)."""
    return values[:, None, None]


def _draw_size(chance: Chance, span: tuple[float, float]) -> Any:
    """Sizes in px whose logarithm is evenly distributed."""
    return span[0] * (span[1] / span[0]) ** chance.draw()


def _make_axes(angle: Any) -> tuple[Any, Any]:
    """Distance in px from the middle along a direction and across it, (B, 96, 96) each."""
    axis = jnp.arange(SIDE, dtype=jnp.float32) - (SIDE - 1) / 2
    cos, sin = _widen(jnp.cos(angle)), _widen(jnp.sin(angle))
    return cos * axis[:, None] + sin * axis, cos * axis - sin * axis[:, None]
