"""Crops a second for the training: rendered in one process against read from a store; run as a script."""

import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import skimage.data

from tests.benchmarks.measuring import measure_medians, print_table
from training.data.camera import CROP_SIDE
from training.data.sources import Cutout, DepthPicture, Sources
from training.edges import crop_store
from training.edges.config import read_config
from training.edges.crop_store import CropPlan, StoredCrops, pack_crops, write_shard
from training.edges.crops import CropSampler

ROUNDS = 3
#: Crops of one draw.
CROPS = 64


def run() -> list[dict[str, Any]]:
    """One row for each stage: crops/s of both sides and their ratio."""
    config = read_config("default")
    sources = make_sources()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder)
        families = config.bnet.families
        plan = CropPlan("dense", families, config.bnet.level_share, config.bnet.validation_stride)
        crop_store.write_plan(store, plan)
        for number in range(4):
            drawn = CropSampler(sources, families=families).draw_batch(
                crop_store.SHARD, CROP_SIDE**2, rng=np.random.default_rng(number)
            )
            write_shard(store, number, pack_crops(drawn))
        for name, settings in (("B-NET", config.bnet), ("E-NET", config.enet)):
            sides = {
                "rendered": CropSampler(sources, families=settings.families, level_share=settings.level_share),
                "stored": StoredCrops(store, settings),
            }
            draw = {
                side: partial(source.draw_batch, CROPS, settings.points, rng=np.random.default_rng(0))
                for side, source in sides.items()
            }
            times = measure_medians(draw, ROUNDS)
            rates = {side: CROPS / seconds for side, seconds in times.items()}
            ratio = rates["stored"] / rates["rendered"]
            rows.append(
                {
                    "stage": name,
                    "rendered crops/s": round(rates["rendered"]),
                    "stored crops/s": round(rates["stored"]),
                    "stored / rendered": round(ratio, 1),
                }
            )
    return rows


def make_sources() -> Sources:
    """Pictures that come with scikit-image, for all families."""
    pictures = [skimage.data.astronaut(), skimage.data.chelsea(), skimage.data.coffee(), skimage.data.rocket()]
    left, _, disparity = skimage.data.stereo_motorcycle()
    disk = np.hypot(*np.mgrid[-256:256, -256:256]) < 150
    mask = np.where(disk, np.uint8(255), np.uint8(0))
    known = np.nan_to_num(disparity, posinf=0).astype(np.float32)
    return Sources(pictures, [Cutout(pictures[0], mask)], [mask], [DepthPicture(left, known)])


if __name__ == "__main__":
    print_table("Crops for the training, rendered in one process and read from a store", run())
