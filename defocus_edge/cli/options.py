"""Options that several commands share, and the rules for their values.

Nothing but typer is imported with this module.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from defocus_edge import choices
from defocus_edge._extras import EXR
from defocus_edge.cli.console import fail


def require(rule: str, holds: Callable[[float], bool]) -> Callable[[float | None], float | None]:
    """Check of a number for typer, with the same message in all its versions; NaN fails every comparison."""

    def check(value: float | None) -> float | None:
        if value is not None and not holds(value):
            msg = f"must be {rule}. Got: {value}."
            raise typer.BadParameter(msg)
        return value

    return check


check_not_negative = require("a finite number, 0 or more", lambda value: 0 <= value < math.inf)
_check_penalty = require(
    f"at most {choices.LARGEST_DEPTH_PENALTY:g}", lambda value: value <= choices.LARGEST_DEPTH_PENALTY
)
check_positive = require("a finite number greater than 0", lambda value: 0 < value < math.inf)
check_share = require("between 0 and 1", lambda value: 0 <= value <= 1)
check_inner_share = require("above 0 and below 1", lambda value: 0 < value < 1)


def check_depth_penalty(value: float | None) -> float | None:
    """Depth penalty that the filter can use."""
    return _check_penalty(check_not_negative(value))


def check_max_radius(text: str | None) -> float | str | None:
    """Radius in px, or `auto`."""
    if text is None or text == choices.AUTO:
        return text
    try:
        radius = float(text)
    except ValueError:
        radius = math.nan
    if not 0 < radius < math.inf:
        msg = f"must be auto or a finite number greater than 0. Got: {text}."
        raise typer.BadParameter(msg)
    return radius


def check_bit_depth(text: str) -> int | str:
    """Number of bits, or `auto`."""
    if text == choices.AUTO:
        return text
    if text not in map(str, range(8, 17)):
        msg = f"must be auto or a whole number from 8 to 16. Got: {text}."
        raise typer.BadParameter(msg)
    return int(text)


def check_exr(wanted: bool) -> bool:
    """Refuse EXR files before the work if they cannot be written."""
    if wanted and not EXR.is_installed:
        raise typer.BadParameter(f"{EXR.advice}.")
    return wanted


def check_map_file(option: str, path: Path, photos: list[Path]) -> None:
    """Refuse more than one photo for one map, and a map of unknown format."""
    if len(photos) > 1:
        fail(f"{option} goes with one PHOTO. Got: {len(photos)}.")
    from defocus_edge.files.kinds import MAP_SUFFIXES

    if path.suffix.lower() not in MAP_SUFFIXES:
        fail(f"{option} must end in one of {', '.join(MAP_SUFFIXES)}. Got: {path}.")


def name_given(options: Mapping[str, Any]) -> list[str]:
    """The options that were given (not None), as they are typed."""
    return [f"--{name.replace('_', '-')}" for name, value in options.items() if value is not None]


def choose_settings(options: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of `BlurEstimator`: its own defaults hold for options that were not given (None)."""
    settings = {name: value for name, value in options.items() if value is not None}
    if settings.get("propagation") == choices.DEFAULT_PROPAGATION:
        del settings["propagation"]
    return settings


# readable=False: typer would refuse all files for one that cannot be read; the commands check each file themselves.
Photos = Annotated[
    list[Path],
    typer.Argument(
        metavar="PHOTO", readable=False, show_default=False, help="Pictures: JPEG, PNG, TIFF, WebP, raw and more."
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
ReadOut = Annotated[
    choices.ReadOut | None,
    typer.Option(help="Radius at an edge: median or mean of the levels, or the likeliest one as in the paper."),
]
DepthPenalty = Annotated[
    float | None,
    typer.Option(
        metavar="PX",
        callback=check_depth_penalty,
        help="How much depth edges stop the spread of blur; 0 for not at all. [default: 100]",
    ),
]
Propagation = Annotated[
    choices.Propagation | None,
    typer.Option(help="How blur spreads from the edges: our settings, or those of the paper."),
]
MaxRadius = Annotated[
    str,
    typer.Option(
        metavar="PX|auto",
        callback=check_max_radius,
        help="Largest radius to look for; above 6 px the networks also see the photo at half its size, a quarter and "
        "so on.",
    ),
]
DepthThreshold = Annotated[
    float | None,
    typer.Option(
        callback=check_inner_share,
        help="Probability above which a point counts as a depth edge. [default: calibrated for the preset]",
    ),
]
BitDepth = Annotated[
    str,
    typer.Option(
        metavar="auto|8…16",
        callback=check_bit_depth,
        help="Bits that PNG and TIFF photos of 16 bits really have; auto is the smallest of 8, 10, 12, 14 and 16 that "
        "holds all values. Other files say it.",
    ),
]
Raw = Annotated[
    bool,
    typer.Option(
        "--raw",
        help="Also develop files that only their suffix calls raw; a wrong camera may be guessed from the length of "
        "a plain dump.",
    ),
]
MaxPixels = Annotated[
    int,
    typer.Option(metavar="N", min=1, help="Refuse pictures whose files tell more pixels, before they take memory."),
]
EdgeStep = Annotated[
    int, typer.Option(metavar="N", min=1, help="Measure one edge point in N: a little faster, less exact.")
]
Precision = Annotated[
    choices.Precision,
    typer.Option(help="Precision of the networks: bfloat16 is faster on some processors, but less exact."),
]
Device = Annotated[
    str, typer.Option(metavar="auto|cpu|gpu:N", help="Where the networks run; auto is the first GPU, or else the CPU.")
]
Pages = Annotated[
    choices.Pages,
    typer.Option(
        help="Of files with several pages or frames (TIFF, GIF, HEIC and others): the first, or all, each with its own "
        "results, NAME_p001 and so on.",
    ),
]
Debug = Annotated[bool, typer.Option("--debug", help="Show where in the program an unexpected error comes from.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON list to stdout: an object for each file.")]
