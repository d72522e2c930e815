"""`defocus-edge mask`: which pixels of photos are out of focus, from the photos or from a map.

Nothing heavy is imported with this module; a function imports what it needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from defocus_edge import choices
from defocus_edge.choices import AUTO, DEFAULT_MAX_PIXELS, DEFAULT_PAGES, MAP_METHOD, METHOD_PRESETS
from defocus_edge.cli.console import Job, Record, Screen, fail, name_origin, plan_jobs, run_jobs
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
    Pages,
    Preset,
    Propagation,
    Raw,
    ReadOut,
    check_inner_share,
    check_map_file,
    check_not_negative,
    check_share,
    choose_settings,
    name_given,
)
from defocus_edge.summary_table import DECIMALS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from defocus_edge.masks import BlurDetector


def mask(
    photos: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="PHOTO", readable=False, show_default=False, help="As for estimate; not needed with --from-map."
        ),
    ] = None,
    method: Annotated[
        choices.Method | None,
        typer.Option(
            help="The blur map with a threshold, or a segmentation network. [default: that of the preset, threshold "
            "without one]",
            show_default=False,
        ),
    ] = None,
    alpha: Annotated[
        float | None,
        typer.Option(
            callback=check_share,
            help="Threshold as a share of the map's range, from its smallest radius up. [default: 0.15, but 1 to 2 px]",
        ),
    ] = None,
    radius: Annotated[
        float | None, typer.Option(metavar="PX", callback=check_not_negative, help="Threshold in px.")
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            callback=check_inner_share,
            help="Threshold of a segmentation network's probability. [default: calibrated for the preset]",
        ),
    ] = None,
    from_map: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Map of radii in px, TIFF, EXR or NPY, instead of an estimate; at most one PHOTO with it.",
        ),
    ] = None,
    margin: Annotated[
        float, typer.Option(metavar="PX", callback=check_not_negative, help="Widen what is blurred by this distance.")
    ] = 0.0,
    wanted_by: Annotated[
        choices.MaskUser | None,
        typer.Option(
            "--for",
            help="Masks for COLMAP and what reads its folders: PHOTO.png in --out, 0 = ignore, pixels as they lie in "
            "the photo's file.",
        ),
    ] = None,
    probability: Annotated[
        bool, typer.Option("--probability", help="Also NAME_probability.tif: float32, 1 = blurred.")
    ] = False,
    out: Out = None,
    preset: Preset = None,
    read_out: ReadOut = None,
    depth_penalty: DepthPenalty = None,
    depth_threshold: DepthThreshold = None,
    propagation: Propagation = None,
    bit_depth: BitDepth = AUTO,
    raw: Raw = False,
    max_pixels: MaxPixels = DEFAULT_MAX_PIXELS,
    device: Device = AUTO,
    pages: Pages = DEFAULT_PAGES,
    json_output: Json = False,
    debug: Debug = False,
) -> None:
    """Write masks of what is out of focus.

    Writes NAME_mask.png, 8 bit: 255 where the photo is blurred, 0 where it is sharp. With --for colmap it writes
    photo.jpg.png for photo.jpg, 0 where the photo is blurred, 255 where it is sharp.
    """
    photos = photos or []
    options: dict[str, Any] = {"alpha": alpha, "radius": radius, "depth_penalty": depth_penalty}
    options |= {"read_out": read_out, "propagation": propagation, "depth_threshold": depth_threshold}
    chosen = _choose_method(method, preset, {**options, "from_map": from_map})
    _check_options(photos, from_map, chosen, options, threshold)
    if pages == "all" and from_map:
        fail("--pages all does not go with --from-map: a map belongs to one page.")
    if probability and from_map:
        fail("--probability does not go with --from-map.")
    if wanted_by:
        _check_reconstruction(photos, out, pages, from_map)
    more = {"probability": "_probability.tif"} if probability else {}

    def name_endings(photo: Path) -> dict[str, str]:
        return {"mask": f"{photo.suffix}.png" if wanted_by else "_mask.png"} | more

    jobs = plan_jobs(photos or [cast("Path", from_map)], name_endings, out=out, from_map=from_map, pages=pages)
    options |= {"threshold": threshold, "device": device}
    networks = None if from_map else _open_detector(chosen, preset, options)

    reading = {"bit_depth": bit_depth, "raw": raw, "max_pixels": max_pixels}

    def work(job: Job, screen: Screen) -> Record:
        return _mask_photo(
            *(job, screen),
            networks=networks,
            from_map=from_map,
            reading=reading,
            alpha=alpha,
            radius=radius,
            margin=margin,
            marks_sharp=wanted_by is not None,
        )

    run_jobs(jobs, work, out=out, as_json=json_output, debug=debug)


def _choose_method(method: choices.Method | None, preset: str | None, map_options: Mapping[str, Any]) -> str:
    """See `choose_method`."""
    from defocus_edge.methods import choose_method
    from defocus_edge.networks.preset_files import PresetError

    try:
        return choose_method(method, preset=preset, map_options=map_options)
    except PresetError as error:
        fail(str(error))


def _check_options(
    photos: list[Path], from_map: Path | None, method: str, map_options: Mapping[str, Any], threshold: float | None
) -> None:
    """Refuse options that do not go together; `map_options` belong to the method that reads the blur map."""
    given = name_given({**map_options, "from_map": from_map})
    if method != MAP_METHOD and given:
        fail(f"--method {method} does not go with {', '.join(given)}.")
    if method == MAP_METHOD and threshold is not None:
        fail("--threshold goes with --method msdu, defusion, maganet or lite; for the map give --alpha or --radius.")
    if map_options["alpha"] is not None and map_options["radius"] is not None:
        fail(f"give --alpha or --radius, not both. Got: {map_options['alpha']} and {map_options['radius']}.")
    if not photos and not from_map:
        fail("name a PHOTO, or a map with --from-map.")
    if from_map:
        check_map_file("--from-map", from_map, photos)


def _check_reconstruction(photos: list[Path], out: Path | None, pages: choices.Pages, from_map: Path | None) -> None:
    """Refuse options that masks for a reconstruction do not go with."""
    if from_map:
        fail("--for colmap does not go with --from-map: the mask must lie as the pixels of its photo do.")
    if pages == "all":
        fail("--for colmap does not go with --pages all: COLMAP reads the first page alone.")
    if out is None:
        fail("--for colmap needs --out: beside the photos COLMAP would take the masks for photos.")
    same = [photo for photo in photos if photo.parent.resolve() == out.resolve()]
    if same:
        fail(f"--out must be another folder than that of the photos: COLMAP would take masks for photos. Got: {out}.")


def _open_detector(method: str, preset: str | None, options: Mapping[str, Any]) -> LazyNetworks[BlurDetector]:
    """Detector of a method and preset (None: that of the package), loaded at the first photo."""
    name = preset or METHOD_PRESETS[method]

    def load() -> BlurDetector:
        from defocus_edge.masks import BlurDetector

        return BlurDetector(method, preset=name, **choose_settings(options))

    return LazyNetworks(name, load)


def _mask_photo(
    job: Job,
    screen: Screen,
    *,
    networks: LazyNetworks[BlurDetector] | None,
    from_map: Path | None,
    reading: Mapping[str, Any],
    alpha: float | None,
    radius: float | None,
    margin: float,
    marks_sharp: bool,
) -> Record:
    """Write the mask of one photo, from the networks or from a map; return the entry of the JSON document.

    With `marks_sharp`, what is sharp is white, and the pixels lie as in the file of the photo.
    """
    from defocus_edge.files.images import read_image, write_picture
    from defocus_edge.files.maps import write_map

    if networks:
        image = read_image(job.source, page=job.page, **reading)
        found, record = networks.run(
            lambda detector: detector.detect(image, progress=screen.count_points), screen, unit="Detecting"
        )
        mask = found.mask
        record = {"method": found.method, **_name_threshold(found.method, found.threshold, alpha, radius), **record}
        if "probability" in job.outputs:
            origin = {**name_origin(job, found.preset), "unit": "probability"}
            write_map(job.outputs["probability"], found.probability, description=origin)
    else:
        mask = _mask_map(job, cast("Path", from_map), reading=reading, alpha=alpha, radius=radius)
        record = {"method": MAP_METHOD, **_name_threshold(MAP_METHOD, 0, alpha, radius), "map": str(from_map)}
    if margin:
        from defocus_edge.thresholds import widen_mask

        mask = widen_mask(mask, margin=margin)
    write_picture(job.outputs["mask"], _lay_as_stored(~mask, job.source, reading) if marks_sharp else mask)
    height, width = mask.shape
    record |= {"height": height, "width": width, "blurred_share": round(float(mask.mean()), DECIMALS)}
    screen.say(f"{job.title}: {mask.mean():.1%} blurred -> {job.list_outputs()}")
    return record


def _lay_as_stored(mask: NDArray[np.bool_], photo: Path, reading: Mapping[str, Any]) -> NDArray[np.bool_]:
    """The mask of an upright photo, turned as the pixels lie in its file: COLMAP does not turn them upright."""
    import numpy as np

    from defocus_edge.files.metadata import find_orientation
    from defocus_edge.files.photos import read_photo
    from defocus_edge.files.samples import turn_back

    return np.ascontiguousarray(turn_back(mask, find_orientation(read_photo(photo, **reading).metadata)))


def _mask_map(
    job: Job, from_map: Path, *, reading: Mapping[str, Any], alpha: float | None, radius: float | None
) -> NDArray[np.bool_]:
    """Mask from a map, which must have the size of its photo if there is one."""
    from defocus_edge.files.atomic import ImageReadError
    from defocus_edge.files.images import read_image
    from defocus_edge.files.maps import read_map
    from defocus_edge.thresholds import threshold_blur_map

    blur_map = read_map(from_map, max_pixels=reading["max_pixels"])
    photo_shape = blur_map.shape if job.source == from_map else read_image(job.source, **reading).shape[:2]
    if photo_shape != blur_map.shape:
        rule = f"the map must have the size of the photo, {photo_shape}"
        raise ImageReadError(f"{rule}. Got: {blur_map.shape} in {from_map}.")
    return threshold_blur_map(blur_map, alpha=alpha, radius=radius)


def _name_threshold(method: str, threshold: float, alpha: float | None, radius: float | None) -> Record:
    """Threshold for the JSON document; alpha and radius are both None for the default rule."""
    if method != MAP_METHOD:
        return {"threshold": threshold}
    return {"alpha": alpha, "threshold_px": radius}
