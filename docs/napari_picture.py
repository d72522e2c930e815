"""Take the picture of the plugin in napari: `xvfb-run -a python docs/napari_picture.py`. Needs OpenGL, such as Mesa."""

from __future__ import annotations

import time
from pathlib import Path

import cv2
import napari
import skimage.data
from qtpy.QtWidgets import QApplication

from defocus_edge.napari_plugin.widgets import make_estimate_widget, make_mask_widget

#: Where the picture of the documentation lies.
PICTURE = Path(__file__).resolve().parent / "pictures" / "napari.jpg"
_SIZE, _QUALITY, _PATIENCE = (1100, 720), 82, 120  # px, JPEG, seconds


def wait_for_layers(viewer: napari.Viewer, count: int) -> None:
    """Let napari work until it has so many layers."""
    end = time.monotonic() + _PATIENCE
    while len(viewer.layers) < count and time.monotonic() < end:
        QApplication.processEvents()
        time.sleep(0.05)


def main() -> None:
    """Estimate a map in napari and take a picture of the window."""
    viewer = napari.Viewer(show=True)
    viewer.window.resize(*_SIZE)
    photo = viewer.add_image(skimage.data.chelsea(), name="chelsea", rgb=True)
    estimate, mask = make_estimate_widget(), make_mask_widget()
    viewer.window.add_dock_widget(estimate, name="Blur map")
    viewer.window.add_dock_widget(mask, name="Blur mask")
    estimate(viewer, photo)
    wait_for_layers(viewer, 2)
    mask(viewer, photo)
    wait_for_layers(viewer, 3)
    viewer.layers[1].opacity, viewer.layers[2].opacity = 0.7, 0.3
    viewer.reset_view()
    for _ in range(20):
        QApplication.processEvents()
        time.sleep(0.05)
    picture = viewer.screenshot(canvas_only=False, flash=False)[..., 2::-1]
    PICTURE.write_bytes(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1].tobytes())
    viewer.close()


if __name__ == "__main__":
    main()
