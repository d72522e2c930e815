"""Ask the teacher about the scenes of a store of samples and about photographs, in some processes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from defocus_edge.estimation.reduction import reduce_pictures
from defocus_edge.files.atomic import atomic_write
from defocus_edge.networks.edge.dense import DenseEvaluator
from defocus_edge.networks.engines import start_engine
from defocus_edge.networks.preset_files import read_metadata
from synth.workers import start_workers
from training.context.measuring import DEVELOPMENT, SCENES
from training.context.samples import list_samples, read_sample
from training.data.broad_scenes import FAMILY_SCENES, Pictures, load_pictures, render_broad_scene
from training.data.sources import SHARP_FOLDERS, list_pictures, read_8_bit, split_paths
from training.distillation.answers import GRID_STEP, Answers, ask, store_answers

#: Folders of photographs below the root; those that are not there are left out.
PHOTO_FOLDERS = (*SHARP_FOLDERS, "salient", "real/cuhk")
#: Folders of the answers: about pictures that are learnt from, and about held-back ones.
TRAINING, HELD_BACK = "training", "development"
#: File of a store with the SHA-256 of the weights that answered.
TEACHER_FILE = "teacher.sha256"
#: Largest side in px of what is cut out of a photograph. Larger photographs are halved first while their shorter side
#: stays above it.
PHOTO_SIDE = 360
#: One scene in this many is also asked about at half its size, as the estimator does.
HALVED = 3
# Seed of the places of photographs that are cut out.
_SEED = 11


@dataclass(frozen=True)
class Lesson:
    """What the teacher is asked about."""

    #: Folder of the pictures and of the samples, None for none; and the folder for the answers.
    root: Path | None
    samples: Path
    store: Path
    #: Weights that answer.
    teacher: str
    #: Scenes of each family of the broad development set to render from the pictures of `root` that are learnt from.
    broad: int = 0


def list_work(lesson: Lesson) -> list[tuple[str, str, Path, int]]:
    """Folder of the answers, kind, path and number of everything that the teacher is asked about.

    Kinds are ``"scene"``, ``"photo"`` and ``"broad"``; the path of the last one is the name of a family.
    """
    work = [
        (folder, "scene", path, number)
        for folder, own in ((TRAINING, SCENES), (HELD_BACK, DEVELOPMENT))
        for number, path in enumerate(list_samples(lesson.samples / own))
    ]
    for folder, is_held_back in ((TRAINING, False), (HELD_BACK, True)):
        photos = list_photographs(lesson.root, development=is_held_back) if lesson.root is not None else []
        work += [(folder, "photo", path, number) for number, path in enumerate(photos)]
    return work + [(TRAINING, "broad", Path(name), number) for number in range(lesson.broad) for name in FAMILY_SCENES]


def list_photographs(root: Path, *, development: bool) -> list[Path]:
    """Photographs below a root, on one side of the split of each folder."""
    chosen: list[Path] = []
    for photos in (root / name for name in PHOTO_FOLDERS if (root / name).is_dir()):
        pictures = [path for path in list_pictures(photos) if not path.stem.endswith("_mask")]
        chosen += split_paths(pictures, development=development)
    return chosen


def check_teacher(store: Path, teacher: str) -> None:
    """Raise ValueError if a store says that another teacher filled it, by the checksum of its weights."""
    path = store / TEACHER_FILE
    if path.is_file() and path.read_text(encoding="utf-8") != read_metadata(teacher)["sha256"]:
        msg = f"teacher must be the preset whose answers {store} holds. Got: {teacher}, whose weights are others."
        raise ValueError(msg)


def fill_answers(lesson: Lesson, *, jobs: int) -> Iterator[int]:
    """Ask about what the store does not hold yet; yields how many of `list_work` are done.

    ValueError if the store holds the answers of another teacher, or scenes are to be rendered of no pictures.
    """
    check_teacher(lesson.store, lesson.teacher)
    if lesson.broad and lesson.root is None:
        msg = f"root must be given to render scenes of the broad set. Got: broad={lesson.broad}."
        raise ValueError(msg)
    with atomic_write(lesson.store / TEACHER_FILE) as temporary:
        temporary.write_text(read_metadata(lesson.teacher)["sha256"], encoding="utf-8")
    with start_workers(jobs) as executor:
        waiting = [executor.submit(_answer, lesson, *work) for work in list_work(lesson)]
        for done, future in enumerate(waiting, start=1):
            future.result()
            yield done


def _answer(lesson: Lesson, folder: str, kind: str, path: Path, number: int) -> None:
    """Store the answers to one picture."""
    store, name = lesson.store / folder, f"{path.parent.name}-{path.name.split('.')[0]}"
    teacher = _load_teacher(lesson.teacher)
    if kind == "photo":
        store_answers(store, name, lambda: ask(_cut_photo(path, number), None, teacher))
        return
    if kind == "broad":
        store_answers(store, f"broad-{path}-{number:04}", lambda: _ask_about_family(lesson, str(path), number, teacher))
        return
    for halvings in range(2 if number % HALVED == 0 else 1):
        store_answers(store, f"{name}-{halvings}", partial(_ask_about_scene, path, halvings, teacher))


def _ask_about_scene(path: Path, halvings: int, teacher: DenseEvaluator) -> Answers | None:
    sample = read_sample(path)
    image = np.divide(sample.image, 255, dtype=np.float32)
    truth = sample.truth.astype(np.float32)
    for _ in range(halvings):
        image = reduce_pictures(image, [1, 2])[1]
        truth = truth[::2, ::2][: image.shape[0], : image.shape[1]] / np.float32(2)
    return ask(image[: truth.shape[0], : truth.shape[1]], truth, teacher)


def _ask_about_family(lesson: Lesson, family: str, number: int, teacher: DenseEvaluator) -> Answers | None:
    scene = render_broad_scene(_load_pictures(str(lesson.root)), family, number)
    return ask(scene.image, scene.radius, teacher)


def _cut_photo(path: Path, number: int) -> NDArray[np.float32]:
    """A part of a photograph, the same one each time."""
    photo = np.divide(read_8_bit(path), 255, dtype=np.float32)
    while min(photo.shape[:2]) >= 2 * PHOTO_SIDE:
        photo = reduce_pictures(photo, [1, 2])[1]
    rng = np.random.default_rng((_SEED, number))
    top, left = (int(rng.integers(0, max(length - PHOTO_SIDE, 0) + 1)) for length in photo.shape[:2])
    return np.ascontiguousarray(photo[top : top + PHOTO_SIDE, left : left + PHOTO_SIDE])


@cache
def _load_pictures(root: str) -> Pictures:
    """The pictures that are learnt from, once in each process."""
    return load_pictures(root, development=False)


@cache
def _load_teacher(preset: str) -> DenseEvaluator:
    """The teacher on squares, once in each process."""
    return DenseEvaluator(start_engine(preset, grid_step=GRID_STEP))
