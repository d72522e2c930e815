"""`python -m training bnet|enet|edges`: train the networks."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from training.commands.options import Root
from training.commands.tools import explain_faults, format_command, make_folder

if TYPE_CHECKING:
    from training.edges.config import TrainingConfig
    from training.edges.settings import TrainingSettings
    from training.edges.stages import TrainingRun

Out = Annotated[Path, typer.Option(help="Folder of the run: checkpoints, logs, scores.", show_default=False)]
Config = Annotated[str, typer.Option(help="default, small, single-scale, paper, gpu, or a TOML file.")]
Steps = Annotated[int | None, typer.Option(min=1, help="Instead of those of the configuration.")]
Seed = Annotated[int | None, typer.Option(min=0, help="Instead of that of the configuration.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint in OUT.")]
Start = Annotated[
    str | None, typer.Option(help="Begin with the weights of another run's folder, or of a preset.", show_default=False)
]
BNet = Annotated[str | None, typer.Option(help="Another run's folder, or a preset, to take B-NET from.")]


@dataclass(frozen=True)
class _Call:
    """A command as it was given."""

    command: str
    root: Path
    out: Path
    config: str
    bnet: str | None = None
    start: str | None = None
    steps: int | None = None
    seed: int | None = None
    resume: bool = False
    started: float = field(default_factory=time.monotonic)

    def format(self, **changed: Any) -> str:
        """The command line, with other values for some options."""
        names = ("config", "root", "out", "bnet", "start", "steps", "seed", "resume")
        values = {name: getattr(self, name) for name in names}
        return format_command(self.command, values | changed)

    def format_for_others(self) -> str:
        """The command line without paths of this machine."""
        named = {name: value and Path(value).name for name, value in (("bnet", self.bnet), ("start", self.start))}
        return self.format(config=Path(self.config).name, root="DATA", out=self.out.name, resume=False, **named)


def train_bnet(
    root: Root,
    out: Out,
    config: Config = "default",
    start: Start = None,
    steps: Steps = None,
    seed: Seed = None,
    resume: Resume = False,
) -> None:
    """Train B-NET, which tells the blur radius of an edge point."""
    call = _Call("bnet", root, out, config, start=start, steps=steps, seed=seed, resume=resume)
    with explain_faults(call.format(resume=True)):
        plan = _read_plan(call)
        run = _open_run(call, plan, [plan.bnet])
        run.train_b_net()


def train_enet(
    root: Root,
    out: Out,
    config: Config = "default",
    bnet: BNet = None,
    start: Start = None,
    steps: Steps = None,
    seed: Seed = None,
    resume: Resume = False,
) -> None:
    """Train E-NET over OUT's B-NET, calibrate, and write a preset with both that BlurEstimator(OUT/preset) loads."""
    call = _Call("enet", root, out, config, bnet=bnet, start=start, steps=steps, seed=seed, resume=resume)
    with explain_faults(call.format(resume=True)):
        plan = _read_plan(call)
        run = _open_run(call, plan, [plan.enet])
        stages = [run.fill_b_net(bnet), run.train_e_net()]
        _write_preset(call, run, stages)


def train_edges(
    root: Root, out: Out, config: Config = "default", start: Start = None, seed: Seed = None, resume: Resume = False
) -> None:
    """Train B-NET, then E-NET over it, calibrate, and write a preset that BlurEstimator(OUT/preset) loads."""
    call = _Call("edges", root, out, config, start=start, seed=seed, resume=resume)
    with explain_faults(call.format(resume=True)):
        plan = _read_plan(call)
        run = _open_run(call, plan, [plan.bnet, plan.enet])
        stages = [run.train_b_net(), run.train_e_net()]
        _write_preset(call, run, stages)


def _read_plan(call: _Call) -> TrainingConfig:
    """The configuration with what the command line changes."""
    from training.edges.config import read_config

    try:
        plan = read_config(call.config)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--config") from error
    if call.seed is not None:
        plan = plan.with_seed(call.seed)
    if call.start is not None:
        plan = plan.with_start(Path(call.start).name)
    return plan if call.steps is None else plan.with_steps(call.steps)


def _open_run(call: _Call, plan: TrainingConfig, stages: Sequence[TrainingSettings]) -> TrainingRun:
    """Look at checkpoints and folders first, then load: what is wrong is said at once."""
    import cv2

    from training.runs.checkpoints import check_new, check_resumable, describe_run, find_checkpoint

    for settings in stages:
        checkpoint = find_checkpoint(call.out, settings.head)
        if call.resume:
            check_resumable(checkpoint, describe_run(settings, plan.networks))
        else:
            check_new(checkpoint)
    from training.edges.stages import open_run

    cv2.setNumThreads(1)  # crops are drawn in one thread beside the training, which needs the other cores
    make_folder(call.out)
    try:
        run = open_run(plan, root=call.root, folder=call.out, resume=call.resume)
    except (OSError, ValueError) as error:  # missing or broken pictures, or none for a family
        raise typer.BadParameter(str(error), param_hint="--root") from error
    if call.start is not None:
        run.start_from(call.start, [settings.head for settings in stages])
    return run


def _write_preset(call: _Call, run: TrainingRun, stages: Sequence[dict[str, Any]]) -> None:
    hours = (time.monotonic() - call.started) / 3600
    typer.echo(str(run.write_preset(stages, command=call.format_for_others(), hours=hours)))
