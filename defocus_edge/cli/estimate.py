"""What `defocus-edge estimate` does with one photo.

Nothing heavy is imported with this module; a function imports what it needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from defocus_edge._version import __version__
from defocus_edge.cli.console import Job, Record, Screen, name_outputs
from defocus_edge.cli.networks import LazyNetworks

if TYPE_CHECKING:
    from defocus_edge.estimation.result import BlurEstimate
    from defocus_edge.pipeline import BlurEstimator


def open_estimator(preset: str | None, choices: dict[str, Any]) -> LazyNetworks[BlurEstimator]:
    """The estimator of a preset, that of the package if None, with some options; loaded at the first photo."""
    from defocus_edge.choices import DEFAULT_PRESET

    name = preset or DEFAULT_PRESET

    def load() -> BlurEstimator:
        from defocus_edge.pipeline import BlurEstimator

        return BlurEstimator(name, **choices)

    return LazyNetworks(name, load)


def estimate_photo(
    job: Job, screen: Screen, *, networks: LazyNetworks[BlurEstimator], propagation: str, scale_top: float | None
) -> Record:
    """Write the maps and pictures of one photo; what the JSON document says of it."""
    from defocus_edge.files.images import read_image, write_picture
    from defocus_edge.files.maps import write_map

    image = read_image(job.source)
    blur, record = networks.run(
        lambda estimator: estimator.estimate(image, progress=screen.count_points), screen, unit="Edge points"
    )
    screen.begin("Writing")
    from defocus_edge.plots import choose_scale_top, overlay_blur_map, plot_blur_map, plot_edges

    scale_top = scale_top or choose_scale_top(blur.radius)

    origin = {
        "source": job.source.name,
        "software": f"defocus_edge {__version__}",
        "preset": networks.preset,
        "read_out": blur.settings.read_out,
        "depth_penalty": blur.settings.propagation.depth_penalty,
        "propagation": propagation,
        "max_radius": blur.settings.max_radius,
        "edge_step": blur.settings.edge_step,
        "precision": blur.settings.precision,
    }
    pictures = {
        "preview": lambda: plot_blur_map(blur.radius, max_radius=scale_top),
        "overlay": lambda: overlay_blur_map(image, blur.radius, confidence=blur.confidence, max_radius=scale_top),
        "edges": lambda: plot_edges(
            image, blur.points, blur.is_depth_edge, point_radius=blur.point_radius, max_radius=scale_top
        ),
    }
    for kind, path in job.outputs.items():
        if kind in pictures:
            write_picture(path, pictures[kind]())
        else:
            write_map(path, blur.radius, description=origin)
    record |= _measure(blur) | name_outputs(job)
    radius, points = record["radius_px"], record["edge_points"]
    spread = f"{radius['min']:.2f} to {radius['max']:.2f} px, median {radius['median']:.2f} px"
    work = f"{points} edge points in {record['seconds']:.1f} s on {record['device']}"
    screen.say(f"{job.source}: blur radius {spread}; {work} -> {', '.join(record['outputs'].values())}")
    return record


def _measure(blur: BlurEstimate) -> Record:
    """Figures of one estimate."""
    import numpy as np

    height, width = blur.radius.shape
    low, median, high, highest = np.quantile(blur.radius, (0, 0.5, 0.95, 1)).tolist()
    return {
        "height": height,
        "width": width,
        "edge_points": len(blur.points),
        "depth_edge_share": round(float(blur.is_depth_edge.mean()), 4),
        "radius_px": {
            name: round(value, 4) for name, value in (("min", low), ("median", median), ("p95", high), ("max", highest))
        },
        "confidence_mean": round(float(blur.confidence.mean()), 4),
    }
