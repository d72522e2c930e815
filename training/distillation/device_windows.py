"""Windows that are drawn, rendered and answered on the accelerator, with JAX."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from defocus_edge.blur_levels import N_LEVELS
from defocus_edge.networks.edge.networks import EdgeNetworks
from defocus_edge.networks.edge.patches import PATCH_RADIUS
from training.data.camera import EDGE_QUANTILES
from training.data.sources import Sources
from training.distillation.answers import GRID_STEP
from training.distillation.model import StudentModel
from training.distillation.settings import StudentSettings
from training.distillation.windows import WINDOW_SQUARES, WindowBatch
from training.edges.device.apertures import Optics, build_optics
from training.edges.device.atlas import MARGIN, Atlas, Kinds, build_atlas, cut_pixels, draw_cut
from training.edges.device.chance import Chance
from training.edges.device.edges import find_edges
from training.edges.device.features import SquareFeatures
from training.edges.device.lazy_jax import jax, jnp
from training.edges.device.photos import Mix, PhotoSampler
from training.edges.device.sampler import FACTORS, check_layers, split_crops

#: Factors of the sizes of photographs: as they are, and halved as the estimator does.
PHOTO_FACTORS = (1.0, 0.5)


class Teacher(NamedTuple):
    """A function of weights, windows (B, 64, 64, 3) and squares (P, 3) to answers (P, 25), and its weights."""

    say: Callable[[Any, Any, Any], Any]
    weights: Any


class _Pictures(NamedTuple):
    """What windows are made of, in the memory of the accelerator."""

    rendered: Atlas
    photographs: Atlas | None
    optics: Optics


class DeviceWindows:
    """Draws windows without end on the accelerator that JAX sees, and asks the teacher about them.

    The rendered ones are the crops of `DeviceCropSampler`. ValueError if a family cannot be drawn here, if there is no
    photograph of 96×96 px and `StudentSettings.photo_share` is not 0, or if a window shall have more than its 64
    squares; else as `DeviceCropSampler`.
    """

    def __init__(
        self,
        sources: Sources,
        photographs: Sequence[NDArray[np.uint8]],
        teacher: Teacher,
        settings: StudentSettings,
    ) -> None:
        if others := sorted(set(settings.families) - set(Mix._fields)):
            msg = f"families must be of {', '.join(Mix._fields)} with the sampler 'device'. Got: {', '.join(others)}."
            raise ValueError(msg)
        if settings.squares > WINDOW_SQUARES**2:
            msg = f"squares must be at most {WINDOW_SQUARES**2} with the sampler 'device'. Got: {settings.squares}."
            raise ValueError(msg)
        rendered, self._kinds = build_atlas(sources, FACTORS)
        check_layers(settings.families, self._kinds, FACTORS)
        shown: Atlas | None = None
        self._shown: Kinds = {}
        if settings.photo_share:
            shown, self._shown = build_atlas(Sources(sharp=list(photographs)), PHOTO_FACTORS)
        self._pictures = _Pictures(rendered, shown, build_optics())
        self._teacher, self._settings = teacher, settings
        self._compiled: dict[tuple[int, int], Any] = {}

    def draw_batch(self, windows: int, squares: int, *, rng: np.random.Generator) -> WindowBatch:
        """See `WindowSampler.draw_batch`; the arrays lie in the memory of the accelerator.

        Another version of JAX or kind of accelerator draws other numbers.
        """
        size = (windows, squares)
        if size not in self._compiled:
            self._compiled[size] = jax.jit(self._build(*size))
        key = jax.random.key(rng.integers(2**32))
        return WindowBatch(*self._compiled[size](key, self._pictures, self._teacher.weights))

    def _build(self, windows: int, squares: int) -> Callable[[Any, _Pictures, Any], tuple[Any, ...]]:
        """The function that draws a batch from a key."""
        settings = self._settings
        photos = round(windows * settings.photo_share)
        shares = np.array([settings.families.get(name, 0.0) for name in Mix._fields])
        mix = split_crops(shares / shares.sum(), windows - photos)
        sampler = PhotoSampler(self._kinds, mix, settings.level_share, 1, "radius")

        def draw(key: Any, pictures: _Pictures, weights: Any) -> tuple[Any, ...]:
            rendering, showing, choosing = jax.random.split(key, 3)
            drawn = _render(sampler, Chance(rendering, sum(mix)), pictures)
            if photos:
                shown = _show(Chance(showing, photos), pictures.photographs, self._shown)
                drawn = [jnp.concatenate(pair) for pair in zip(drawn, shown, strict=True)]
            images, edges, truth = drawn
            has_edge, radius = find_squares(edges, truth)
            chosen, valid = _choose(has_edge, squares, jax.random.uniform(choosing, has_edge.shape))
            number = jnp.broadcast_to(jnp.arange(windows)[:, None], chosen.shape)
            places = jnp.stack([number, chosen // WINDOW_SQUARES, chosen % WINDOW_SQUARES], axis=-1)
            places = places.reshape(-1, 3).astype(jnp.int32)
            said = self._teacher.say(weights, images, places)
            radius = jnp.take_along_axis(radius, chosen, axis=1).reshape(-1, 1)
            answers = jnp.concatenate([said[:, :N_LEVELS], said[:, -1:], radius], axis=1)
            return images, places, answers, valid.reshape(-1).astype(jnp.float32)

        return draw


def build_teacher(networks: EdgeNetworks, precision: str) -> Teacher:
    """Networks as a teacher that looks at squares; Keras must run on JAX."""
    model = StudentModel(networks, precision=precision, features=SquareFeatures)
    model.built = True  # its layers are those of the networks, which have their weights

    def say(weights: Any, images: Any, squares: Any) -> Any:
        output, _ = model.stateless_call(*weights, {"images": images, "squares": squares})
        return output

    values = [
        [variable.value for variable in each] for each in (model.trainable_variables, model.non_trainable_variables)
    ]
    return Teacher(say, values)


def find_squares(edges: Any, truth: Any) -> tuple[Any, Any]:
    """Which squares of windows hold edge points, and the true radius at the point next to the middle, (B, 64) each.

    `edges` and `truth` are (B, 24, 24).
    """
    away = np.abs(np.arange(GRID_STEP) - GRID_STEP // 2)
    order = np.add.outer(away, away).ravel()
    parts = [_part(each) for each in (edges, truth)]
    nearest = jnp.argmin(jnp.where(parts[0], order, len(order)), axis=-1)
    return parts[0].any(axis=-1), jnp.take_along_axis(parts[1], nearest[..., None], axis=-1)[..., 0]


def _part(maps: Any) -> Any:
    """(B, 24, 24) to the nine pixels of each square, (B, 64, 9)."""
    side, step = WINDOW_SQUARES, GRID_STEP
    return maps.reshape(-1, side, step, side, step).transpose(0, 1, 3, 2, 4).reshape(-1, side**2, step**2)


def _choose(has_edge: Any, count: int, chance: Any) -> tuple[Any, Any]:
    """Choose squares of each window at random, (B, count), those without edges last, and say which have edges."""
    _, chosen = jax.lax.top_k(jnp.where(has_edge, chance, -1.0), count)
    return chosen, jnp.take_along_axis(has_edge, chosen, axis=1)


def _render(sampler: PhotoSampler, chance: Chance, pictures: _Pictures) -> list[Any]:
    """Rendered windows, their edge points and the true radii, NaN at depth edges and where light makes the edge."""
    maps = sampler.draw_maps(chance, pictures.rendered, pictures.optics)
    return [maps.images, maps.edges, jnp.where(maps.is_content & (maps.label != 1), maps.radius, jnp.nan)]


def _show(chance: Chance, atlas: Any, kinds: Kinds) -> list[Any]:
    """Windows of photographs, their edge points, and NaN as radii."""
    images = cut_pixels(atlas.pixels, draw_cut(atlas, kinds, "sharp", chance))[:, MARGIN:-MARGIN, MARGIN:-MARGIN, :3]
    edges = find_edges(images, chance.draw(*EDGE_QUANTILES))[:, PATCH_RADIUS:-PATCH_RADIUS, PATCH_RADIUS:-PATCH_RADIUS]
    return [images, edges, jnp.full(edges.shape, jnp.nan)]
