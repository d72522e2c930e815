"""Options that several commands share, and what their values must be.

Nothing but typer is imported with this module.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from defocus_edge._extras import EXR
from defocus_edge.choices import AUTO


class ReadOutChoice(StrEnum):
    """`blur_levels.READ_OUTS`, without importing NumPy for it."""

    MEDIAN = "median"
    EXPECTATION = "expectation"
    ARGMAX = "argmax"


class MethodChoice(StrEnum):
    """`masks.METHODS`, without importing Keras for it."""

    THRESHOLD = "threshold"
    MSDU = "msdu"
    DEFUSION = "defusion"
    MAGANET = "maganet"


class PrecisionChoice(StrEnum):
    """`networks.dense.PRECISIONS`, without importing Keras for it."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"


class PropagationChoice(StrEnum):
    """What `BlurEstimator` takes as `propagation` by name."""

    DEFAULT = "default"
    PAPER = "paper"


def require(rule: str, holds: Callable[[float], bool]) -> Callable[[float | None], float | None]:
    """Check of a number that fails with one wording for all versions of typer; NaN fails every comparison."""

    def check(value: float | None) -> float | None:
        if value is not None and not holds(value):
            msg = f"must be {rule}. Got: {value}."
            raise typer.BadParameter(msg)
        return value

    return check


check_not_negative = require("a finite number, 0 or more", lambda value: 0 <= value < math.inf)
check_positive = require("a finite number greater than 0", lambda value: 0 < value < math.inf)
check_share = require("between 0 and 1", lambda value: 0 <= value <= 1)
check_inner_share = require("above 0 and below 1", lambda value: 0 < value < 1)


def check_max_radius(text: str | None) -> float | str | None:
    """Px, or `auto`."""
    if text is None or text == AUTO:
        return text
    try:
        radius = float(text)
    except ValueError:
        radius = math.nan
    if not 0 < radius < math.inf:
        msg = f"must be auto or a finite number greater than 0. Got: {text}."
        raise typer.BadParameter(msg)
    return radius


def check_exr(wanted: bool) -> bool:
    """Refuse before the work what could not be written after it."""
    if wanted and not EXR.is_installed:
        raise typer.BadParameter(f"{EXR.advice}.")
    return wanted


# readable=False: not typer, which would refuse all files for one, but the command checks that.
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
READ_OUT = typer.Option(help="Radius at an edge: median or mean of the levels, or the likeliest one as in the paper.")
DepthPenalty = Annotated[
    float | None,
    typer.Option(
        metavar="PX",
        callback=check_not_negative,
        help="How much depth edges stop the spread of blur; 0 for not at all. [default: 100]",
    ),
]
PROPAGATION = typer.Option(help="How blur spreads from the edges: our settings, or those of the paper.")
MaxRadius = Annotated[
    str,
    typer.Option(
        metavar="PX|auto",
        callback=check_max_radius,
        help="Largest radius to look for; beyond 6 px the photo is seen at half its size, a quarter and so on, too.",
    ),
]
EdgeStep = Annotated[
    int, typer.Option(metavar="N", min=1, help="Measure one edge point in N: a little faster, less exact.")
]
Precision = Annotated[
    PrecisionChoice, typer.Option(help="Of the networks: bfloat16 is faster on some processors, and not exact.")
]
Device = Annotated[
    str, typer.Option(metavar="auto|cpu|gpu:N", help="Where the networks run; auto is the first GPU, or else the CPU.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON list to stdout: an object for each file.")]


def name_choices(
    read_out: ReadOutChoice, depth_penalty: float | None, propagation: PropagationChoice, **others: Any
) -> dict[str, Any]:
    """Options of `BlurEstimator`; the others as they are."""
    return {
        "read_out": read_out.value,
        "depth_penalty": depth_penalty,
        "propagation": "paper" if propagation is PropagationChoice.PAPER else None,
        **others,
    }
