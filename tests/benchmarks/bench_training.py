"""Training steps of B-NET on dense crops against independent patches, the same networks; run as a script.

Batches are made beforehand, of noise: drawing them overlaps with the step and is not counted.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from defocus_edge.blur_levels import MAX_RADIUS, MIN_RADIUS
from defocus_edge.networks.edge.networks import build_edge_networks
from defocus_edge.networks.edge.patches import PATCH_RADIUS
from tests.benchmarks.measuring import measure_medians, print_table
from training.data.camera import CROP_SIDE
from training.data.labels import share_levels
from training.edges.batches import CropBatch, PatchBatch
from training.edges.config import read_config
from training.edges.model import PointModel, build_model, compile_model
from training.edges.patch_sampler import cut_patches
from training.edges.settings import PATCHES_PER_CROP, TrainingSettings

#: Patches of one step, as in the paper.
PATCHES = 256
ROUNDS = 3


def run() -> list[dict[str, Any]]:
    """One row for each precision of the crops: edge samples/s of both sides and their ratio."""
    dense = replace(read_config("default").bnet, precision="float32")
    patches = replace(dense, sampler="patches", crops=PATCHES // PATCHES_PER_CROP, points=PATCHES_PER_CROP)
    half = replace(dense, precision="mixed_bfloat16")
    sides = {"dense": dense, "dense, bfloat16": half, "patches": patches}
    networks = build_edge_networks()
    models = {name: make_model(networks, settings) for name, settings in sides.items()}
    batches = {name: make_batch(settings) for name, settings in sides.items()}

    def take_step(name: str) -> None:
        batch = batches[name]
        models[name].train_on_batch(batch.inputs, batch.make_target(sides[name]))

    times = measure_medians({name: lambda name=name: take_step(name) for name in sides}, ROUNDS)
    rates = {name: len(batches[name].radius) / times[name] for name in sides}
    return [
        {
            "crops in": "bfloat16" if name == "dense, bfloat16" else "float32",
            "dense samples/s": round(rates[name]),
            "patches samples/s": round(rates["patches"]),
            "dense / patches": round(rates[name] / rates["patches"], 1),
            "dense step": f"{settings.crops} crops of {settings.points} points, {times[name]:.2f} s",
            "patches step": f"{PATCHES} patches, {times['patches']:.2f} s",
        }
        for name, settings in sides.items()
        if name != "patches"
    ]


def make_model(networks: Any, settings: TrainingSettings) -> PointModel:
    model = build_model(networks, settings)
    compile_model(model, settings)
    return model


def make_batch(settings: TrainingSettings) -> CropBatch | PatchBatch:
    """Noise with random points and radii."""
    rng = np.random.default_rng(0)
    count, side = settings.crops * settings.points, CROP_SIDE + 2 * PATCH_RADIUS
    radius = rng.uniform(MIN_RADIUS, MAX_RADIUS, count).astype(np.float32)
    labels = {
        "levels": share_levels(radius),
        "radius": radius,
        "is_depth": np.zeros(count, dtype=np.int8),
        "valid": np.ones(count, dtype=np.float32),
        "family": np.full(count, "uniform"),
    }
    images = rng.random((settings.crops, side, side, 3), dtype=np.float32)
    points = rng.integers(0, CROP_SIDE, (count, 3), dtype=np.int32)
    points[:, 0] = np.arange(count) // settings.points
    if settings.sampler == "patches":
        return PatchBatch(**labels, patches=cut_patches(images, points))
    return CropBatch(**labels, images=images, points=points)


if __name__ == "__main__":
    print_table("Training steps of B-NET on dense crops and on patches", run())
