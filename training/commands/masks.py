"""`python -m training NETWORK`: train a network that detects blur."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from training.commands.training import Call, Out, Resume, Seed, Start, Steps
from training.masks.choices import Dataset

if TYPE_CHECKING:
    from training.masks.stages import MaskRun

Root = Annotated[
    Path,
    typer.Option(
        help="Folder of the pictures: with sharp/*, objects, focus_masks and rgbd for synthetic scenes, as the set "
        "unpacks, or with image and gt for pairs.",
        show_default=False,
    ),
]
Config = Annotated[str, typer.Option(help="compact, paper, generator (maganet), or a TOML file.")]
Data = Annotated[Dataset, typer.Option(help="What to learn from.")]
Unlabelled = Annotated[
    Path | None, typer.Option(help="Folder of photographs without masks, for unlabelled_from.", show_default=False)
]
Jobs = Annotated[
    int, typer.Option(min=0, help="Processes that draw pictures, for a GPU that is faster than one core draws.")
]


def make_mask_command(network: str) -> Callable[..., None]:
    """The command that trains one network."""

    def train(
        root: Root,
        out: Out,
        config: Config = "compact",
        dataset: Data = Dataset.SYNTHETIC,
        unlabelled: Unlabelled = None,
        start: Start = None,
        steps: Steps = None,
        seed: Seed = None,
        resume: Resume = False,
        jobs: Jobs = 0,
    ) -> None:
        options: dict[str, Any] = {"config": config, "dataset": dataset, "root": root, "out": out}
        options |= {"unlabelled": unlabelled, "start": start, "steps": steps, "seed": seed, "resume": resume}
        call = Call(network, options)
        with call.explain_faults():
            run = _open_run(call, network)
            call.write_preset(run, run.train_network(jobs=jobs))

    train.__doc__ = f"Train the network {network}, calibrate its threshold, and write a preset that BlurDetector loads."
    return train


def _open_run(call: Call, network: str) -> MaskRun:
    """Read configuration and pictures."""
    from training.masks.config import read_mask_config

    config, options = call.read_config(partial(read_mask_config, network)), call.options
    first = config.settings.unlabelled_from
    if first and options["unlabelled"] is None:
        msg = f"the configuration {config.name} wants photographs without masks from step {first}."
        raise typer.BadParameter(msg, param_hint="--unlabelled")

    def open_run() -> MaskRun:
        from training.masks.stages import open_mask_run

        return open_mask_run(
            config,
            dataset=options["dataset"],
            root=options["root"],
            folder=options["out"],
            resume=options["resume"],
            unlabelled=options["unlabelled"],
            say=lambda line: typer.echo(line, err=True),
        )

    return call.open_run(config, [network], open_run)
