"""What `defocus-edge deblur` does with one photo.

Nothing heavy is imported with this module; a function imports what it needs.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from defocus_edge.cli.console import Job, Record, Screen, fail, name_outputs
from defocus_edge.cli.networks import LazyNetworks

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from defocus_edge.estimation.result import BlurEstimate
    from defocus_edge.files.photos import Photo
    from defocus_edge.pipeline import BlurEstimator

#: What the name of a sharpened photo adds to that of the photo.
DEBLURRED_ENDING = "_deblurred"


def name_result(photo: Path) -> dict[str, str]:
    """Ending of the file to write for a photo, in the format of the photo's file if that can be written."""
    from defocus_edge.files.kinds import choose_suffix

    return {"deblurred": f"{DEBLURRED_ENDING}{choose_suffix(photo)}"}


def check_deblur_options(photos: list[Path], map_file: Path | None, estimator_options: dict[str, Any]) -> None:
    """Refuse options that do not go together.

    Parameters
    ----------
    photos : list of Path
    map_file : Path or None
    estimator_options : dict
        Options for the estimate that a map takes the place of; None where they were not given.
    """
    if map_file is None:
        return
    given = [f"--{name.replace('_', '-')}" for name, value in estimator_options.items() if value is not None]
    if given:
        fail(f"--map does not go with {', '.join(given)}.")
    if len(photos) > 1:
        fail(f"--map goes with one PHOTO. Got: {len(photos)}.")
    from defocus_edge.files.kinds import MAP_SUFFIXES

    if map_file.suffix.lower() not in MAP_SUFFIXES:
        fail(f"--map must end in one of {', '.join(MAP_SUFFIXES)}. Got: {map_file}.")


def deblur_photo(
    job: Job,
    screen: Screen,
    *,
    blur_from: LazyNetworks[BlurEstimator] | Path,
    map_error: float | None,
    noise: float | None,
) -> Record:
    """Write the sharpened photo, from the networks or from a map; what the JSON document says of it."""
    from defocus_edge.files.photos import read_photo, write_photo

    photo = read_photo(job.source)
    blur, record = _find_blur(job, screen, photo, blur_from)
    from defocus_edge.sharpening.deblurring import ESTIMATE_ERROR, deblur
    from defocus_edge.sharpening.noise import estimate_noise

    screen.begin("Deblurring")
    started = time.perf_counter()
    noise = noise or estimate_noise(photo.pixels, blur)
    if map_error is None and isinstance(blur_from, Path):
        map_error = ESTIMATE_ERROR  # a stored map was most likely estimated, too, and its confidence is lost
    # Noise is 0 in drawings only; then the library's own measure, which is 0 again, may be given.
    pixels = deblur(photo.pixels, blur, noise=noise or None, map_error=map_error, progress=screen.count_points)
    seconds = time.perf_counter() - started
    screen.begin("Writing")
    write_photo(job.outputs["deblurred"], replace(photo, pixels=pixels))
    changed = _measure_change(photo.pixels, pixels)
    height, width = pixels.shape[:2]
    record |= {"deblur_seconds": round(seconds, 3), "noise": round(noise, 3), "map_error_px": map_error}
    record |= {"height": height, "width": width, "changed_share": round(changed, 4)} | name_outputs(job)
    how = f"noise {noise:.2f} steps of 8 bits, {seconds:.1f} s"
    screen.say(f"{job.source}: {changed:.1%} sharpened; {how} -> {', '.join(record['outputs'].values())}")
    return record


def _find_blur(
    job: Job, screen: Screen, photo: Photo, blur_from: LazyNetworks[BlurEstimator] | Path
) -> tuple[BlurEstimate | NDArray[np.float32], Record]:
    """Blur of the photo, estimated or from its map, and where it came from."""
    if not isinstance(blur_from, Path):
        return blur_from.run(
            lambda estimator: estimator.estimate(photo.pixels, progress=screen.count_points), screen, unit="Edge points"
        )
    from defocus_edge.files.maps import read_map_source, read_radius_map

    radius, source = read_radius_map(blur_from, photo.pixels.shape[:2]), read_map_source(blur_from)
    if source and source != job.source.name:
        screen.say(f"Warning: {blur_from} is the map of {source!r}, not of {job.source.name!r}.", style="yellow")
    return radius, {"map": str(blur_from)}


def _measure_change(before: NDArray[Any], after: NDArray[Any]) -> float:
    """Share of the pixels that are not what they were."""
    differs = before != after
    return float((differs if differs.ndim == 2 else differs.any(axis=2)).mean())
