"""The command line: photos in, blur maps and masks out.

Nothing but typer is imported before a command has checked its arguments: help and a mistyped option answer at once.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from defocus_edge._version import __version__
from defocus_edge.cli_console import (
    INTERRUPTED,
    MAP_ENDING,
    SOME_FILES_FAILED,
    Job,
    Record,
    Screen,
    fail,
    plan_jobs,
    prepare_folder,
    run_jobs,
    silence_stderr,
)
from defocus_edge.cli_info import collect_info, find_devices, find_idle_gpu, format_info

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from defocus_edge.pipeline import BlurEstimate, BlurEstimator


class ReadOutChoice(StrEnum):
    """`blur_levels.READ_OUTS`, without importing NumPy for it."""

    MEDIAN = "median"
    EXPECTATION = "expectation"
    ARGMAX = "argmax"


class PropagationChoice(StrEnum):
    """What `BlurEstimator` takes as `propagation` by name."""

    DEFAULT = "default"
    PAPER = "paper"


def _require(rule: str, holds: Callable[[float], bool]) -> Callable[[float | None], float | None]:
    """Check of a number that fails with one wording for all versions of typer; NaN fails every comparison."""

    def check(value: float | None) -> float | None:
        if value is not None and not holds(value):
            msg = f"must be {rule}. Got: {value}."
            raise typer.BadParameter(msg)
        return value

    return check


_check_not_negative = _require("a finite number, 0 or more", lambda value: 0 <= value < math.inf)
_check_positive = _require("a finite number greater than 0", lambda value: 0 < value < math.inf)
_check_share = _require("between 0 and 1", lambda value: 0 <= value <= 1)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"defocus-edge {__version__}")
        raise typer.Exit


# readable=False: not typer, which would refuse all files for one, but the command checks that.
Photos = Annotated[
    list[Path],
    typer.Argument(
        metavar="PHOTO", readable=False, show_default=False, help="Pictures: JPEG, PNG, TIFF, WebP and more."
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        readable=False,
        help="Folder for the results, made if it is missing. [default: that of each photo]",
    ),
]
Preset = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|DIR", help="Weights: a name that info lists, or a folder. [default: that of the package]"
    ),
]
ReadOutOption = Annotated[
    ReadOutChoice,
    typer.Option(help="Radius at an edge: median or mean of the levels, or the likeliest one as in the paper."),
]
DepthPenalty = Annotated[
    float | None,
    typer.Option(
        metavar="PX",
        callback=_check_not_negative,
        help="How much depth edges stop the spread of blur; 0 for not at all. [default: 100]",
    ),
]
PropagationOption = Annotated[
    PropagationChoice, typer.Option(help="How blur spreads from the edges: our settings, or those of the paper.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON list to stdout: an object for each file.")]

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def describe(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Show the version and exit.")
    ] = False,
) -> None:
    """How blurred is each part of a photograph, as the radius of the blur disk in pixels.

    Exit codes: 0 all done, 1 some files failed (the others are done), 2 wrong usage, 130 interrupted.
    """


@app.command()
def estimate(
    photos: Photos,
    out: Out = None,
    preset: Preset = None,
    read_out: ReadOutOption = ReadOutChoice.MEDIAN,
    depth_penalty: DepthPenalty = None,
    propagation: PropagationOption = PropagationChoice.DEFAULT,
    max_radius: Annotated[
        float | None,
        typer.Option(
            metavar="PX",
            callback=_check_positive,
            help="Top of the colour scale of the previews. [default: the largest radius of the networks]",
        ),
    ] = None,
    overlay: Annotated[bool, typer.Option("--overlay", help="Also NAME_overlay.png: map over the photo.")] = False,
    edges: Annotated[bool, typer.Option("--edges", help="Also NAME_edges.png: depth edges in cyan.")] = False,
    npy: Annotated[bool, typer.Option("--npy", help="Also NAME_blur.npy: the map for NumPy.")] = False,
    json_output: Json = False,
) -> None:
    """Measure the blur of photos.

    Writes NAME_blur.tif, float32 radii in px, and NAME_blur.png, the same in colours with a scale. Photos whose
    results would have the same name are refused, and no input is ever overwritten.
    """
    wanted = {"overlay": overlay, "edges": edges}
    endings = {"map": f"{MAP_ENDING}.tif", "preview": f"{MAP_ENDING}.png"}
    endings |= {"npy": f"{MAP_ENDING}.npy"} if npy else {}
    endings |= {kind: f"_{kind}.png" for kind, is_wanted in wanted.items() if is_wanted}
    jobs = plan_jobs(photos, endings, out=out)
    networks = _LazyEstimator(preset, read_out, depth_penalty, propagation)
    prepare_folder(out)

    def work(job: Job, screen: Screen) -> Record:
        return _estimate_photo(job, screen, networks=networks, max_radius=max_radius)

    _finish(run_jobs(jobs, work), json_output=json_output)


@app.command()
def mask(
    photos: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="PHOTO", readable=False, show_default=False, help="As for estimate; not needed with --from-map."
        ),
    ] = None,
    alpha: Annotated[
        float | None,
        typer.Option(
            callback=_check_share,
            help="Threshold as a share of the map's range, from its smallest radius up. [default: 0.3]",
        ),
    ] = None,
    radius: Annotated[
        float | None, typer.Option(metavar="PX", callback=_check_not_negative, help="Threshold in px.")
    ] = None,
    from_map: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Map of radii in px, TIFF or NPY, instead of an estimate; at most one PHOTO with it."
        ),
    ] = None,
    out: Out = None,
    preset: Preset = None,
    read_out: ReadOutOption = ReadOutChoice.MEDIAN,
    depth_penalty: DepthPenalty = None,
    propagation: PropagationOption = PropagationChoice.DEFAULT,
    json_output: Json = False,
) -> None:
    """Write masks of what is out of focus.

    Writes NAME_mask.png, 8 bit: 255 where the photo is blurred, 0 where it is sharp.
    """
    photos = photos or []
    _check_mask_options(photos, alpha, radius, from_map)
    jobs = plan_jobs(photos or [cast("Path", from_map)], {"mask": "_mask.png"}, out=out, from_map=from_map)
    networks = None if from_map else _LazyEstimator(preset, read_out, depth_penalty, propagation)
    prepare_folder(out)

    def work(job: Job, screen: Screen) -> Record:
        return _mask_photo(job, screen, networks=networks, from_map=from_map, alpha=alpha, radius=radius)

    _finish(run_jobs(jobs, work), json_output=json_output)


@app.command()
def info(json_output: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> None:
    """Show versions, devices and presets, and what is wrong with the installation."""
    found = collect_info()
    typer.echo(json.dumps(found, indent=2) if json_output else format_info(found))


def main(argv: list[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : list of str, optional
        Arguments without the program's name; those of the process if not given.

    Returns
    -------
    int
        Exit code.
    """
    try:
        app(args=argv, prog_name="defocus-edge")
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else SOME_FILES_FAILED
    except KeyboardInterrupt:
        code = INTERRUPTED
    else:
        code = 0
    if code == INTERRUPTED:
        typer.echo("Interrupted. Every file that was written is complete.", err=True)
    return code


