"""The command line: photos in, blur maps, masks and sharper photos out.

Nothing but typer is imported before a command has checked its arguments: help and a mistyped option answer at once.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from defocus_edge._version import __version__
from defocus_edge.choices import AUTO
from defocus_edge.cli.batch.command import (
    BatchOptions,
    Engine,
    EngineChoice,
    InDir,
    Jobs,
    NumGpus,
    OutDir,
    Patterns,
    Preview,
    RayAddress,
    SkipExisting,
    Summary,
    SummaryChoice,
    run_batch,
)
from defocus_edge.cli.console import (
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
)
from defocus_edge.cli.deblur import check_deblur_options, deblur_photo, name_result
from defocus_edge.cli.estimate import estimate_photo, open_estimator
from defocus_edge.cli.export import check_onnx_name, write_onnx
from defocus_edge.cli.info import collect_info, format_info
from defocus_edge.cli.mask import check_mask_options, mask_photo, open_detector
from defocus_edge.cli.options import (
    PROPAGATION,
    READ_OUT,
    DepthPenalty,
    Device,
    EdgeStep,
    Json,
    MaxRadius,
    MethodChoice,
    Out,
    Photos,
    Precision,
    PrecisionChoice,
    Preset,
    PropagationChoice,
    ReadOutChoice,
    check_exr,
    check_inner_share,
    check_max_radius,
    check_not_negative,
    check_positive,
    check_share,
    name_choices,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"defocus-edge {__version__}")
        raise typer.Exit


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
    read_out: Annotated[ReadOutChoice, READ_OUT] = ReadOutChoice.MEDIAN,
    depth_penalty: DepthPenalty = None,
    propagation: Annotated[PropagationChoice, PROPAGATION] = PropagationChoice.DEFAULT,
    max_radius: MaxRadius = AUTO,
    edge_step: EdgeStep = 1,
    precision: Precision = PrecisionChoice.FLOAT32,
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
    json_output: Json = False,
) -> None:
    """Measure the blur of photos.

    Writes NAME_blur.tif, float32 radii in px, and NAME_blur.png, the same in colours with a scale. Photos whose
    results would have the same name are refused, and no input is ever overwritten.
    """
    wanted = {"overlay": overlay, "edges": edges}
    endings = {"map": f"{MAP_ENDING}.tif", "preview": f"{MAP_ENDING}.png"}
    endings |= {"npy": f"{MAP_ENDING}.npy"} if npy else {}
    endings |= {"exr": f"{MAP_ENDING}.exr"} if exr else {}
    endings |= {kind: f"_{kind}.png" for kind, is_wanted in wanted.items() if is_wanted}
    jobs = plan_jobs(photos, lambda _: endings, out=out)
    choices = name_choices(
        read_out,
        depth_penalty,
        propagation,
        max_radius=max_radius,
        edge_step=edge_step,
        precision=precision.value,
        device=device,
    )
    networks = open_estimator(preset, choices)
    prepare_folder(out)

    def work(job: Job, screen: Screen) -> Record:
        return estimate_photo(job, screen, networks=networks, propagation=propagation.value, scale_top=scale_top)

    _finish(run_jobs(jobs, work), json_output=json_output)


@app.command()
def mask(
    photos: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="PHOTO", readable=False, show_default=False, help="As for estimate; not needed with --from-map."
        ),
    ] = None,
    method: Annotated[
        MethodChoice, typer.Option(help="The blur map with a threshold, or a segmentation network.")
    ] = MethodChoice.THRESHOLD,
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
            help="Of a segmentation network's probability. [default: calibrated for the preset]",
        ),
    ] = None,
    from_map: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Map of radii in px, TIFF, EXR or NPY, instead of an estimate; at most one PHOTO with it.",
        ),
    ] = None,
    probability: Annotated[
        bool, typer.Option("--probability", help="Also NAME_probability.tif: float32, 1 = blurred.")
    ] = False,
    out: Out = None,
    preset: Preset = None,
    read_out: Annotated[ReadOutChoice | None, READ_OUT] = None,
    depth_penalty: DepthPenalty = None,
    propagation: Annotated[PropagationChoice | None, PROPAGATION] = None,
    device: Device = AUTO,
    json_output: Json = False,
) -> None:
    """Write masks of what is out of focus.

    Writes NAME_mask.png, 8 bit: 255 where the photo is blurred, 0 where it is sharp.
    """
    photos = photos or []
    options = {"alpha": alpha, "radius": radius, "read_out": read_out, "propagation": propagation}
    options["depth_penalty"] = depth_penalty
    check_mask_options(photos, from_map, method.value, options, threshold)
    if probability and from_map:
        fail("--probability does not go with --from-map.")
    endings = {"mask": "_mask.png"} | ({"probability": "_probability.tif"} if probability else {})
    jobs = plan_jobs(photos or [cast("Path", from_map)], lambda _: endings, out=out, from_map=from_map)
    choices: dict[str, Any] = {"threshold": threshold, "device": device}
    if method is MethodChoice.THRESHOLD:
        choices = name_choices(
            read_out or ReadOutChoice.MEDIAN, depth_penalty, propagation or PropagationChoice.DEFAULT, device=device
        )
        choices |= {"alpha": alpha, "radius": radius}
    networks = None if from_map else open_detector(method.value, preset, choices)
    prepare_folder(out)

    def work(job: Job, screen: Screen) -> Record:
        return mask_photo(job, screen, networks=networks, from_map=from_map, alpha=alpha, radius=radius)

    _finish(run_jobs(jobs, work), json_output=json_output)


@app.command()
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
    read_out: Annotated[ReadOutChoice | None, READ_OUT] = None,
    depth_penalty: DepthPenalty = None,
    propagation: Annotated[PropagationChoice | None, PROPAGATION] = None,
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
) -> None:
    """Sharpen what is out of focus.

    Writes NAME_deblurred, upright, as JPEG, PNG or TIFF like the photo, else as PNG, with its depth, alpha, EXIF and
    colour profile.
    """
    options = {"preset": preset, "read_out": read_out, "depth_penalty": depth_penalty, "propagation": propagation}
    options["max_radius"] = max_radius
    check_deblur_options(photos, map_file, options)
    jobs = plan_jobs(photos, name_result, out=out, from_map=map_file)
    choices = name_choices(
        read_out or ReadOutChoice.MEDIAN,
        depth_penalty,
        propagation or PropagationChoice.DEFAULT,
        max_radius=max_radius or 6.0,  # `MAX_RADIUS` without importing NumPy
        device=device,
    )
    blur_from = map_file or open_estimator(preset, choices)
    prepare_folder(out)

    def work(job: Job, screen: Screen) -> Record:
        return deblur_photo(job, screen, blur_from=blur_from, map_error=map_error, noise=noise)

    _finish(run_jobs(jobs, work), json_output=json_output)


@app.command()
def batch(
    in_dir: InDir,
    out_dir: OutDir,
    patterns: Patterns = None,
    skip_existing: SkipExisting = False,
    jobs: Jobs = 1,
    preview: Preview = False,
    summary: Summary = SummaryChoice.CSV,
    engine: Engine = EngineChoice.LOCAL,
    ray_address: RayAddress = None,
    num_gpus: NumGpus = None,
    preset: Preset = None,
    read_out: Annotated[ReadOutChoice, READ_OUT] = ReadOutChoice.MEDIAN,
    depth_penalty: DepthPenalty = None,
    propagation: Annotated[PropagationChoice, PROPAGATION] = PropagationChoice.DEFAULT,
    max_radius: MaxRadius = AUTO,
    edge_step: EdgeStep = 1,
    precision: Precision = PrecisionChoice.FLOAT32,
    device: Device = AUTO,
) -> None:
    """Measure the blur of all pictures of a folder and the folders below it.

    Writes NAME_blur.tif, as estimate does, in the same tree of folders, summary.csv, and failures.csv with what failed.
    Pictures of one folder that differ in the suffix only write IMG_1.JPG_blur.tif. Names that begin with a dot are left
    out, links to folders are not followed. A run that was stopped goes on with --skip-existing.
    """
    options = BatchOptions(patterns or (), skip_existing, jobs, preview, summary, engine, ray_address, num_gpus)
    choices = name_choices(
        read_out,
        depth_penalty,
        propagation,
        max_radius=max_radius,
        edge_step=edge_step,
        precision=precision.value,
        device=device,
    )
    run_batch(in_dir, out_dir, options, preset=preset, choices=choices, propagation=propagation.value)


@app.command()
def export(
    preset: Annotated[
        str,
        typer.Argument(metavar="NAME|DIR", show_default=False, help="Weights: a name that info lists, or a folder."),
    ],
    onnx: Annotated[
        Path,
        typer.Option(
            "--onnx", metavar="FILE", readable=False, callback=check_onnx_name, help="File to write, NAME.onnx."
        ),
    ],
    patches: Annotated[
        bool,
        typer.Option(
            "--patches", help="Of the edge networks: take a patch of 41 px for each edge point, not the whole picture."
        ),
    ] = False,
) -> None:
    """Write the networks of a preset for onnxruntime and other programs.

    Writes an ONNX file, which says what goes in and what comes out. Needs pip install 'defocus-edge[onnx]'.
    """
    write_onnx(preset, onnx, patches=patches)


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


def _finish(records: list[Record], *, json_output: bool) -> None:
    """Print the document, and end with the code of what happened."""
    if json_output:
        typer.echo(json.dumps(records, indent=2))
    if any(record["error"] for record in records):
        raise typer.Exit(SOME_FILES_FAILED)
