"""Configurations of trainings, data sets, and what `synth` reads."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from defocus_edge.files.atomic import ImageReadError
from synth.coco import CocoError, draw_mask
from synth.depth import read_inverse_depth
from synth.folder import FILES, MANIFEST, RUN, FolderError, name_files, open_folder
from synth.loading import SourceError, load_mask
from synth.readers import LayoutError, Source, read_layout
from tests.fuzz.picture_targets import make_maps
from tests.fuzz.preset_targets import make_matlab_files
from tests.fuzz.target import Target
from training.context.settings import read_context_config
from training.data.map_datasets import (
    RTF_SHAPE,
    RTF_VARIABLE,
    MapPair,
    MapSetError,
    TruthUnit,
    list_folder,
    read_map_pair,
)
from training.data.mask_datasets import CUHK_COUNTS, CUHK_DEFOCUS, MaskPair, MaskSetError, _read_names, read_pair
from training.distillation.settings import read_student_config
from training.edges.config import read_config
from training.masks.config import read_mask_config
from training.runs.config import CONFIGS_FOLDER

SIDE = 24
RUN_VALUES = {"family": "uniform", "seed": 1, "rotations": [0.0, 90.0], "folders": ["a"], "pictures": 3}


def read_configuration(read: Callable[[str], object], data: bytes, folder: Path) -> None:
    path = folder / "own.toml"
    path.write_bytes(data)
    read(str(path))


def make_configuration_target(network: str, read: Callable[[str], object]) -> Target:
    return Target(
        f"configurations-{network if network != '.' else 'edges'}",
        lambda: [path.read_bytes() for path in sorted((CONFIGS_FOLDER / network).glob("*.toml"))],
        partial(read_configuration, read),
        (ValueError,),
        is_text=True,
    )


def make_runs() -> list[bytes]:
    return [json.dumps(RUN_VALUES).encode()]


def read_run(data: bytes, folder: Path) -> None:
    (folder / RUN).write_bytes(data)
    open_folder(folder, RUN_VALUES).close()


def make_manifests() -> list[bytes]:
    lines = [json.dumps({"sample": number, "radius": 1.5, "sources": ["a.png"]}) for number in range(3)]
    return ["\n".join([*lines, '{"sample": 3, "rad']).encode()]


def read_manifest(data: bytes, folder: Path) -> None:
    (folder / RUN).write_bytes(make_runs()[0])
    (folder / MANIFEST).write_bytes(data)
    for place, _ in FILES.values():
        (folder / place).mkdir(exist_ok=True)
    for name in name_files(1).values():
        (folder / name).write_bytes(b"x")
    run = open_folder(folder, RUN_VALUES)
    assert run.lines.keys() <= {1}
    run.close()


def make_instances() -> list[bytes]:
    polygon = [[1, 1, 20, 1, 20, 20, 1.5, 20]]
    runs = {"counts": [100, 200, SIDE * SIDE - 300], "size": [SIDE, SIDE]}
    packed = {"counts": "T3X6d8", "size": [SIDE, SIDE]}
    annotations = [
        {"id": number, "image_id": 7, "category_id": 1, "area": 300.0, "iscrowd": 0, "segmentation": segmentation}
        for number, segmentation in enumerate((polygon, runs, packed))
    ]
    images = [{"id": 7, "file_name": "a.png", "height": SIDE, "width": SIDE}]
    return [json.dumps({"images": images, "annotations": annotations}).encode()]


def read_instances(data: bytes, folder: Path) -> None:
    for place in ("annotations", "val"):
        (folder / place).mkdir(exist_ok=True)
    (folder / "val" / "a.png").write_bytes(b"not opened")
    (folder / "annotations" / "instances_val.json").write_bytes(data)
    for source in read_layout(folder, layout="coco")[1]:
        if source.outline is not None and np.prod(source.outline.size) <= SIDE * SIDE:
            draw_mask(source.outline)


def make_depth() -> list[bytes]:
    disparity = np.full((SIDE, SIDE), 99, np.uint8)
    disparity[:, 3:6] = 0
    pictures = [
        cv2.imencode(".png", picture)[1].tobytes() for picture in (disparity, disparity.astype(np.uint16) * 200)
    ]
    return [*pictures, *make_maps(".tif")[:1]]


def read_depth(data: bytes, folder: Path) -> None:
    path = folder / "a_depth.tif"
    path.write_bytes(data)
    for kind in ("disparity", "depth"):
        read_inverse_depth(path, kind=kind)


def make_masks() -> list[bytes]:
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[5:15, 5:15] = 255
    return [cv2.imencode(suffix, mask)[1].tobytes() for suffix in (".png", ".bmp", ".tif")]


def write_picture(folder: Path) -> Path:
    path = folder / "a.png"
    path.write_bytes(cv2.imencode(".png", np.full((SIDE, SIDE, 3), 99, np.uint8))[1].tobytes())
    return path


def read_mask(data: bytes, folder: Path) -> None:
    picture, path = write_picture(folder), folder / "a_mask.png"
    path.write_bytes(data)
    load_mask(Source(folder, picture.name, mask=path.name))
    read_pair(MaskPair("a", picture, path))


def make_lists() -> list[bytes]:
    names = [f"{number}.bmp--{CUHK_DEFOCUS}{number:04}.jpg" for number in range(1, 101)]
    return ["\n".join(names).encode(), "\r\n".join(names).encode("utf-8-sig")]


def read_list(data: bytes, folder: Path) -> None:
    """As `list_cuhk` does; without 1408 files for each list."""
    path = folder / "list.txt"
    path.write_bytes(data)
    known = {f"{CUHK_DEFOCUS}{number:04}" for number in range(1, CUHK_COUNTS[CUHK_DEFOCUS] + 1)}
    assert len(_read_names(path, known, "604/100", 100)) == 100


def read_true_map(data: bytes, folder: Path) -> None:
    """As in the RTF set, whose maps are MATLAB files."""
    picture, path = folder / "image_01.png", folder / "map_01.mat"
    if not picture.is_file():
        picture.write_bytes(cv2.imencode(".png", np.full((*RTF_SHAPE, 3), 99, np.uint8))[1].tobytes())
    path.write_bytes(data)
    read_map_pair(MapPair("01", "rtf", picture, path, columns=RTF_SHAPE[1]))


def make_radii() -> list[bytes]:
    file = io.BytesIO()
    np.save(file, np.full((SIDE, SIDE), 2, np.float32))
    return [file.getvalue()]


def read_radii(unit: TruthUnit, data: bytes, folder: Path) -> None:
    """A map beside its picture."""
    write_picture(folder)
    (folder / "a_radius.npy").write_bytes(data)
    (pair,) = list_folder(folder, unit=unit)
    read_map_pair(pair)


TARGETS = [
    make_configuration_target(".", read_config),
    make_configuration_target("msdu", partial(read_mask_config, "msdu")),
    make_configuration_target("context", read_context_config),
    make_configuration_target("student", read_student_config),
    Target("synth-runs", make_runs, read_run, (FolderError,), is_text=True),
    Target("synth-manifests", make_manifests, read_manifest, (FolderError,), is_text=True),
    Target("instance-files", make_instances, read_instances, (CocoError, LayoutError), is_text=True),
    Target("depth", make_depth, read_depth, (ImageReadError, ValueError)),
    Target("masks", make_masks, read_mask, (MaskSetError, ImageReadError, SourceError)),
    Target("lists-of-pictures", make_lists, read_list, (MaskSetError,), is_text=True),
    Target(
        "true-maps-matlab",
        partial(make_matlab_files, RTF_VARIABLE, RTF_SHAPE),
        read_true_map,
        (MapSetError, ImageReadError),
    ),
    Target("true-maps", make_radii, partial(read_radii, "sigma"), (MapSetError, ImageReadError)),
    Target("true-levels", make_radii, partial(read_radii, "level"), (MapSetError, ImageReadError)),
]
