"""Crops that were rendered ahead, in files that are mapped into memory.

A folder holds ``crops.json``, which says what was rendered, and files of `SHARD` crops each, about 14 kB a crop. A file
follows from the plan and its number alone, so that several processes can share the work, and a second run renders only
what is missing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from defocus_edge.files.atomic import atomic_write
from defocus_edge.networks.edge.patches import PATCH_RADIUS
from synth.workers import start_workers
from training.data.camera import CROP_SIDE, FAMILIES
from training.edges.batches import Balance, CropBatch, CropSource, LabelledCrop, join_crops
from training.edges.renderers import Renderer, build_renderer, load_run_sources, name_renderer
from training.edges.settings import TrainingSettings

#: Number of crops in a file, and how its name ends.
SHARD, SUFFIX = 512, ".crops"
#: File that says what a folder holds.
PLAN_FILE = "crops.json"
#: Number of the layout of the files, and of the way in which crops are rendered.
VERSION = 1
#: Label of pixels that are no edge points; the others are those of `LabelledCrop.is_depth`.
NO_POINT = -2
_SIDE = CROP_SIDE + 2 * PATCH_RADIUS
_RECORD = np.dtype(
    [
        ("image", np.uint8, (_SIDE, _SIDE, 3)),
        ("radius", np.float16, (CROP_SIDE, CROP_SIDE)),
        ("label", np.int8, (CROP_SIDE, CROP_SIDE)),
        ("family", np.uint8),
    ]
)
_FAMILY_NAMES = tuple(FAMILIES)


class CropStoreError(ValueError):
    """A folder holds no crops, other crops than wanted, or a damaged file."""


@dataclass(frozen=True)
class CropPlan:
    """What the crops of a store are.

    Parameters
    ----------
    sampler : {'dense', 'device'}
        What renders them, see `build_renderer`.
    families : dict
        Family of scenes to how often it occurs.
    level_share, validation_stride, seed
        As in `TrainingSettings`.
    """

    sampler: Renderer
    families: dict[str, float]
    level_share: float
    validation_stride: int
    seed: int = 0

    def describe(self) -> dict[str, Any]:
        """What ``crops.json`` says."""
        return {"version": VERSION, **asdict(self)}


def fill_crop_store(plan: CropPlan, *, root: Path, folder: Path, crops: int, jobs: int) -> Iterator[int]:
    """Render the crops that a folder lacks, in some processes; yields the number of crops that are there.

    Raises CropStoreError if the folder holds crops of another plan; raises what `load_run_sources` raises.
    """
    path = folder / PLAN_FILE
    if path.is_file() and _read_plan(folder) != plan.describe():
        msg = f"store must be new or hold crops of the same plan, {plan.describe()}. Got: {_read_plan(folder)}."
        raise CropStoreError(msg)
    write_plan(folder, plan)
    done = 0
    with start_workers(jobs) as executor:
        key = json.dumps(asdict(plan))
        waiting = [executor.submit(_fill_shard, key, root, folder, number) for number in range(-(-crops // SHARD))]
        for future in waiting:
            done += future.result()
            yield done


def write_plan(folder: Path, plan: CropPlan) -> None:
    """Write what a folder is to hold."""
    with atomic_write(folder / PLAN_FILE) as temporary:
        temporary.write_text(json.dumps(plan.describe(), indent=1), encoding="utf-8")


def write_shard(folder: Path, number: int, crops: NDArray[Any]) -> None:
    """Write one file."""
    with atomic_write(_find_shard(folder, number)) as temporary:
        temporary.write_bytes(crops.tobytes())


def _find_shard(folder: Path, number: int) -> Path:
    """Path of one file."""
    return folder / f"{number:06}{SUFFIX}"


def _fill_shard(plan: str, root: Path, folder: Path, number: int) -> int:
    """Render one file unless it is there; return the number of its crops."""
    if not _find_shard(folder, number).is_file():
        renderer, seed = _load_renderer(plan, root)
        batch = renderer.draw_batch(SHARD, CROP_SIDE**2, rng=np.random.default_rng((seed, number)))
        write_shard(folder, number, pack_crops(batch))
    return SHARD


@cache
def _load_renderer(plan: str, root: Path) -> tuple[CropSource, int]:
    """The sampler of a plan, given as JSON, and its seed; once in each process."""
    chosen = CropPlan(**json.loads(plan))
    sources = load_run_sources(root, chosen.sampler, development=False, stride=chosen.validation_stride)
    renderer = build_renderer(sources, chosen.sampler, families=chosen.families, level_share=chosen.level_share)
    return renderer, chosen.seed


def pack_crops(batch: CropBatch) -> NDArray[Any]:
    """Records of the crops of a batch that has room for all edge points."""
    images = np.asarray(batch.images)
    records = np.zeros(len(images), _RECORD)
    records["image"] = np.rint(images * 255)
    records["label"] = NO_POINT
    valid = batch.valid > 0
    at = tuple(np.asarray(batch.points)[valid].T)
    records["radius"][at], records["label"][at] = batch.radius[valid], batch.is_depth[valid]
    numbers = {name: number for number, name in enumerate(_FAMILY_NAMES)}
    records["family"] = [numbers[name] for name in batch.family.reshape(len(images), -1)[:, 0]]
    return records


class StoredCrops:
    """Draws batches from a store, each crop in a random one of its eight turns and mirrorings.

    Raises CropStoreError if the folder holds no crops, none of a family of the settings, or crops that were rendered
    with another sampler or `validation_stride`.
    """

    def __init__(self, folder: Path, settings: TrainingSettings) -> None:
        plan, families = _read_plan(folder), settings.families
        wanted = {"sampler": name_renderer(settings.sampler), "validation_stride": settings.validation_stride}
        for name, value in wanted.items():
            if plan[name] != value:
                msg = f"store must be rendered with {name} {value!r}. Got: {folder}, with {plan[name]!r}."
                raise CropStoreError(msg)
        self._shards = [_map_shard(path) for path in sorted(folder.glob(f"*{SUFFIX}"))]
        if not self._shards:
            msg = f"store must hold crops. Got: {folder}, which has none. Render some with: python -m training crops."
            raise CropStoreError(msg)
        kinds = np.concatenate([shard["family"] for shard in self._shards])
        self._members = {name: np.flatnonzero(kinds == _FAMILY_NAMES.index(name)) for name in families}
        for name, members in self._members.items():
            if not len(members):
                msg = f"store must hold crops of the family {name!r}. Got: {folder}, which has none."
                raise CropStoreError(msg)
        self._names = [name for name in FAMILIES if name in families]
        shares = np.array([families[name] for name in self._names])
        self._shares = shares / shares.sum()

    def __len__(self) -> int:
        return SHARD * len(self._shards)

    def draw_batch(
        self, crops: int, points_per_crop: int, *, rng: np.random.Generator, balance: Balance = "radius"
    ) -> CropBatch:
        """See `CropSampler.draw_batch`."""
        drawn = (self._draw_crop(rng) for _ in range(crops))
        return join_crops(drawn, crops, points_per_crop, rng=rng, balance=balance)

    def _draw_crop(self, rng: np.random.Generator) -> LabelledCrop:
        """One crop of a random family, turned."""
        name = str(rng.choice(self._names, p=self._shares))
        shard, place = divmod(int(rng.choice(self._members[name])), SHARD)
        record, quarters, mirror = self._shards[shard][place], int(rng.integers(4)), rng.random() < 0.5
        image, radius, label = (
            turned[:, ::-1] if mirror else turned
            for turned in (np.rot90(record[field], quarters) for field in ("image", "radius", "label"))
        )
        points = np.argwhere(label != NO_POINT).astype(np.int32)
        at = tuple(points.T)
        return LabelledCrop(name, image / np.float32(255), points, radius[at].astype(np.float32), label[at])


def _read_plan(folder: Path) -> dict[str, Any]:
    """What a folder says of its crops."""
    path = folder / PLAN_FILE
    if not path.is_file():
        msg = f"store must be a folder that python -m training crops has filled. Got: {folder}, without {PLAN_FILE}."
        raise CropStoreError(msg)
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        msg = f"{path} must be JSON that python -m training crops wrote. Got: {error}. Render the store anew."
        raise CropStoreError(msg) from error
    if found.get("version") != VERSION:
        msg = f"store must be of version {VERSION}. Got: {folder}, of version {found.get('version')}. Render it anew."
        raise CropStoreError(msg)
    return found


def _map_shard(path: Path) -> NDArray[Any]:
    """Map one file into memory."""
    size = path.stat().st_size
    if size != SHARD * _RECORD.itemsize:
        msg = f"{path} must have {SHARD * _RECORD.itemsize} bytes. Got: {size}. Remove it and fill the store again."
        raise CropStoreError(msg)
    return np.memmap(path, _RECORD, mode="r")
