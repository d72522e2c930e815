"""`python -m training baseline-networks`: train the small networks that some baselines need."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from training.commands.options import Root
from training.commands.scoring import refuse_faults
from training.commands.tools import explain_faults, format_command, make_folder
from training.patch_networks.choices import PatchNetwork


def train_baseline_networks(
    root: Root,
    out: Annotated[Path, typer.Option(help="Folder for weights, checkpoints and logs.", show_default=False)],
    only: Annotated[PatchNetwork | None, typer.Option(help="One baseline; all unless given.")] = None,
    minutes: Annotated[float, typer.Option(min=0.001, help="For each network.")] = 5.0,
    seed: Annotated[int, typer.Option(min=0)] = 0,
) -> None:
    """Train the small networks of baselines on rendered pictures, and write their weights and what made them."""
    options = {"only": only, "minutes": minutes, "seed": seed}
    make_folder(out)
    with explain_faults(format_command("baseline-networks", {"root": root, "out": "another folder", **options})):
        from defocus_edge.files.atomic import ImageReadError
        from training.patch_networks.settings import PatchSettings
        from training.patch_networks.stages import load_both_sides, train_network

        with refuse_faults(OSError, ImageReadError, hint="--root"):
            sources, development = load_both_sides(root)
        settings = PatchSettings(seconds=60 * minutes, seed=seed)
        command = format_command("baseline-networks", {"root": "DATA", "out": "WEIGHTS", **options})
        for name in [only] if only else PatchNetwork:
            path = train_network(name, sources, development, folder=out, settings=settings, command=command)
            typer.echo(str(path))
