"""The widgets in a napari without a display: a process of its own, since Qt and the tests' warnings do not mix."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

CODE = """
import json, sys, time
import numpy as np, skimage.data
from napari.components import ViewerModel
from npe2 import PluginManifest
from defocus_edge.napari_plugin import widgets
from defocus_edge.pipeline import BlurEstimator
from defocus_edge.files.atomic import ImageReadError
from napari.utils.notifications import notification_manager
from qtpy.QtWidgets import QApplication

manifest = PluginManifest.from_distribution("defocus-edge")
found = {"commands": [command.python_name for command in manifest.contributions.commands]}
application = QApplication([])
viewer = ViewerModel()  # what a viewer shows, without a window and without OpenGL
photo = skimage.data.chelsea()[:80, 100:200]
stack = np.stack([photo, photo[:, ::-1]])
place = {"scale": (2, 0.5, 0.5), "translate": (0, 10, 20), "units": ("s", "um", "um")}
layer = viewer.add_image(stack, name="cat", rgb=True, **place)

def wait(count):
    end = time.monotonic() + 100
    while len(viewer.layers) < count and time.monotonic() < end:
        QApplication.processEvents()
        time.sleep(0.02)
    return viewer.layers[-1]

estimate = widgets.make_estimate_widget()
estimate(viewer, layer, with_confidence=False)
result = wait(2)
alone = BlurEstimator(widgets.FAST_PRESET).estimate(photo).radius
found |= {
    "name": result.name,
    "shape": result.data.shape,
    "scale": list(result.scale),
    "translate": list(result.translate),
    "units": [str(unit) for unit in result.units],
    "unit": result.metadata["unit"],
    "difference": float(np.abs(result.data[0] - alone).max()),
}
mask = widgets.make_mask_widget()
mask(viewer, layer, radius=1.0)
labels = wait(3)
found |= {"labels": labels.name, "equal": bool((labels.data == (result.data > 1)).all())}
told = []
notification_manager.notification_ready.connect(lambda event: told.append(event.message))
small = viewer.add_image(np.zeros((8, 8)), name="small")
estimate(viewer, small)
end = time.monotonic() + 30
while not told and time.monotonic() < end:
    QApplication.processEvents()
    time.sleep(0.02)
found["told"] = told
print("RESULT" + json.dumps(found))
"""


@pytest.fixture(scope="module")
def found(repository):
    """What a napari with the widgets found."""
    if find_spec("napari") is None or find_spec("PyQt6") is None:
        pytest.skip("napari and PyQt6 are not installed")
    environment = os.environ | {"QT_QPA_PLATFORM": "offscreen", "PYTHONPATH": str(repository)}
    run = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, check=False, env=environment, timeout=300
    )
    if "Could not load the Qt platform plugin" in run.stderr or "libEGL" in run.stderr:
        pytest.skip("Qt finds no libEGL on this system")
    lines = [line for line in run.stdout.splitlines() if line.startswith("RESULT")]
    assert lines, run.stderr
    return json.loads(lines[0].removeprefix("RESULT"))


def test_napari_finds_the_widgets(found):
    assert found["commands"] == [
        "defocus_edge.napari_plugin.widgets:make_estimate_widget",
        "defocus_edge.napari_plugin.widgets:make_mask_widget",
    ]


def test_the_map_is_a_layer_over_the_photograph(found):
    assert found["name"] == "cat: blur radius (px)"
    assert found["unit"] == "px"
    assert found["shape"] == [2, 80, 100]
    assert (found["scale"], found["translate"]) == ([2, 0.5, 0.5], [0, 10, 20])
    assert found["units"] == ["second", "micrometer", "micrometer"]
    assert found["difference"] == 0


def test_the_mask_is_a_layer_of_labels(found):
    assert found["labels"] == "cat: out of focus"
    assert found["equal"]


def test_a_wrong_layer_is_told(found):
    assert len(found["told"]) == 1
    assert "at least 20 px on each side" in found["told"][0]
