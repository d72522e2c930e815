"""Our estimate beside other methods on the same picture; run as a script.

HiFST is our own implementation. "Patch by patch" is how the program of the method's authors looks at edge points, with
our networks of the paper's width. VGG-19 is what DMENet has in front of its decoder: a lower bound of its time.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from defocus_edge import BlurEstimator
from defocus_edge.choices import DEFAULT_PRESET
from defocus_edge.estimation.edges import find_edges
from defocus_edge.networks.presets import load_edge_networks
from tests.benchmarks.bench_estimate import PRESETS, tile_photo
from tests.benchmarks.measuring import measure_medians, print_table
from tests.defocus_edge.networks.edge.patch_oracle import PatchEvaluator
from training.baselines.registry import BASELINES

SIDE = 360
ROUNDS = 2


def run() -> list[dict[str, Any]]:
    """One row for each method: seconds per megapixel, and how many times as long as the default preset takes."""
    photo = tile_photo(SIDE, SIDE)
    image = photo / np.float32(255)
    points = np.argwhere(find_edges(image))
    patches = PatchEvaluator(load_edge_networks("edge-v2"))
    vgg = keras.applications.VGG19(include_top=False, weights=None, input_shape=(SIDE, SIDE, 3))
    names = (DEFAULT_PRESET, *(preset for preset in PRESETS if preset != DEFAULT_PRESET))
    estimators = {name: BlurEstimator(name) for name in names}
    sides: dict[str, Callable[[], Any]] = {
        **{name: lambda estimator=estimator: estimator.estimate(photo) for name, estimator in estimators.items()},
        "edge-v2, patch by patch": lambda: patches.predict(image, points),
        "VGG-19": lambda: vgg.predict_on_batch(image[None]),
        **{name: lambda baseline=baseline: baseline.measure(image) for name, baseline in BASELINES.items()},
    }
    times = measure_medians(sides, ROUNDS)
    return [
        {
            "method": name,
            "s per megapixel": round(seconds / (SIDE * SIDE / 1e6), 1),
            f"times {DEFAULT_PRESET}": round(seconds / times[DEFAULT_PRESET], 2),
        }
        for name, seconds in times.items()
    ]


if __name__ == "__main__":
    print_table(f"Our estimate and other methods on {SIDE}×{SIDE} px", run())
