"""`python -m training bnet|enet|edges`: train the networks that measure blur."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from training.commands.options import Root
from training.commands.tools import check_matting, check_package
from training.commands.training import Call, Out, Resume, Seed, Start, Steps

if TYPE_CHECKING:
    from training.edges.stages import EdgeRun

Config = Annotated[str, typer.Option(help="default, small, single-scale, paper, gpu, or a TOML file.")]
BNet = Annotated[str | None, typer.Option(help="Another run's folder, or a preset, to take B-NET from.")]


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
    options = {"config": config, "root": root, "out": out, "start": start}
    call = Call("bnet", options | {"steps": steps, "seed": seed, "resume": resume})
    with call.explain_faults():
        _open_run(call, ["blur"]).train_stage("blur")


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
    options = {"config": config, "root": root, "out": out, "bnet": bnet, "start": start}
    call = Call("enet", options | {"steps": steps, "seed": seed, "resume": resume})
    with call.explain_faults():
        run = _open_run(call, ["edge"])
        call.write_preset(run, [run.fill_b_net(bnet), run.train_stage("edge")])


def train_edges(
    root: Root, out: Out, config: Config = "default", start: Start = None, seed: Seed = None, resume: Resume = False
) -> None:
    """Train B-NET, then E-NET over it, calibrate, and write a preset that BlurEstimator(OUT/preset) loads."""
    options = {"config": config, "root": root, "out": out, "start": start, "seed": seed, "resume": resume}
    call = Call("edges", options)
    with call.explain_faults():
        run = _open_run(call, ["blur", "edge"])
        call.write_preset(run, [run.train_stage("blur"), run.train_stage("edge")])


def _open_run(call: Call, stages: Sequence[str]) -> EdgeRun:
    """Read configuration and pictures."""
    from training.edges.config import read_config

    config, options = call.read_config(read_config), call.options
    if any(settings.sampler == "device" for settings in config.stages.values()):
        check_package("jax", "jax", "The sampler 'device'")
        if (options["root"] / "alpha").is_dir():
            check_matting("The folder alpha")

    def open_run() -> EdgeRun:
        from training.edges.stages import open_edge_run

        return open_edge_run(config, root=options["root"], folder=options["out"], resume=options["resume"])

    return call.open_run(config, stages, open_run)
