"""`python -m synth`: make defocused pictures whose blur is known, and find sharp pictures to make them from.

Exit codes: 0 all done, 1 some failed, 2 wrong usage, 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from synth.readers import Source
    from synth.settings import Family

# Options that take several folders.
_FOLDER_OPTIONS = ("--sources", "--shapes")
SOME_FAILED, USAGE_ERROR, INTERRUPTED = 1, 2, 130

app = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__, pretty_exceptions_enable=False)

Sources = Annotated[list[Path], typer.Option(help="Folders of source pictures.", show_default=False)]
Out = Annotated[Path, typer.Option(help="Folder for the samples, new or of a run to continue.", show_default=False)]
Count = Annotated[int, typer.Option(min=1, help="Samples.", show_default=False)]
Seed = Annotated[int, typer.Option(min=0, help="Same seed, same bytes.")]
Workers = Annotated[int, typer.Option(min=1, help="Processes; the samples do not depend on them.")]
LayoutName = Annotated[str | None, typer.Option(help="What all --sources must hold; `check` tells what they hold.")]
Psf = Annotated[str, typer.Option(help="disk, gaussian or polygon.")]
Blades = Annotated[int, typer.Option(min=3, max=128, help="Corners of the polygon.")]
Largest = Annotated[float, typer.Option(help="Largest radius in px; a border of that width is cut off.")]
Reduce = Annotated[float, typer.Option(help="Shrink sources by this factor first: none is perfectly sharp.")]
MaxSide = Annotated[int, typer.Option(min=1, help="Shrink sources further until no side has more px.")]
Rotations = Annotated[str, typer.Option(help="Degrees, one of which is drawn; separated by commas.")]
Mirror = Annotated[bool, typer.Option(help="Mirror half of the sources.")]
Noise = Annotated[float, typer.Option(help="Largest standard deviation of the noise, 8-bit steps.")]
JpegShare = Annotated[float, typer.Option(help="Share of the samples that is compressed as JPEG.")]
JpegQuality = Annotated[str, typer.Option(help="Lowest and highest JPEG quality.")]
MaskRadius = Annotated[float, typer.Option(help="Pixels with a larger blur radius in px are 255 in the mask.")]
Shapes = Annotated[list[Path] | None, typer.Option(help="Folders of masks that cut out the front pictures.")]


def _add_family(family: Family, text: str) -> None:
    """Register the command of a family; all take the same options."""

    @app.command(family, help=text)
    def make(
        sources: Sources,
        out: Out,
        count: Count,
        seed: Seed = 0,
        workers: Workers = 1,
        layout: LayoutName = None,
        shapes: Shapes = None,
        psf: Psf = "disk",
        blades: Blades = 6,
        largest: Largest = 6.0,
        reduce: Reduce = 0.75,
        max_side: MaxSide = 640,
        rotations: Rotations = "0,90,180,270",
        mirror: Mirror = True,
        noise: Noise = 2.0,
        jpeg_share: JpegShare = 0.4,
        jpeg_quality: JpegQuality = "65,98",
        mask_radius: MaskRadius = 0.75,
    ) -> None:
        options = {"seed": seed, "psf": psf, "blades": blades, "largest": largest, "reduce": reduce}
        options |= {"max_side": max_side, "mirror": mirror, "noise": noise, "jpeg_share": jpeg_share}
        options |= {"mask_radius": mask_radius, "rotations": _read_numbers(rotations, "--rotations")}
        low_high = tuple(int(number) for number in _read_numbers(jpeg_quality, "--jpeg-quality", count=2))
        _run(family, {**options, "jpeg_quality": low_high}, sources, shapes or [], layout, out, count, workers)


_add_family("uniform", "One radius for the whole picture: the 23 levels, equally often.")
_add_family("gradual", "A radius that grows smoothly across the picture; all edges are pattern edges.")
_add_family("steps", "A radius that grows in steps of 0.25 px; all edges are pattern edges.")
_add_family("composite", "An object in front of another picture, one of them in focus.")
_add_family("layered", "A scene with disparity or depth, seen through a thin lens.")
_add_family("dual", "Both views of a dual-pixel sensor and signed radii: with depth, or a plane through the focus.")
_add_family("coded", "A picture through an asymmetric mask in the aperture, and signed radii; scenes as in dual.")


@app.command("check")
def check_sources(sources: Sources, layout: LayoutName = None) -> None:
    """Tell what source folders hold, without making anything."""
    from synth.readers import unique_pictures

    for folder, (name, found) in zip(sources, _read_all(sources, layout), strict=True):
        objects, depth = sum(source.has_object for source in found), sum(source.depth is not None for source in found)
        pictures = len(unique_pictures(found))
        typer.echo(f"{folder}: {name}: {pictures} pictures, {objects} objects, {depth} with depth")


@app.command("pick-sharp")
def pick_sharp(
    sources: Sources,
    out: Annotated[
        Path,
        typer.Option(
            help="FILE.txt for the names of the sharp ones, FILE.jsonl for all with radii, or a folder for copies.",
            show_default=False,
        ),
    ],
    limit: Annotated[
        float, typer.Option(min=0, help="Largest blur radius in px of the edges of a sharp picture.")
    ] = 1.75,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
) -> None:
    """Pick the pictures whose edges are all sharp, by measurement."""
    from concurrent.futures import BrokenExecutor

    from defocus_edge._progress import show_progress
    from synth.picking import PickError, pick_pictures

    records = [source for _, found in _read_all(sources, "pictures") for source in found]
    try:
        with show_progress(len(records), "Pictures") as (advance, say):
            kept, failed = pick_pictures(
                records, sources, out, limit=limit, workers=workers, on_picture=advance, on_complaint=say
            )
    except PickError as error:
        _fail(str(error))
    except (OSError, BrokenExecutor) as error:
        _fail(str(error), code=SOME_FAILED)
    except KeyboardInterrupt:
        _fail("stopped.", code=INTERRUPTED)
    typer.echo(f"{kept} of {len(records)} pictures are sharp: {out}", err=True)
    if failed:
        raise typer.Exit(SOME_FAILED)


def _run(
    family: Family,
    options: dict[str, object],
    sources: list[Path],
    shapes: list[Path],
    layout: str | None,
    out: Path,
    count: int,
    workers: int,
) -> None:
    """Make the samples of one command and report the result."""
    from concurrent.futures import BrokenExecutor

    from defocus_edge._progress import show_progress
    from synth.generator import generate
    from synth.settings import Settings, build_pool

    try:
        settings = Settings(family, **options)  # type: ignore[arg-type]  # the options are those of Settings
        found = [source for _, part in _read_all(sources, layout) for source in part]
        masks = [source for _, part in _read_all(shapes, "pictures") for source in part]
        _check_apart(out, [*sources, *shapes])
        pool = build_pool(family, found, shapes=masks)
        with show_progress(count, "Samples") as (advance, say):
            summary = generate(
                settings, pool, [*sources, *shapes], out, count, workers=workers, on_sample=advance, on_complaint=say
            )
    except ValueError as error:
        _fail(str(error))
    except (OSError, BrokenExecutor) as error:
        _fail(f"{error} The same command continues the run.", code=SOME_FAILED)
    except KeyboardInterrupt:
        _fail(f"stopped. The same command continues the run in '{out}'.", code=INTERRUPTED)
    skipped = f", {len(summary.complaints)} sources skipped" if summary.complaints else ""
    typer.echo(f"{summary.written} samples written, {summary.kept} kept{skipped}: {out}", err=True)
    if summary.failed:
        _fail(f"no usable source for {len(summary.failed)} of {count} samples.", code=SOME_FAILED)


def _read_all(folders: list[Path], layout: str | None) -> list[tuple[str, list[Source]]]:
    """Layout and sources of each folder; a wrong folder is wrong usage."""
    from synth.coco import CocoError
    from synth.readers import read_layout

    if len({folder.resolve() for folder in folders}) < len(folders):
        _fail("each source folder must be named once. Got: one of them twice.")
    try:
        return [read_layout(folder, layout=layout) for folder in folders]  # type: ignore[arg-type]  # checked there
    except (ValueError, OSError, CocoError) as error:
        _fail(str(error))


def _check_apart(out: Path, folders: list[Path]) -> None:
    """Refuse to write samples among the sources, where they would be found the next time."""
    for folder in folders:
        if out.resolve().is_relative_to(folder.resolve()):
            _fail(f"--out must not lie in a source folder. Got: '{out}' in '{folder}'. Choose another place.")


def _read_numbers(text: str, option: str, *, count: int | None = None) -> tuple[float, ...]:
    """Numbers separated by commas."""
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if not numbers or not all(math.isfinite(number) for number in numbers):
        _fail(f"{option} must be numbers separated by commas. Got: {text!r}.")
    if count is not None and len(numbers) != count:
        _fail(f"{option} must be {count} numbers separated by a comma. Got: {text!r}.")
    return numbers


def _fail(message: str, *, code: int = USAGE_ERROR) -> NoReturn:
    """End the program with one line on stderr."""
    typer.echo(f"Error: {message}", err=True)
    raise typer.Exit(code)


def _repeat_folders(arguments: list[str]) -> list[str]:
    """``--sources A B`` as ``--sources A --sources B``, which is how click takes several values."""
    repeated: list[str] = []
    option = ""
    for argument in arguments:
        if argument.startswith("-"):
            option = argument if argument in _FOLDER_OPTIONS else ""
            if not option:
                repeated.append(argument)
        else:
            repeated += [option, argument] if option else [argument]
    return repeated


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    try:
        app(_repeat_folders(sys.argv[1:] if arguments is None else arguments), prog_name="python -m synth")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else SOME_FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main())
