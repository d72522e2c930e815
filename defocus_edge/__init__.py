"""How blurred is each part of a photograph: a map of blur radius in pixels.

>>> from defocus_edge import estimate_blur
>>> estimate = estimate_blur(image)  # doctest: +SKIP
>>> estimate.radius  # (H, W) float32, px  # doctest: +SKIP
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from defocus_edge._version import __version__

if TYPE_CHECKING:
    from defocus_edge.arrays import ImageWarning
    from defocus_edge.estimation.result import BlurEstimate
    from defocus_edge.files.atomic import ImageReadError
    from defocus_edge.files.images import count_pages, read_image
    from defocus_edge.files.maps import read_map, write_map
    from defocus_edge.masks import BlurDetector, BlurMask, detect_blur
    from defocus_edge.networks.onnx.export import export_onnx
    from defocus_edge.networks.preset_files import PresetError, list_presets
    from defocus_edge.pipeline import BlurEstimator, estimate_blur
    from defocus_edge.propagation.propagate import NoEdgesError
    from defocus_edge.radius_networks import RadiusEstimator
    from defocus_edge.sharpening.deblurring import deblur
    from defocus_edge.sharpening.deconvolution import deconvolve
    from defocus_edge.sharpening.noise import estimate_noise

# Public name to its module: loaded on first use, so that importing the package loads neither TensorFlow nor Numba.
# No module may have a public name: importing it would put the module in the place of what the name stands for.
_HOMES = {
    "BlurDetector": "masks",
    "BlurEstimate": "estimation.result",
    "BlurEstimator": "pipeline",
    "BlurMask": "masks",
    "ImageReadError": "files.atomic",
    "ImageWarning": "arrays",
    "NoEdgesError": "propagation.propagate",
    "PresetError": "networks.preset_files",
    "RadiusEstimator": "radius_networks",
    "count_pages": "files.images",
    "deblur": "sharpening.deblurring",
    "deconvolve": "sharpening.deconvolution",
    "detect_blur": "masks",
    "estimate_blur": "pipeline",
    "estimate_noise": "sharpening.noise",
    "export_onnx": "networks.onnx.export",
    "list_presets": "networks.preset_files",
    "read_image": "files.images",
    "read_map": "files.maps",
    "write_map": "files.maps",
}

__all__ = [
    "BlurDetector",
    "BlurEstimate",
    "BlurEstimator",
    "BlurMask",
    "ImageReadError",
    "ImageWarning",
    "NoEdgesError",
    "PresetError",
    "RadiusEstimator",
    "__version__",
    "count_pages",
    "deblur",
    "deconvolve",
    "detect_blur",
    "estimate_blur",
    "estimate_noise",
    "export_onnx",
    "list_presets",
    "read_image",
    "read_map",
    "write_map",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
