"""Options that several commands of `python -m training evaluate` share."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class AuthorsSettings(StrEnum):
    """How the authors' weights are run: as in their code or as in their paper, which differ in the penalty."""

    CODE = "code"
    PAPER = "paper"


Root = Annotated[Path, typer.Option(help="Folder with sharp/*, objects, focus_masks and rgbd.", show_default=False)]
Presets = Annotated[list[str] | None, typer.Option("--preset", help="Name or folder; again for more.")]
Authors = Annotated[Path | None, typer.Option(help="Folder of the authors' published weights.")]
AuthorsRun = Annotated[AuthorsSettings, typer.Option(help="Propagation of the authors' weights.")]
DetectorMethods = Annotated[
    str, typer.Option(help="Methods of detect_blur, with commas; METHOD=PRESET for other weights.")
]
Figures = Annotated[
    str | None, typer.Option(help="Columns of the table, with commas; all unless given.", show_default=False)
]
Costs = Annotated[
    bool,
    typer.Option(
        "--costs",
        help="Also what each preset costs: parameters, multiply-adds of a picture of 320×320 px, minutes of training.",
    ),
]
OutScores = Annotated[Path | None, typer.Option(help="JSON file for the score of each picture.")]
OutTables = Annotated[Path | None, typer.Option(help="Folder for CSV files.", show_default=False)]
