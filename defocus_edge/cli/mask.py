"""What `defocus-edge mask` does with one photo, or with a map.

Nothing heavy is imported with this module; a function imports what it needs.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from defocus_edge._version import __version__
from defocus_edge.cli.console import Job, Record, Screen, fail, name_outputs
from defocus_edge.cli.networks import LazyNetworks

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from defocus_edge.choices import Method
    from defocus_edge.masks import BlurDetector

#: The method that reads the blur map.
MAP_METHOD = "threshold"


def check_mask_options(
    photos: list[Path], from_map: Path | None, method: str, map_options: dict[str, Any], threshold: float | None
) -> None:
    """Refuse options that do not go together.

    Parameters
    ----------
    photos : list of Path
    from_map : Path or None
    method : str
    map_options : dict
        Options that only the method `threshold` has; None where they were not given.
    threshold : float or None
        Of the other methods.
    """
    given = [f"--{name.replace('_', '-')}" for name, value in map_options.items() if value is not None]
    if method != MAP_METHOD and (from_map or given):
        fail(f"--method {method} does not go with {', '.join([*given, *(['--from-map'] if from_map else [])])}.")
    if method == MAP_METHOD and threshold is not None:
        fail("--threshold goes with --method msdu, defusion or maganet; for the map give --alpha or --radius.")
    if map_options["alpha"] is not None and map_options["radius"] is not None:
        fail(f"give --alpha or --radius, not both. Got: {map_options['alpha']} and {map_options['radius']}.")
    if not photos and not from_map:
        fail("name a PHOTO, or a map with --from-map.")
    if from_map and len(photos) > 1:
        fail(f"--from-map goes with one PHOTO. Got: {len(photos)}.")
    if from_map:
        from defocus_edge.files.kinds import MAP_SUFFIXES

        if from_map.suffix.lower() not in MAP_SUFFIXES:
            fail(f"--from-map must end in one of {', '.join(MAP_SUFFIXES)}. Got: {from_map}.")


def open_detector(method: Method, preset: str | None, choices: dict[str, Any]) -> LazyNetworks[BlurDetector]:
    """The detector of a method and preset, that of the package if None, loaded at the first photo."""
    from defocus_edge.choices import METHOD_PRESETS

    name = preset or METHOD_PRESETS[method]

    def load() -> BlurDetector:
        from defocus_edge.masks import BlurDetector

        return BlurDetector(method, preset=name, **choices)

    return LazyNetworks(name, load)


def mask_photo(
    job: Job,
    screen: Screen,
    *,
    networks: LazyNetworks[BlurDetector] | None,
    from_map: Path | None,
    alpha: float | None,
    radius: float | None,
) -> Record:
    """Write the mask of one photo, from the networks or from a map; what the JSON document says of it."""
    from defocus_edge.files.images import read_image, write_picture
    from defocus_edge.files.maps import write_map

    if networks:
        image = read_image(job.source)
        found, record = networks.run(
            lambda detector: detector.detect(image, progress=screen.count_points), screen, unit="Detecting"
        )
        mask = found.mask
        record = {"method": found.method, **_name_threshold(found.method, found.threshold, alpha, radius), **record}
        if "probability" in job.outputs:
            origin = {"source": job.source.name, "software": f"defocus_edge {__version__}", "preset": found.preset}
            write_map(job.outputs["probability"], found.probability, description={**origin, "unit": "probability"})
    else:
        mask = _mask_map(job, cast("Path", from_map), alpha=alpha, radius=radius)
        record = {"method": MAP_METHOD, **_name_threshold(MAP_METHOD, 0, alpha, radius), "map": str(from_map)}
    write_picture(job.outputs["mask"], mask)
    height, width = mask.shape
    record |= {"height": height, "width": width, "blurred_share": round(float(mask.mean()), 4)} | name_outputs(job)
    screen.say(f"{job.source}: {mask.mean():.1%} blurred -> {', '.join(record['outputs'].values())}")
    return record


def _mask_map(job: Job, from_map: Path, *, alpha: float | None, radius: float | None) -> NDArray[np.bool_]:
    """Mask of a map, which must fit its photo if there is one."""
    from defocus_edge.files.atomic import ImageReadError
    from defocus_edge.files.images import read_image
    from defocus_edge.files.maps import read_map
    from defocus_edge.thresholds import threshold_blur_map

    blur_map = read_map(from_map)
    photo_shape = blur_map.shape if job.source == from_map else read_image(job.source).shape[:2]
    if photo_shape != blur_map.shape:
        rule = f"the map must have the size of the photo, {photo_shape}"
        raise ImageReadError(f"{rule}. Got: {blur_map.shape} in {from_map}.")
    return threshold_blur_map(blur_map, alpha=alpha, radius=radius)


def _name_threshold(method: str, threshold: float, alpha: float | None, radius: float | None) -> Record:
    """The threshold that was asked for; neither alpha nor radius for the default rule."""
    if method != MAP_METHOD:
        return {"threshold": threshold}
    return {"alpha": alpha, "threshold_px": radius}
