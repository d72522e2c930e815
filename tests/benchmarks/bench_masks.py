"""Each method of `detect_blur`: seconds for a small picture and a megapixel, parameters and multiply-adds."""

from typing import Any

import numpy as np
import skimage.data

from defocus_edge.choices import METHOD_PRESETS, METHODS
from defocus_edge.masks import BlurDetector
from defocus_edge.networks.preset_files import list_presets
from defocus_edge.networks.presets import load_segmentation_preset
from defocus_edge.networks.segmentation.registry import (
    SEGMENTATION_NETWORKS,
    build_segmentation_network,
)
from tests.benchmarks.measuring import measure_medians, print_table
from training.evaluation.costs import count_multiply_adds

#: What the papers resize pictures to.
SMALL = 320
#: A megapixel of a photograph.
LARGE = 1000
ROUNDS = 3


def run() -> list[dict[str, Any]]:
    """One row for each method whose preset is installed."""
    photo = skimage.data.astronaut()
    small = photo[:SMALL, :SMALL]
    large = np.tile(photo, (2, 2, 1))[:LARGE, :LARGE]
    chosen = [method for method in METHODS if METHOD_PRESETS[method] in list_presets()]
    detectors = {method: BlurDetector(method) for method in chosen}
    calls = {
        (method, size): lambda method=method, image=image: detectors[method].detect(image)
        for method in chosen
        for size, image in ((SMALL, small), (LARGE, large))
    }
    times = measure_medians(calls, ROUNDS)
    return [
        {
            "method": method,
            f"s / {SMALL}×{SMALL}": round(times[method, SMALL], 2),
            "s / megapixel": round(times[method, LARGE] / (LARGE**2 / 1e6), 2),
            **describe_network(method),
        }
        for method in chosen
    ]


def describe_network(method: str) -> dict[str, str]:
    """Parameters and multiply-adds of the preset and of the paper's network; those of the map depend on its edges."""
    if method not in SEGMENTATION_NETWORKS:
        return {"parameters": "0.56 + 0.71 M", "G multiply-adds / 320×320": "–", "paper's": "–"}
    preset, paper = load_segmentation_preset(METHOD_PRESETS[method]).model, build_segmentation_network(method)
    return {
        "parameters": f"{preset.count_params() / 1e6:.2f} M",
        "G multiply-adds / 320×320": f"{count_multiply_adds(preset, SMALL, SMALL) / 1e9:.1f}",
        "paper's": f"{paper.count_params() / 1e6:.1f} M, {count_multiply_adds(paper, SMALL, SMALL) / 1e9:.0f} G",
    }


if __name__ == "__main__":
    print_table("Each method of detect_blur", run())
