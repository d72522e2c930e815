"""`python -m training msdu|defusion|maganet`: train the networks that detect blur."""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from training.commands.edges import Out, Resume, Seed, Start
from training.commands.tools import explain_faults, format_command, make_folder

if TYPE_CHECKING:
    from training.masks.config import MaskTrainingConfig
    from training.masks.stages import MaskRun


class Dataset(StrEnum):
    """`mask_stages.DATASETS`, without loading Keras for it."""

    SYNTHETIC = "synthetic"
    CUHK = "cuhk"
    DUT = "dut"
    PAIRS = "pairs"


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
Steps = Annotated[int | None, typer.Option(min=1, help="Instead of those of the configuration.")]


def make_mask_command(network: str, title: str) -> Callable[..., None]:
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
    ) -> None:
        options: dict[str, Any] = {"config": config, "dataset": dataset.value, "root": root, "out": out}
        options |= {"unlabelled": unlabelled, "start": start, "steps": steps, "seed": seed, "resume": resume}
        _train(network, options)

    train.__doc__ = f"Train {title}, calibrate its threshold, and write a preset that BlurDetector loads."
    return train


def _train(network: str, options: dict[str, Any]) -> None:
    started = time.monotonic()
    with explain_faults(format_command(network, {**options, "resume": True})):
        plan = _read_plan(network, options)
        run = _open_run(plan, options)
        crops = run.train()
        named = {name: options[name] and Path(options[name]).name for name in ("config", "out", "unlabelled", "start")}
        command = format_command(network, {**options, **named, "root": "DATA", "resume": False})
        typer.echo(str(run.write_preset(crops, command=command, hours=(time.monotonic() - started) / 3600)))


def _read_plan(network: str, options: dict[str, Any]) -> MaskTrainingConfig:
    from training.masks.config import read_mask_config

    start = options["start"] and Path(options["start"]).name
    try:
        plan = read_mask_config(network, options["config"])
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--config") from error
    return plan.change(seed=options["seed"], steps=options["steps"], start=start)


def _open_run(plan: MaskTrainingConfig, options: dict[str, Any]) -> MaskRun:
    """Look at checkpoint and folder first, then load: what is wrong is said at once."""
    import cv2

    from training.runs.checkpoints import check_new, check_resumable, describe_run, find_checkpoint

    out, root = options["out"], options["root"]
    checkpoint = find_checkpoint(out, plan.settings.network)
    if options["resume"]:
        check_resumable(checkpoint, describe_run(plan.settings, plan.network))
    else:
        check_new(checkpoint)
    from training.masks.stages import open_mask_run

    cv2.setNumThreads(1)  # scenes are drawn in one thread beside the training, which needs the other cores
    make_folder(out)
    if plan.settings.unlabelled_from and options["unlabelled"] is None:
        msg = (
            f"the configuration {plan.name} wants photographs without masks from step {plan.settings.unlabelled_from}."
        )
        raise typer.BadParameter(msg, param_hint="--unlabelled")
    try:
        run = open_mask_run(
            plan,
            dataset=options["dataset"],
            root=root,
            folder=out,
            resume=options["resume"],
            unlabelled=options["unlabelled"],
            say=lambda line: typer.echo(line, err=True),
        )
    except (OSError, ValueError) as error:  # missing or broken pictures
        raise typer.BadParameter(str(error), param_hint="--root") from error
    if options["start"] is not None:
        run.start_from(options["start"])
    return run
