"""The widgets of the plugin. They work in a thread, so that napari stays alive, and show how far they are."""

# No `from __future__ import annotations`: magicgui makes widgets of the types themselves.
from collections.abc import Callable, Generator
from functools import lru_cache
from typing import Any

import napari
import numpy as np
from magicgui import magicgui
from napari.layers import Image
from napari.qt.threading import create_worker
from napari.utils import progress
from napari.utils.notifications import show_error

from defocus_edge.choices import FAST_PRESET, MAP_METHOD, METHODS
from defocus_edge.napari_plugin.stacks import count_slices, detect_slices, estimate_slices
from defocus_edge.networks.preset_files import list_presets
from defocus_edge.pipeline import BlurEstimator
from defocus_edge.plots import choose_scale_top

#: Colours of maps, as in all pictures of the package.
COLOUR_MAP = "plasma"
_open_estimator = lru_cache(2)(BlurEstimator)


@lru_cache(2)
def _open_detector(method: Any) -> Any:
    from defocus_edge.masks import BlurDetector  # here: it loads Keras

    return BlurDetector(method)


def make_estimate_widget() -> Any:
    """Widget that adds the blur map of an image layer, slice by slice."""
    presets = [name for name in list_presets() if name.startswith("edge")]

    @magicgui(
        call_button="Estimate",
        preset={"choices": presets},
        with_confidence={"label": "also its confidence"},
    )
    def estimate(viewer: napari.Viewer, image: Image, preset: str = FAST_PRESET, with_confidence: bool = False) -> None:
        def work() -> Generator[int, None, Any]:
            return (yield from estimate_slices(image.data, is_rgb=image.rgb, estimator=_open_estimator(preset)))

        def show(maps: tuple[Any, Any]) -> None:
            radius, confidence = maps
            top = choose_scale_top(np.nan_to_num(radius).reshape(-1, radius.shape[-1]))
            place = _copy_place(image)
            viewer.add_image(
                radius,
                name=f"{image.name}: blur radius (px)",
                colormap=COLOUR_MAP,
                contrast_limits=(0, top),
                metadata={"unit": "px", "quantity": "blur radius", "preset": preset},
                **place,
            )
            if with_confidence:
                viewer.add_image(
                    confidence, name=f"{image.name}: confidence", contrast_limits=(0, 1), visible=False, **place
                )

        _run(work, show, count=count_slices(image.data, is_rgb=image.rgb), title="Blur map")

    return estimate


def make_mask_widget() -> Any:
    """Widget that adds labels of what is out of focus in an image layer, slice by slice."""

    @magicgui(
        call_button="Find",
        method={"choices": list(METHODS)},
        radius={"label": "above px", "min": 0.0, "max": 96.0, "step": 0.1},
    )
    def mask(viewer: napari.Viewer, image: Image, method: str = MAP_METHOD, radius: float = 1.5) -> None:
        options = {"preset": FAST_PRESET, "radius": radius} if method == MAP_METHOD else {}

        def work() -> Generator[int, None, Any]:
            if method == MAP_METHOD:
                estimator = _open_estimator(FAST_PRESET)
                found, _ = yield from estimate_slices(image.data, is_rgb=image.rgb, estimator=estimator)
                return (~(found <= radius)).astype(np.uint8)  # where nothing shows it, nothing is in focus
            return (yield from detect_slices(image.data, is_rgb=image.rgb, detector=_open_detector(method)))

        def show(labels: Any) -> None:
            viewer.add_labels(
                labels,
                name=f"{image.name}: out of focus",
                metadata={"method": method, **options},
                **_copy_place(image),
            )

        _run(work, show, count=count_slices(image.data, is_rgb=image.rgb), title="Blur mask")

    return mask


def _copy_place(image: Image) -> dict[str, Any]:
    """Where a layer of (..., H, W) lies over an image layer: scale and translation, with their units."""
    return {"scale": image.scale, "translate": image.translate, "units": image.units}


def _run(work: Callable[[], Generator[int, None, Any]], show: Callable[[Any], None], *, count: int, title: str) -> None:
    """Run a generator in a thread, with a bar of its steps, and show what it returns, or what is wrong."""
    bar = progress(total=count, desc=title)
    steps = {
        "yielded": lambda _: bar.update(1),
        "returned": show,
        "errored": lambda error: show_error(f"{title}: {error}"),
        "finished": bar.close,
    }
    create_worker(work, _connect=steps, _start_thread=True)
