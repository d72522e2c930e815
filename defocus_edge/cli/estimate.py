"""`defocus-edge estimate`: blur maps of photos.

Nothing heavy is imported with this module; a function imports what it needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from defocus_edge.choices import (
    AUTO,
    DEFAULT_MAX_PIXELS,
    DEFAULT_PAGES,
    DEFAULT_PRECISION,
    DEFAULT_PRESET,
    DEFAULT_PROPAGATION,
    DEFAULT_READ_OUT,
)
from defocus_edge.cli.console import MAP_ENDING, Job, Record, Screen, name_origin, plan_jobs, run_jobs
from defocus_edge.cli.lazy_networks import LazyNetworks
from defocus_edge.cli.options import (
    BitDepth,
    Debug,
    DepthPenalty,
    DepthThreshold,
    Device,
    EdgeStep,
    Json,
    MaxPixels,
    MaxRadius,
    Out,
    Pages,
    Photos,
    Precision,
    Preset,
    Propagation,
    Raw,
    ReadOut,
    check_exr,
    check_positive,
    choose_settings,
)
from defocus_edge.summary_table import DECIMALS

if TYPE_CHECKING:
    from defocus_edge.estimation.result import BlurEstimate, EstimatorSettings
    from defocus_edge.pipeline import BlurEstimator

#: Endings of the map and of its picture, by kind of output.
MAP_ENDINGS = {"map": f"{MAP_ENDING}.tif", "preview": f"{MAP_ENDING}.png"}

# Quantiles of the radius in the JSON document.
_QUANTILES = {"min": 0, "median": 0.5, "p95": 0.95, "max": 1}


def estimate(
    photos: Photos,
    out: Out = None,
    preset: Preset = None,
    read_out: ReadOut = DEFAULT_READ_OUT,
    depth_penalty: DepthPenalty = None,
    depth_threshold: DepthThreshold = None,
    propagation: Propagation = DEFAULT_PROPAGATION,
    max_radius: MaxRadius = AUTO,
    bit_depth: BitDepth = AUTO,
    raw: Raw = False,
    max_pixels: MaxPixels = DEFAULT_MAX_PIXELS,
    edge_step: EdgeStep = 1,
    precision: Precision = DEFAULT_PRECISION,
    device: Device = AUTO,
    scale_top: Annotated[
        float | None,
        typer.Option(
            metavar="PX",
            callback=check_positive,
            help="Top of the colour scale of the previews. [default: 6, or doubled until the map is below]",
        ),
    ] = None,
    overlay: Annotated[bool, typer.Option("--overlay", help="Also NAME_overlay.png: map over the photo.")] = False,
    edges: Annotated[bool, typer.Option("--edges", help="Also NAME_edges.png: depth edges in cyan.")] = False,
    npy: Annotated[bool, typer.Option("--npy", help="Also NAME_blur.npy: the map for NumPy.")] = False,
    exr: Annotated[
        bool, typer.Option("--exr", callback=check_exr, help="Also NAME_blur.exr: the map for compositing programs.")
    ] = False,
    pages: Pages = DEFAULT_PAGES,
    json_output: Json = False,
    debug: Debug = False,
) -> None:
    """Measure the blur of photos.

    Writes NAME_blur.tif, float32 radii in px, and NAME_blur.png, the same in colours with a scale. Photos whose
    results would have the same name are refused, and no input is ever overwritten.
    """
    others = {"npy": f"{MAP_ENDING}.npy", "exr": f"{MAP_ENDING}.exr", "overlay": "_overlay.png", "edges": "_edges.png"}
    wanted = {"npy": npy, "exr": exr, "overlay": overlay, "edges": edges}
    endings = MAP_ENDINGS | {kind: ending for kind, ending in others.items() if wanted[kind]}
    jobs = plan_jobs(photos, lambda _: endings, out=out, pages=pages)
    options = {"read_out": read_out, "depth_penalty": depth_penalty, "propagation": propagation, "device": device}
    options |= {"max_radius": max_radius, "edge_step": edge_step, "precision": precision}
    options |= {"depth_threshold": depth_threshold}
    networks = open_estimator(preset, options)

    reading = {"bit_depth": bit_depth, "raw": raw, "max_pixels": max_pixels}

    def work(job: Job, screen: Screen) -> Record:
        return estimate_photo(job, screen, networks=networks, options=options, reading=reading, scale_top=scale_top)

    run_jobs(jobs, work, out=out, as_json=json_output, debug=debug)


def open_estimator(preset: str | None, options: Mapping[str, Any]) -> LazyNetworks[BlurEstimator]:
    """Estimator of a preset (None: that of the package), loaded at the first photo.

    The options are those of the command line, by their argument's name; None where they were not given.
    """
    name = preset or DEFAULT_PRESET

    def load() -> BlurEstimator:
        from defocus_edge.pipeline import BlurEstimator

        return BlurEstimator(name, **choose_settings(options))

    return LazyNetworks(name, load)


def estimate_photo(
    job: Job,
    screen: Screen,
    *,
    networks: LazyNetworks[BlurEstimator],
    options: Mapping[str, Any],
    reading: Mapping[str, Any],
    scale_top: float | None = None,
) -> Record:
    """Write the maps and pictures of one photo; return its entry of the JSON document.

    The networks come from `open_estimator`, which had the same options. `reading` are options of `read_image`.
    `scale_top` is the top of the colour scale in px; None chooses it for the map.
    """
    from defocus_edge.files.images import read_with_depth, write_picture
    from defocus_edge.files.maps import write_map

    image, bits = read_with_depth(job.source, page=job.page, **reading)
    blur, record = networks.run(
        lambda estimator: estimator.estimate(image, progress=screen.count_points), screen, unit="Edge points"
    )
    screen.begin("Writing")
    from defocus_edge.plots import choose_scale_top, overlay_blur_map, plot_blur_map, plot_edges

    scale_top = scale_top or choose_scale_top(blur.radius)
    origin = name_origin(job, networks.preset) | _describe_settings(blur.settings, options)
    origin |= {"bit_depth": bits}
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
    record |= _measure(blur) | {"bit_depth": bits}
    radius, points = record["radius_px"], record["edge_points"]
    spread = f"{radius['min']:.2f} to {radius['max']:.2f} px, median {radius['median']:.2f} px"
    depth = f" of {bits} bits" if bits not in (None, 8) else ""
    work = f"{points} edge points in {record['seconds']:.1f} s on {record['device']}"
    screen.say(f"{job.title}{depth}: blur radius {spread}; {work} -> {job.list_outputs()}")
    return record


def describe_request(preset: str | None, options: Mapping[str, Any]) -> dict[str, Any]:
    """What the files of maps say of their preset and settings, if they are estimated with these options.

    The arguments are those of `open_estimator`. Nothing is loaded but the preset's description; PresetError without it.
    """
    from defocus_edge.estimation.result import EstimatorSettings
    from defocus_edge.networks.presets import read_edge_config
    from defocus_edge.propagation.settings import choose_propagation

    name, given = preset or DEFAULT_PRESET, choose_settings(options)
    given.pop("device", None)
    propagation = choose_propagation(given.pop("propagation", None), given.pop("depth_penalty", None))
    given.setdefault("depth_threshold", read_edge_config(name).depth_threshold)
    settings = EstimatorSettings(name, propagation=propagation, **given)
    return {"preset": name} | _describe_settings(settings, options)


def _describe_settings(settings: EstimatorSettings, options: Mapping[str, Any]) -> dict[str, Any]:
    """What the file of a map says of the settings."""
    return {
        "read_out": settings.read_out,
        "depth_threshold": settings.depth_threshold,
        "depth_penalty": settings.propagation.depth_penalty,
        "propagation": options.get("propagation") or DEFAULT_PROPAGATION,
        "max_radius": settings.max_radius,
        "edge_step": settings.edge_step,
        "precision": settings.precision,
    }


def _measure(blur: BlurEstimate) -> Record:
    """Figures of one estimate for the JSON document."""
    import numpy as np

    height, width = blur.radius.shape
    quantiles = np.quantile(blur.radius, list(_QUANTILES.values())).tolist()
    return {
        "height": height,
        "width": width,
        "edge_points": len(blur.points),
        "rests_on_depth_edges": blur.rests_on_depth_edges,
        "depth_edge_share": round(float(blur.is_depth_edge.mean()), DECIMALS),
        "radius_px": {name: round(value, DECIMALS) for name, value in zip(_QUANTILES, quantiles, strict=True)},
        "confidence_mean": round(float(blur.confidence.mean()), DECIMALS),
    }
