"""`python -m training evaluate`: score the networks, and draw what they make."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

Root = Annotated[Path, typer.Option(help="Folder with sharp/*, objects, focus_masks and rgbd.", show_default=False)]


def evaluate_edges(
    root: Root,
    preset: Annotated[list[str] | None, typer.Option(help="Name or folder; again for more.")] = None,
    authors: Annotated[Path | None, typer.Option(help="Folder of the authors' published weights.")] = None,
    out: Annotated[Path | None, typer.Option(help="JSON file for the score of each scene.")] = None,
) -> None:
    """Score weights on the development set and print the table (Markdown)."""
    from defocus_edge.images import ImageReadError, atomic_write
    from defocus_edge.networks.presets import DEFAULT_PRESET, PresetError
    from defocus_edge.pipeline import BlurEstimator
    from training.development import render_development_set
    from training.evaluate_edges import format_table, score_estimators, summarize_scores

    try:
        estimators = {name: BlurEstimator(name) for name in preset or [DEFAULT_PRESET]}
        settings = next(iter(estimators.values())).settings
        if authors is not None:
            estimators["authors"] = BlurEstimator.from_authors_weights(authors)
        scores = score_estimators(render_development_set(root), estimators, settings=settings)
    except (OSError, PresetError, ImageReadError) as error:
        raise typer.BadParameter(str(error)) from error
    typer.echo(format_table(summarize_scores(scores)))
    if out is not None:
        with atomic_write(out) as temporary:
            temporary.write_text(json.dumps([asdict(score) for score in scores], indent=1), encoding="utf-8")


def draw_example(
    out: Annotated[Path, typer.Option(help="Picture to write.", show_default=False)],
    preset: Annotated[str | None, typer.Option(help="Name or folder.")] = None,
) -> None:
    """Write the picture of the README: skimage's cat, its edge points and its blur map, side by side."""
    import cv2
    import numpy as np
    import skimage.data

    from defocus_edge.images import write_picture
    from defocus_edge.networks.presets import DEFAULT_PRESET
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
