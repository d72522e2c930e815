"""Draw the picture of the page on culling: `python docs/burst_picture.py [FILE]`.

Makes a burst of a photograph that comes with scikit-image: a person before a background, each out of focus by a known
radius. Prints the table of `defocus-edge rank` and draws its frames with the region that they are judged by.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import skimage.data
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from defocus_edge import BlurEstimator
from defocus_edge.arrays import as_image
from defocus_edge.choices import FAST_PRESET
from defocus_edge.cli.app import main as run_command
from defocus_edge.culling.bursts import Frame
from defocus_edge.culling.places import View, find_region, measure_views, reduce_map
from defocus_edge.culling.ranking import rank_frames
from defocus_edge.files.images import write_picture
from defocus_edge.psf import blur_with_disk, decode_srgb, encode_srgb

#: Where the picture of the documentation lies.
PICTURE = Path(__file__).resolve().parent / "pictures" / "burst.jpg"
#: Blur in px of the person and of the background, by frame.
RADII = {"IMG_1": (1.5, 4.0), "IMG_2": (0.0, 4.0), "IMG_3": (0.8, 4.0), "IMG_4": (4.0, 0.0)}
# Rows and columns of the photograph, and the ellipse around the person: centre (column, row) and half axes.
_PART, _ELLIPSE = (slice(0, 320), slice(60, 480)), ((165, 180), (95, 180))
_SOFTNESS = 1.0  # px, of the ellipse's rim
_JPEG_QUALITY = 85


def make_frame(subject: float, ground: float) -> NDArray[np.float32]:
    """The photograph with a person and a background out of focus."""
    image = as_image(skimage.data.astronaut())[_PART]
    matte = np.zeros(image.shape[:2], dtype=np.float32)
    cv2.ellipse(matte, *_ELLIPSE, 0, 0, 360, 1.0, -1)
    share = cv2.GaussianBlur(matte, (0, 0), _SOFTNESS)[..., np.newaxis]
    light = decode_srgb(image)
    near, far = (blur_with_disk(light, radius) if radius else light for radius in (subject, ground))
    return np.asarray(np.clip(encode_srgb(share * near + (1 - share) * far), 0, 1), dtype=np.float32)


def draw(path: Path, frames: dict[str, NDArray[np.float32]]) -> None:
    """Draw the frames with the outline of their region and their radius there."""
    estimator = BlurEstimator(FAST_PRESET)
    grids = {name: reduce_map(estimator.estimate(image).radius) for name, image in frames.items()}
    region, _ = find_region(list(grids.values()))
    size = next(iter(frames.values())).shape
    views = [View(Frame(name), grid, (size[0], size[1])) for name, grid in grids.items()]
    ranked = {frame.measurement.frame.picture: frame for frame in rank_frames(measure_views(views))}
    figure = Figure(figsize=(11, 2.5), dpi=110, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    panels: Any = figure.subplots(1, len(frames))
    outline = cv2.resize(region.astype(np.float32), (size[1], size[0]))
    for axes, (name, image) in zip(panels, frames.items(), strict=True):
        found = ranked[name]
        axes.imshow(image)
        axes.contour(outline, levels=[0.5], colors="cyan", linewidths=1.2)
        axes.set_title(f"{name}: {found.measurement.radius:.2f} px, {found.verdict}, rank {found.rank}", fontsize=9)
        axes.set_axis_off()
    figure.savefig(path, pil_kwargs={"quality": _JPEG_QUALITY})


def main(path: Path) -> None:
    """Print the table and draw the picture."""
    frames = {name: make_frame(*radii) for name, radii in RADII.items()}
    with tempfile.TemporaryDirectory() as place:
        for name, image in frames.items():
            write_picture(Path(place, f"{name}.png"), np.rint(255 * image).astype(np.uint8))
        run_command(["rank", place, "--by", "folder"])
    draw(path, frames)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURE)
