"""Measure the samples that the context network learns from: rendered scenes, and photographs at two apertures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from defocus_edge.estimation.stages import spread
from defocus_edge.networks.edge.dense import DenseEvaluator
from defocus_edge.networks.engines import start_engine
from synth.workers import start_workers
from training.context.points import restore_blur
from training.context.samples import SUFFIX, Sample, list_samples, measure_sample, read_sample, store_sample
from training.context.scenes import draw_scene
from training.data.apertures import APERTURES, find_known, find_radius, fit_focus, list_scenes, read_scene
from training.data.broad_scenes import Pictures, load_pictures

#: Folders of the samples below the store.
SCENES, PHOTOS, DEVELOPMENT = "scenes", "photos", "development"
#: Folder of the photographs at two apertures below the root; they are optional.
APERTURE_FOLDER = "real/apertures"
#: Side of the tiles that the networks see, px: most scenes are one tile.
TILE_SIDE = 512
#: Number of scenes that a process measures in one go.
_CHUNK = 8
# First numbers of the seeds of scenes.
_SEEDS = {SCENES: 7, DEVELOPMENT: 8}


@dataclass(frozen=True)
class Plan:
    """Which samples a store is to hold: numbers of scenes, from which pictures, measured by which weights."""

    root: Path
    store: Path
    preset: str
    scenes: int
    development: int
    #: Another store, whose pictures are measured again in place of rendering scenes and reading photographs.
    pictures: Path | None = None


def fill_store(plan: Plan, *, jobs: int) -> Iterator[int]:
    """Measure the samples that the store does not hold yet, in some processes.

    Yields the number of samples that are done. Raises what `load_pictures` and `load_edge_networks` raise.
    """
    if plan.pictures is not None:
        yield from _fill_from(plan, plan.pictures, jobs)
        return
    numbers = {SCENES: plan.scenes, DEVELOPMENT: plan.development}
    chunks = [
        (folder, range(first, min(first + _CHUNK, count)))
        for folder, count in numbers.items()
        for first in range(0, count, _CHUNK)
    ]
    photos = _list_photos(plan.root)
    with start_workers(jobs) as executor:
        waiting = [executor.submit(_measure_photo, plan, name) for name in photos]
        waiting += [executor.submit(_measure_scenes, plan, folder, chunk) for folder, chunk in chunks]
        done = 0
        for future in waiting:
            done += future.result()
            yield done


def count_samples(plan: Plan) -> int:
    """Number of samples that `fill_store` deals with."""
    if plan.pictures is not None:
        return len(_list_measured(plan.pictures))
    return plan.scenes + plan.development + len(APERTURES) * len(_list_photos(plan.root))


def _list_measured(store: Path) -> list[Path]:
    return [path for folder in (SCENES, PHOTOS, DEVELOPMENT) for path in list_samples(store / folder)]


def _fill_from(plan: Plan, store: Path, jobs: int) -> Iterator[int]:
    """Measure the pictures of another store; their truth stays."""
    paths = _list_measured(store)
    if not paths:
        msg = f"pictures must be a store that python -m training samples has filled. Got: {store}."
        raise FileNotFoundError(msg)
    with start_workers(jobs) as executor:
        waiting = [executor.submit(_measure_again, plan, path) for path in paths]
        for done, future in enumerate(waiting, start=1):
            future.result()
            yield done


def _measure_again(plan: Plan, path: Path) -> None:
    def make() -> Sample | None:
        sample = read_sample(path)
        image = np.divide(sample.image, 255, dtype=np.float32)
        return measure_sample(image, sample.truth.astype(np.float32), _load_evaluator(plan.preset))

    store_sample(plan.store / path.parent.name, path.name.removesuffix(SUFFIX), make)


def _list_photos(root: Path) -> list[str]:
    """Photographs that may be learnt from; none without their folder."""
    folder = root / APERTURE_FOLDER
    return list_scenes(folder, judging=False) if folder.is_dir() else []


@cache
def _load_evaluator(preset: str) -> DenseEvaluator:
    """The networks of a preset, once in each process."""
    return DenseEvaluator(start_engine(preset), tile_side=TILE_SIDE)


@cache
def _load_pictures(root: Path, folder: str) -> Pictures:
    """The pictures of one side of the split, once in each process."""
    return load_pictures(root, development=folder == DEVELOPMENT)


def _measure_scenes(plan: Plan, folder: str, numbers: Sequence[int]) -> int:
    """Render and measure some scenes; return their number."""

    def make(number: int, name: str) -> Sample | None:
        rng = np.random.default_rng((_SEEDS[folder], number))
        scene = draw_scene(_load_pictures(plan.root, folder), name, rng)
        return measure_sample(scene.image, scene.radius, _load_evaluator(plan.preset))

    for number in numbers:
        name = f"scene-{number:05}"
        store_sample(plan.store / folder, name, partial(make, number, name))
    return len(numbers)


def _measure_photo(plan: Plan, name: str) -> int:
    """Measure a scene at both apertures; the truth is that of the focus distance that fits both maps best."""
    names = [f"{name}-f{number:g}" for number in APERTURES]
    scene = read_scene(plan.root / APERTURE_FOLDER, name)
    known = find_known(scene.depth)
    if known.any() and not all(store_sample(plan.store / PHOTOS, each, lambda: None) for each in names):
        evaluator = _load_evaluator(plan.preset)
        nothing = np.zeros(scene.depth.shape, np.float32)
        found = [measure_sample(image, nothing, evaluator) for image in scene.images]
        samples = [each for each in found if each is not None and not restore_blur(each).found.is_depth_edge.all()]
        if len(samples) == len(APERTURES):
            pairs = zip(scene.images, samples, strict=True)
            maps = [spread(image, restore_blur(sample))[0][known] for image, sample in pairs]
            focus = fit_focus(scene.depth[known], maps)
            for each, sample, aperture in zip(names, samples, APERTURES, strict=True):
                truth = np.where(known, find_radius(np.maximum(scene.depth, 1), focus, aperture), np.nan)
                store_sample(plan.store / PHOTOS, each, partial(_replace_truth, sample, truth))
    return len(APERTURES)


def _replace_truth(sample: Sample, truth: NDArray[np.float32]) -> Sample:
    """The same measurement with its truth."""
    return replace(sample, truth=truth.astype(np.float16))
