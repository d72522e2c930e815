"""`defocus-edge deblur`: sharper photos.

Nothing heavy is imported with this module; a function imports what it needs.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from defocus_edge.choices import AUTO, DEFAULT_MAX_PIXELS
from defocus_edge.cli.console import Job, Record, Screen, fail, plan_jobs, run_jobs
from defocus_edge.cli.estimate import open_estimator
from defocus_edge.cli.lazy_networks import LazyNetworks
from defocus_edge.cli.options import (
    BitDepth,
    Debug,
    DepthPenalty,
    DepthThreshold,
    Device,
    Json,
    MaxPixels,
    Out,
    Photos,
    Preset,
    Propagation,
    Raw,
    ReadOut,
    check_map_file,
    check_max_radius,
    check_not_negative,
    check_positive,
    name_given,
)
from defocus_edge.summary_table import DECIMALS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from defocus_edge.estimation.result import BlurEstimate
    from defocus_edge.files.photos import Photo
    from defocus_edge.pipeline import BlurEstimator

#: Added to the name of a photo, without its suffix, for the name of the sharpened one.
DEBLURRED_ENDING = "_deblurred"


def deblur(
    photos: Photos,
    map_file: Annotated[
        Path | None,
        typer.Option(
            "--map",
            metavar="FILE",
            help="Map of radii in px, TIFF, EXR or NPY, instead of an estimate; one PHOTO with it.",
        ),
    ] = None,
    map_error: Annotated[
        float | None,
        typer.Option(
            metavar="PX",
            callback=check_not_negative,
            help="How far the map may be off: more is safer and sharpens less; 0 for a true one. [default: 0.5]",
        ),
    ] = None,
    noise: Annotated[
        float | None,
        typer.Option(
            metavar="STEPS",
            callback=check_positive,
            help="Noise of the photos in steps of 8 bits: more is smoother. [default: as measured]",
        ),
    ] = None,
    out: Out = None,
    preset: Preset = None,
    read_out: ReadOut = None,
    depth_penalty: DepthPenalty = None,
    depth_threshold: DepthThreshold = None,
    propagation: Propagation = None,
    bit_depth: BitDepth = AUTO,
    raw: Raw = False,
    max_pixels: MaxPixels = DEFAULT_MAX_PIXELS,
    max_radius: Annotated[
        str | None,
        typer.Option(
            metavar="PX|auto",
            callback=check_max_radius,
            help="Largest radius to look for; stronger blur takes long and gains little. [default: 6]",
        ),
    ] = None,
    device: Device = AUTO,
    json_output: Json = False,
    debug: Debug = False,
) -> None:
    """Sharpen what is out of focus.

    Writes NAME_deblurred, upright, as JPEG, PNG or TIFF like the photo, else as PNG, with its depth, alpha, EXIF and
    colour profile.
    """
    from defocus_edge.blur_levels import MAX_RADIUS

    options: dict[str, Any] = {"read_out": read_out, "depth_penalty": depth_penalty, "propagation": propagation}
    options |= {"max_radius": max_radius, "depth_threshold": depth_threshold}
    if map_file:
        given = name_given({"preset": preset, **options})
        if given:
            fail(f"--map does not go with {', '.join(given)}.")
        check_map_file("--map", map_file, photos)
    jobs = plan_jobs(photos, _name_result, out=out, from_map=map_file)
    options |= {"max_radius": max_radius or MAX_RADIUS, "device": device}
    blur_from = map_file or open_estimator(preset, options)

    reading = {"bit_depth": bit_depth, "raw": raw, "max_pixels": max_pixels}

    def work(job: Job, screen: Screen) -> Record:
        return _deblur_photo(job, screen, blur_from=blur_from, reading=reading, map_error=map_error, noise=noise)

    run_jobs(jobs, work, out=out, as_json=json_output, debug=debug)


def _name_result(photo: Path) -> dict[str, str]:
    """Ending of the sharpened photo, with the suffix of the photo's file if that format can be written."""
    from defocus_edge.files.kinds import choose_suffix

    return {"deblurred": f"{DEBLURRED_ENDING}{choose_suffix(photo)}"}


def _deblur_photo(
    job: Job,
    screen: Screen,
    *,
    blur_from: LazyNetworks[BlurEstimator] | Path,
    reading: Mapping[str, Any],
    map_error: float | None,
    noise: float | None,
) -> Record:
    """Write the sharpened photo, with the blur of the networks or of a map; return the entry of the JSON document."""
    from defocus_edge.files.photos import read_photo, write_photo

    photo = read_photo(job.source, **reading)
    blur, record = _find_blur(job, screen, photo, blur_from)
    from defocus_edge.sharpening.deblurring import ESTIMATE_ERROR
    from defocus_edge.sharpening.deblurring import deblur as sharpen
    from defocus_edge.sharpening.noise import estimate_noise

    screen.begin("Deblurring")
    started = time.perf_counter()
    bits: Any = photo.bit_depth or AUTO
    noise = noise or estimate_noise(photo.pixels, blur, bit_depth=bits)
    if map_error is None and isinstance(blur_from, Path):
        map_error = ESTIMATE_ERROR  # a stored map was probably estimated, too, but has no confidence
    # Measured noise is 0 in drawings only. `noise` must be positive; with None the library measures 0 again.
    pixels = sharpen(
        photo.pixels, blur, noise=noise or None, map_error=map_error, bit_depth=bits, progress=screen.count_points
    )
    seconds = time.perf_counter() - started
    screen.begin("Writing")
    write_photo(job.outputs["deblurred"], replace(photo, pixels=pixels))
    changed = _measure_change(photo.pixels, pixels)
    height, width = pixels.shape[:2]
    record |= {"deblur_seconds": round(seconds, 3), "noise": round(noise, 3), "map_error_px": map_error}
    record |= {
        "height": height,
        "width": width,
        "bit_depth": photo.bit_depth,
        "changed_share": round(changed, DECIMALS),
    }
    how = f"noise {noise:.2f} steps of 8 bits, {seconds:.1f} s"
    screen.say(f"{job.source}: {changed:.1%} sharpened; {how} -> {job.list_outputs()}")
    return record


def _find_blur(
    job: Job, screen: Screen, photo: Photo, blur_from: LazyNetworks[BlurEstimator] | Path
) -> tuple[BlurEstimate | NDArray[np.float32], Record]:
    """Blur of the photo, estimated or from its map, and the origin for the JSON document."""
    if not isinstance(blur_from, Path):
        bits: Any = photo.bit_depth or AUTO
        return blur_from.run(
            lambda estimator: estimator.estimate(photo.pixels, bit_depth=bits, progress=screen.count_points),
            screen,
            unit="Edge points",
        )
    from defocus_edge.files.maps import read_map_source, read_radius_map

    radius, source = read_radius_map(blur_from, photo.pixels.shape[:2]), read_map_source(blur_from)
    if source and source != job.source.name:
        screen.warn(f"{blur_from} is the map of {source!r}, not of {job.source.name!r}.")
    return radius, {"map": str(blur_from)}


def _measure_change(before: NDArray[Any], after: NDArray[Any]) -> float:
    """Share of the pixels that changed."""
    differs = before != after
    return float((differs if differs.ndim == 2 else differs.any(axis=2)).mean())