def _check_mask_options(photos: list[Path], alpha: float | None, radius: float | None, from_map: Path | None) -> None:
    """Refuse options that do not go together."""
    if alpha is not None and radius is not None:
        fail(f"give --alpha or --radius, not both. Got: {alpha} and {radius}.")
    if not photos and not from_map:
        fail("name a PHOTO, or a map with --from-map.")
    if from_map and len(photos) > 1:
        fail(f"--from-map goes with one PHOTO. Got: {len(photos)}.")
    if from_map:
        from defocus_edge.images import MAP_SUFFIXES

        if from_map.suffix.lower() not in MAP_SUFFIXES:
            fail(f"--from-map must end in one of {', '.join(MAP_SUFFIXES)}. Got: {from_map}.")


class _LazyEstimator:
    """The networks, loaded when the first picture has been read; a wrong preset ends the program."""

    def __init__(
        self,
        preset: str | None,
        read_out: ReadOutChoice,
        depth_penalty: float | None,
        propagation: PropagationChoice,
    ) -> None:
        from defocus_edge.networks.presets import DEFAULT_PRESET, PresetError, find_preset, read_metadata

        self.preset = preset or DEFAULT_PRESET
        self._choices: dict[str, Any] = {
            "read_out": read_out.value,
            "depth_penalty": depth_penalty,
            "propagation": "paper" if propagation is PropagationChoice.PAPER else None,
        }
        self.options: Record = {"preset": self.preset, **self._choices, "propagation": propagation.value}
        self._estimator: BlurEstimator | None = None
        self._device = ""
        try:
            read_metadata(find_preset(self.preset))
        except PresetError as error:
            fail(str(error))

    def estimate(self, image: NDArray[np.float32], screen: Screen) -> tuple[BlurEstimate, Record]:
        """Blur of a picture, and how it came about."""
        if self._estimator is None:
            screen.begin("Loading the networks")
            self._estimator = self._load(screen)
        screen.begin("Edge points")
        started = time.perf_counter()
        blur = self._estimator.estimate(image, progress=screen.count_points)
        seconds = round(time.perf_counter() - started, 3)
        return blur, {"preset": self.preset, "device": self._device, "seconds": seconds}

    def _load(self, screen: Screen) -> BlurEstimator:
        from defocus_edge.networks.presets import PresetError

        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # for the lines that come after this function
        fault = ""
        with silence_stderr():
            from defocus_edge.pipeline import BlurEstimator

            backend, devices = find_devices()
            try:
                estimator = BlurEstimator(self.preset, **self._choices)
            except PresetError as error:
                fault = str(error)
        if fault:
            fail(fault, code=SOME_FILES_FAILED)
        self.options["depth_penalty"] = estimator.settings.propagation.depth_penalty
        self._device = devices[0].partition(":")[0].upper()
        idle_gpu = find_idle_gpu(backend, devices)
        if idle_gpu:
            screen.say(f"Warning: {idle_gpu}", style="yellow")
        return estimator


