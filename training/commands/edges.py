"""`python -m training bnet|enet|edges`: train the networks that measure blur."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from training.commands.options import Root
from training.commands.scoring import refuse_faults
from training.commands.tools import check_matting, check_package
from training.commands.training import Call, Out, Resume, Seed, Start, Steps

if TYPE_CHECKING:
    from training.edges.settings import TrainingSettings
    from training.edges.stages import EdgeRun

Config = Annotated[str, typer.Option(help="default, small, single-scale, paper, gpu, or a TOML file.")]
Store = Annotated[
    Path | None, typer.Option(help="Folder that `crops` filled; unless given, crops are rendered during the training.")
]
BNet = Annotated[str | None, typer.Option(help="Another run's folder, or a preset, to take B-NET from.")]


def train_bnet(
    root: Root,
    out: Out,
    config: Config = "default",
    store: Store = None,
    start: Start = None,
    steps: Steps = None,
    seed: Seed = None,
    resume: Resume = False,
) -> None:
    """Train B-NET, which tells the blur radius of an edge point."""
    options = {"config": config, "root": root, "store": store, "out": out, "start": start}
    call = Call("bnet", options | {"steps": steps, "seed": seed, "resume": resume})
    with call.explain_faults():
        _open_run(call, ["blur"]).train_stage("blur")


def train_enet(
    root: Root,
    out: Out,
    config: Config = "default",
    store: Store = None,
    bnet: BNet = None,
    start: Start = None,
    steps: Steps = None,
    seed: Seed = None,
    resume: Resume = False,
) -> None:
    """Train E-NET over OUT's B-NET, calibrate, and write a preset with both that BlurEstimator(OUT/preset) loads."""
    options = {"config": config, "root": root, "store": store, "out": out, "bnet": bnet, "start": start}
    call = Call("enet", options | {"steps": steps, "seed": seed, "resume": resume})
    with call.explain_faults():
        run = _open_run(call, ["edge"])
        call.write_preset(run, [run.fill_b_net(bnet), run.train_stage("edge")])


def train_edges(
    root: Root,
    out: Out,
    config: Config = "default",
    store: Store = None,
    start: Start = None,
    seed: Seed = None,
    resume: Resume = False,
) -> None:
    """Train B-NET, then E-NET over it, calibrate, and write a preset that BlurEstimator(OUT/preset) loads."""
    options = {"config": config, "root": root, "store": store, "out": out, "start": start}
    call = Call("edges", options | {"seed": seed, "resume": resume})
    with call.explain_faults():
        run = _open_run(call, ["blur", "edge"])
        call.write_preset(run, [run.train_stage("blur"), run.train_stage("edge")])


def _open_run(call: Call, stages: Sequence[str]) -> EdgeRun:
    """Read configuration and pictures."""
    from training.edges.config import read_config

    config, options = call.read_config(read_config), call.options
    store = options["store"]
    if store is not None:
        config = config.change(store=_describe_store(store, [config.stages[stage] for stage in stages]))
    if any(settings.sampler == "device" for settings in config.stages.values()):
        if store is None:
            check_package("jax", "jax", "The sampler 'device'")
        if (options["root"] / "alpha").is_dir():
            check_matting("The folder alpha")

    def open_run() -> EdgeRun:
        from training.edges.stages import open_edge_run

        folder, resume = options["out"], options["resume"]
        return open_edge_run(config, root=options["root"], folder=folder, resume=resume, store=store)

    return call.open_run(config, stages, open_run)


def _describe_store(store: Path, stages: Sequence[TrainingSettings]) -> str:
    """Name and size of a store from which some stages can learn; another is wrong usage."""
    from training.edges.crop_store import CropStoreError, StoredCrops

    with refuse_faults(CropStoreError, hint="--store"):
        crops = [StoredCrops(store, stage) for stage in stages]
    return f"{store.name}, {len(crops[0])} crops"
