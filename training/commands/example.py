"""`python -m training example` and `example-masks`: two pictures of the README and of the documentation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from training.commands.options import DetectorMethods


def draw_example(
    out: Annotated[Path, typer.Option(help="Picture to write.", show_default=False)],
    preset: Annotated[str | None, typer.Option(help="Name or folder.")] = None,
) -> None:
    """Write the cat of scikit-image, its edge points and its blur map, side by side."""
    import cv2
    import numpy as np
    import skimage.data

    from defocus_edge.choices import DEFAULT_PRESET
    from defocus_edge.files.images import write_picture
    from defocus_edge.pipeline import BlurEstimator
    from defocus_edge.plots import plot_blur_map, plot_edges

    photo = skimage.data.chelsea()
    estimate = BlurEstimator(preset or DEFAULT_PRESET).estimate(photo)
    edges = plot_edges(photo, estimate.points, estimate.is_depth_edge, point_radius=estimate.point_radius)
    panels = [photo, edges, plot_blur_map(estimate.radius)]
    height = photo.shape[0]
    scaled = [
        cv2.resize(panel, (round(panel.shape[1] * height / panel.shape[0]), height), interpolation=cv2.INTER_AREA)
        for panel in panels
    ]
    write_picture(out, np.hstack(scaled).astype(np.uint8))


def draw_masks_example(
    out: Annotated[Path, typer.Option(help="Picture to write.", show_default=False)],
    methods: DetectorMethods = "threshold,msdu,defusion,maganet",
) -> None:
    """Write the astronaut of scikit-image and the blurred pixels that each method finds, side by side."""
    import numpy as np
    import skimage.data
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from defocus_edge.files.images import write_picture
    from training.commands.scoring import load_detectors

    photo = skimage.data.astronaut()
    detectors = load_detectors(methods)
    figure = Figure(figsize=(2.6 * (1 + len(detectors)), 2.9), dpi=110, facecolor="white", layout="constrained")
    canvas = FigureCanvasAgg(figure)
    first, *others = figure.subplots(1, 1 + len(detectors))
    first.imshow(photo)
    first.set_title("photograph")
    for axes, (name, detector) in zip(others, detectors.items(), strict=True):
        found = detector.detect(photo)
        axes.imshow(found.probability, cmap="gray", vmin=0, vmax=1)
        axes.contour(found.mask, levels=[0.5], colors="tab:red", linewidths=0.8)
        axes.set_title(name)
    for axes in (first, *others):
        axes.set_axis_off()
    canvas.draw()
    write_picture(out, np.asarray(canvas.buffer_rgba())[..., :3].copy())