def _estimate_photo(job: Job, screen: Screen, *, networks: _LazyEstimator, max_radius: float | None) -> Record:
    """Write the maps and pictures of one photo."""
    from defocus_edge.images import read_image, write_map, write_picture

    image = read_image(job.source)
    blur, record = networks.estimate(image, screen)
    screen.begin("Writing")
    from defocus_edge.plots import overlay_blur_map, plot_blur_map, plot_edges

    origin = {"source": job.source.name, "software": f"defocus_edge {__version__}", **networks.options}
    pictures = {
        "preview": lambda: plot_blur_map(blur.radius, max_radius=max_radius),
        "overlay": lambda: overlay_blur_map(image, blur.radius, confidence=blur.confidence, max_radius=max_radius),
        "edges": lambda: plot_edges(
            image, blur.points, blur.is_depth_edge, point_radius=blur.point_radius, max_radius=max_radius
        ),
    }
    for kind, path in job.outputs.items():
        if kind in pictures:
            write_picture(path, pictures[kind]())
        else:
            write_map(path, blur.radius, description=origin)
    record |= _measure(blur) | _name_outputs(job)
    radius, points = record["radius_px"], record["edge_points"]
    spread = f"{radius['min']:.2f} to {radius['max']:.2f} px, median {radius['median']:.2f} px"
    work = f"{points} edge points in {record['seconds']:.1f} s on {record['device']}"
    screen.say(f"{job.source}: blur radius {spread}; {work} -> {', '.join(record['outputs'].values())}")
    return record


def _mask_photo(
    job: Job,
    screen: Screen,
    *,
    networks: _LazyEstimator | None,
    from_map: Path | None,
    alpha: float | None,
    radius: float | None,
) -> Record:
    """Write the mask of one photo, from its estimate or from a map."""
    from defocus_edge.images import ImageReadError, read_image, read_map, write_picture
    from defocus_edge.thresholds import DEFAULT_ALPHA, threshold_blur_map

    record: Record = {"alpha": DEFAULT_ALPHA if alpha is None and radius is None else alpha, "threshold_px": radius}
    if networks:
        blur, origin = networks.estimate(read_image(job.source), screen)
        blur_map = blur.radius
        record |= origin
    else:
        blur_map = read_map(cast("Path", from_map))
        record |= {"map": str(from_map)}
        photo_shape = blur_map.shape if job.source == from_map else read_image(job.source).shape[:2]
        if photo_shape != blur_map.shape:
            rule = f"the map must have the size of the photo, {photo_shape}"
            raise ImageReadError(f"{rule}. Got: {blur_map.shape} in {from_map}.")
    mask = threshold_blur_map(blur_map, alpha=alpha, radius=radius)
    write_picture(job.outputs["mask"], mask)
    height, width = mask.shape
    record |= {"height": height, "width": width, "blurred_share": round(float(mask.mean()), 4)} | _name_outputs(job)
    screen.say(f"{job.source}: {mask.mean():.1%} blurred -> {job.outputs['mask']}")
    return record


def _name_outputs(job: Job) -> Record:
    return {"outputs": {kind: str(path) for kind, path in job.outputs.items()}}


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


def _finish(records: list[Record], *, json_output: bool) -> None:
    """Print the document, and end with the code of what happened."""
    if json_output:
        typer.echo(json.dumps(records, indent=2))
    if any(record["error"] for record in records):
        raise typer.Exit(SOME_FILES_FAILED)
