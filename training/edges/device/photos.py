"""Random crops as cameras make them, drawn, rendered and labelled on the accelerator with JAX.

They are the crops of `training.edges.crops` without depth maps, with more of what photographs have: apertures that are
no disks, stripes and grids, soft light, soft mattes, a third layer, and the camera of `training.edges.device.camera`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from defocus_edge.blur_levels import MAX_RADIUS, MIN_RADIUS, N_LEVELS, RADIUS_STEP
from defocus_edge.networks.edge.patches import PATCH_RADIUS
from defocus_edge.psf import LUMA
from training.data.camera import (
    BEYOND_SHARE,
    COLOUR_CAST,
    CROP_SIDE,
    EDGE_QUANTILES,
    EXPOSURE_DEVIATION,
    FOCUS_RADII,
    FOCUS_SHARE,
    LARGEST_RADIUS,
    RADII,
    STEEPEST_RAMP,
)
from training.data.labels import UNDECIDED
from training.edges.batches import Balance
from training.edges.device.apertures import LARGEST_STEP, STEPS, STEPS_PER_PIXEL, Optics, list_apertures
from training.edges.device.atlas import SIDE, Atlas, Cut, Kinds, cut_pixels, draw_cut, draw_layer
from training.edges.device.camera import BORDER, SCENE_BORDER, Shot, apply_resize, shoot
from training.edges.device.chance import Chance
from training.edges.device.edges import LABEL_REACH, choose_balanced, find_edges, label_rim, stratify
from training.edges.device.lazy_jax import jnp
from training.edges.device.patterns import draw_pattern, draw_shade
from training.edges.device.scenes import blur, blur_ramp, cover, decode_light

# All numbers are ours.
#: Share of the layers that are stripes or grids, or pictures seen through them.
PATTERN_SHARE = 0.12
#: Share of the crops in soft light.
SHADE_SHARE = 0.2
#: A gradient of which a larger share comes from the light says nothing about blur.
SHADE_LIMIT = 0.5
#: Share of the composites that have a layer between the nearest and the farthest, and of these layers, those at the
#: depth of the farthest.
MIDDLE_SHARE, SAME_DEPTH_SHARE = 0.4, 0.2
#: Exponent of the light of a source, and factor of its colours.
LIGHT_EXPONENTS, SATURATIONS = (0.7, 1.5), (0.0, 1.4)
#: Share of the layers whose three colours may be exchanged.
TURN_SHARE = 0.25
# Smoothing before the derivative that tells light from content.
_SLOPE_TAPS = [1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16]
# Pixels average over one px: a picture enlarged by a factor s is blurred with s px more, variance (s² - 1) / 12.
_PIXEL_VARIANCE = 1 / 12


class Mix(NamedTuple):
    """Number of crops of each family in a batch."""

    uniform: int
    gradual: int
    composite: int


class PhotoBatch(NamedTuple):
    """Crops with labelled edge points."""

    #: (B, 64, 64, 3) float32.
    images: Any
    #: (P, 3) int32: crop, row and column in its inner 24×24 px.
    points: Any
    #: (P,) float32: radius in px, within the levels.
    radius: Any
    #: (P,) float32: 1 depth edge, 0 pattern edge, -1 undecided.
    is_depth: Any
    #: (P,) float32: 0 for padding.
    valid: Any


class CropMaps(NamedTuple):
    """Crops with what is known of each of their inner pixels; maps are (B, 24, 24)."""

    #: (B, 64, 64, 3) float32.
    images: Any
    #: Bool: edge points, and pixels whose gradient is that of the content rather than of the light.
    edges: Any
    is_content: Any
    #: Float32: radius in px, within the levels, and label as in `PhotoBatch.is_depth`.
    radius: Any
    label: Any


class _Layer(NamedTuple):
    """What lies at one depth: light, matte, and the row of its aperture in the table."""

    light: Any
    matte: Any
    row: Any


@dataclass(frozen=True)
class PhotoSampler:
    """Draws batches from a key; made to be compiled with ``jax.jit``."""

    kinds: Kinds
    mix: Mix
    #: Share of the uniform crops that have exactly the radius of a level.
    level_share: float
    #: Largest number of edge points of one crop.
    points: int
    balance: Balance

    def draw(self, key: Any, atlas: Atlas, optics: Optics) -> PhotoBatch:
        """Draw a batch from a key of `jax.random.key`."""
        chance = Chance(key, sum(self.mix))
        maps = self.draw_maps(chance, atlas, optics)
        order = chance.uniform(CROP_SIDE**2)
        return self._choose(maps.edges & maps.is_content, maps.radius, maps.label, maps.images, order)

    def draw_maps(self, chance: Chance, atlas: Atlas, optics: Optics) -> CropMaps:
        """Draw crops with all their pixels."""
        light, radius, layers = self._draw_scene(chance, atlas, optics)
        is_shaded = chance.toss(SHADE_SHARE)[:, None, None]
        factor, glow = (
            _trim(jnp.where(is_shaded, shade, none), SCENE_BORDER)
            for shade, none in zip(draw_shade(chance), (1.0, 0.0), strict=True)
        )
        shaded = light * factor[..., None] + glow[..., None]
        number = np.arange(sum(self.mix))
        may_resize = (number < self.mix.uniform) | (number >= self.mix.uniform + self.mix.gradual)
        shot = shoot(shaded, chance, may_resize=may_resize)
        is_content = apply_resize(find_content(light, factor, shaded).astype(jnp.float32)[..., None], shot.resize)
        edges = _trim(find_edges(shot.images, chance.draw(*EDGE_QUANTILES)), PATCH_RADIUS)
        is_content = _trim(is_content[..., 0], BORDER + PATCH_RADIUS) >= 0.5
        return CropMaps(shot.images, edges, is_content, *self._label(radius, layers, optics, shot))

    def _draw_scene(self, chance: Chance, atlas: Atlas, optics: Optics) -> tuple[Any, Any, list[_Layer]]:
        """Light, radius of the background in px, and the layers over it in the composites, far to near."""
        uniform, gradual, composite = self.mix
        first, number = uniform + gradual, jnp.arange(sum(self.mix))
        is_gradual = (number >= uniform) & (number < first)
        kind = chance.choose([aperture.share for aperture in list_apertures()])
        kind = jnp.where(is_gradual, 0, kind)  # ramps have the moments of disks
        drawn = _draw_radius(chance)
        other = jnp.where(chance.toss(FOCUS_SHARE), chance.draw(*FOCUS_RADII), _draw_radius(chance))
        swap = chance.toss()
        near, far = jnp.where(swap, other, drawn), jnp.where(swap, drawn, other)
        level = jnp.where(chance.toss(self.level_share), MIN_RADIUS + RADIUS_STEP * chance.count(N_LEVELS), drawn)
        row = kind * STEPS + _count_steps(jnp.where(number >= first, far, level))
        source = _draw_light(draw_cut(atlas, self.kinds, "sharp", chance), chance, atlas)
        ramp = drawn[:, None, None] + _draw_ramp(chance)
        ramp = jnp.where(chance.toss()[:, None, None], jnp.round(ramp / RADIUS_STEP) * RADIUS_STEP, ramp)
        steps = _count_steps(ramp)
        radius = jnp.where(is_gradual[:, None, None], steps / STEPS_PER_PIXEL, optics.radius[row][:, None, None])
        light = blur(source, row, optics)
        if gradual:
            ramps = blur_ramp(source[uniform:first], steps[uniform:first], optics)
            light = light.at[uniform:first].set(ramps)
        middle = jnp.where(chance.toss(SAME_DEPTH_SHARE), far, _draw_radius(chance))
        layers: list[_Layer] = []
        if not composite:
            return _trim(light, SCENE_BORDER), _trim(radius, SCENE_BORDER), layers
        for layer_radius, share in ((middle, MIDDLE_SHARE), (near, 1.0)):
            layer = self._draw_layer(chance, atlas, kind * STEPS + _count_steps(layer_radius), share)
            layers.append(_Layer(*(each[first:] for each in layer)))
        covered = light[first:]
        for layer in layers:
            covered = cover(covered, layer.light, layer.matte, layer.row, optics)
        light = light.at[first:].set(covered)
        return _trim(light, SCENE_BORDER), _trim(radius, SCENE_BORDER), layers

    def _draw_layer(self, chance: Chance, atlas: Atlas, row: Any, share: float) -> _Layer:
        """A layer that is there in a share of the crops."""
        light, matte_cut, is_inverted = draw_layer(atlas, self.kinds, chance)
        matte = cut_pixels(atlas.pixels, matte_cut)[..., 3]
        matte = jnp.where(is_inverted[:, None, None], 1 - matte, matte)
        matte = jnp.where(chance.toss(share)[:, None, None], matte, 0.0)
        return _Layer(_draw_light(light, chance, atlas), matte, row)

    def _label(self, radius: Any, layers: list[_Layer], optics: Optics, shot: Shot) -> tuple[Any, Any]:
        """Radius within the levels and E-NET label of each inner pixel, (B, 24, 24) each."""
        first, inner = self.mix.uniform + self.mix.gradual, BORDER + PATCH_RADIUS
        outer = inner - LABEL_REACH
        factor = shot.factor[:, None, None]
        softened = 4 * _PIXEL_VARIANCE * jnp.maximum(factor**2 - 1, 0)
        seen = jnp.sqrt((_trim(radius, outer) * factor) ** 2 + softened)  # px of the resized picture
        behind, labels = seen[first:], []
        covers = [
            _trim(apply_resize(_trim(layer.matte, SCENE_BORDER)[..., None], shot.resize[first:])[..., 0], outer) >= 0.5
            for layer in layers
        ]
        for number, (layer, covered) in enumerate(zip(layers, covers, strict=True)):
            own = optics.radius[layer.row][:, None, None]
            own = jnp.sqrt((own * factor[first:]) ** 2 + softened[first:])
            hidden = sum(covers[number + 1 :], jnp.zeros_like(covered))
            labels.append(label_rim(covered, own, behind, hidden))
            behind = jnp.where(covered, own, behind)
        label = jnp.zeros((len(radius), CROP_SIDE, CROP_SIDE))
        if layers:
            marks = jnp.stack(labels)
            undecided = jnp.where((marks == UNDECIDED).any(axis=0), UNDECIDED, 0.0)
            label = label.at[first:].set(jnp.where((marks == 1).any(axis=0), 1.0, undecided))
        return jnp.clip(_trim(seen.at[first:].set(behind), LABEL_REACH), MIN_RADIUS, MAX_RADIUS), label

    def _choose(self, edges: Any, radius: Any, label: Any, images: Any, order: Any) -> PhotoBatch:
        """Choose edge points of each crop."""
        crops = len(images)
        edges, radius, label = (each.reshape(crops, -1) for each in (edges, radius, label))
        chosen, valid = choose_balanced(edges, stratify(radius, label, self.balance), self.points, order)
        crop = jnp.broadcast_to(jnp.arange(crops)[:, None], chosen.shape)
        points = jnp.stack([crop, chosen // CROP_SIDE, chosen % CROP_SIDE], axis=-1).reshape(-1, 3)
        radius, label = (jnp.take_along_axis(each, chosen, axis=1).reshape(-1) for each in (radius, label))
        return PhotoBatch(images, points.astype(jnp.int32), radius, label, valid.reshape(-1).astype(jnp.float32))


def find_content(light: Any, factor: Any, shaded: Any) -> Any:
    """(B, 80, 80) bool: where the gradient of a picture is that of its content rather than of the light."""
    content, total = (_find_slope((each * LUMA).sum(axis=-1)) for each in (light, shaded))
    from_light = [whole - factor * part for whole, part in zip(total, content, strict=True)]
    strength = factor * jnp.hypot(*content)
    return jnp.hypot(*from_light) <= SHADE_LIMIT / (1 - SHADE_LIMIT) * strength + 1e-7


def _find_slope(values: Any) -> list[Any]:
    """Derivatives along both axes of smoothed values."""
    for axis in (1, 2):
        values = sum(weight * jnp.roll(values, shift - 2, axis) for shift, weight in enumerate(_SLOPE_TAPS))
    return [jnp.roll(values, -1, axis) - jnp.roll(values, 1, axis) for axis in (1, 2)]


def _draw_light(cut: Cut, chance: Chance, atlas: Atlas) -> Any:
    """Light of part of a picture in other colours, or a pattern, or both."""
    light = decode_light(cut_pixels(atlas.pixels, cut)[..., :3])
    exponent, saturation = (
        jnp.where(chance.toss(), chance.draw(*span), 1.0)[:, None, None, None]
        for span in (LIGHT_EXPONENTS, SATURATIONS)
    )
    light = jnp.maximum(light, 1e-6) ** exponent
    grey = light.mean(axis=-1, keepdims=True)
    light = jnp.maximum(grey + saturation * (light - grey), 0)
    turn = (chance.count(3) * chance.toss(TURN_SHARE))[:, None, None, None]  # another colour first
    light = jnp.where(turn == 1, jnp.roll(light, 1, -1), jnp.where(turn == 2, jnp.roll(light, 2, -1), light))
    pattern = draw_pattern(chance)
    use, kind = (each[:, None, None, None] for each in (chance.toss(PATTERN_SHARE), chance.draw()))
    patterned = jnp.where(kind < 0.4, pattern, jnp.where(kind < 0.7, pattern * light, 0.5 * (pattern + light)))
    cast = jnp.stack([chance.draw(*COLOUR_CAST) for _ in range(3)], axis=-1)
    gain = cast * jnp.exp(EXPOSURE_DEVIATION * chance.normal())[:, None]
    return jnp.where(use, patterned, light) * gain[:, None, None]


def _draw_radius(chance: Chance) -> Any:
    """Draw a radius as `CropSampler` does, px."""
    beyond = chance.draw(MAX_RADIUS, LARGEST_RADIUS)
    within = chance.draw(*RADII)
    return jnp.where(chance.toss(BEYOND_SHARE), beyond, within)


def _draw_ramp(chance: Chance) -> Any:
    """(B, 96, 96) difference from the radius in the middle, px."""
    axis = np.arange(SIDE) - SIDE / 2
    angle, slope = chance.draw(0, 2 * np.pi), chance.draw(0, STEEPEST_RAMP)
    down, right = slope * jnp.cos(angle), slope * jnp.sin(angle)
    return down[:, None, None] * axis[:, None] + right[:, None, None] * axis


def _count_steps(radius: Any) -> Any:
    """Number of the tabulated step whose radius is nearest, int32."""
    return jnp.clip(jnp.round(radius * STEPS_PER_PIXEL), 0, LARGEST_STEP).astype(jnp.int32)


def _trim(values: Any, border: int) -> Any:
    """Cut a border away from (B, H, W, …) values."""
    return values[:, border:-border, border:-border]
