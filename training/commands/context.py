"""`python -m training samples|context`: measure scenes, and train the context network on them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from training.commands.options import Root
from training.commands.scoring import refuse_faults
from training.commands.tools import make_folder
from training.commands.training import Call, Out, Resume, Seed, Start, Steps
from training.context.choices import CONTEXT, EDGE_PRESET

if TYPE_CHECKING:
    from training.context.stages import ContextRun

Store = Annotated[Path, typer.Option(help="Folder of the samples.", show_default=False)]
EdgePreset = Annotated[str, typer.Option("--preset", help="Weights of B-NET and E-NET that measure the samples.")]


def measure_samples(
    root: Root,
    store: Store,
    preset: EdgePreset = EDGE_PRESET,
    pictures: Annotated[
        Path | None,
        typer.Option(help="Another store, whose pictures are measured again in place of rendering scenes."),
    ] = None,
    scenes: Annotated[int, typer.Option(min=1, help="Rendered scenes to learn from.")] = 3000,
    development: Annotated[int, typer.Option(min=1, help="Rendered scenes of held-back pictures.")] = 100,
    jobs: Annotated[int, typer.Option(min=1, help="Processes.")] = 2,
) -> None:
    """Render scenes and measure their blur, and that of photographs in real/apertures.

    A second run goes on where the first one stopped, or adds scenes.
    """
    from rich.progress import Progress

    from defocus_edge.files.atomic import ImageReadError
    from defocus_edge.networks.preset_files import PresetError
    from training.context.measuring import Plan, count_samples, fill_store

    make_folder(store)
    plan = Plan(root, store, preset, scenes, development, pictures)
    with refuse_faults(OSError, ImageReadError, PresetError), Progress() as progress:
        task = progress.add_task("samples", total=count_samples(plan))
        for done in fill_store(plan, jobs=jobs):
            progress.update(task, completed=done)


def train_context(
    store: Store,
    out: Out,
    config: Annotated[str, typer.Option(help="default, or a TOML file.")] = "default",
    preset: EdgePreset = EDGE_PRESET,
    start: Start = None,
    steps: Steps = None,
    seed: Seed = None,
    resume: Resume = False,
) -> None:
    """Train the network that corrects edge points by what surrounds them, and write its preset."""
    options = {"config": config, "store": store, "out": out, "preset": preset, "start": start, "steps": steps}
    call = Call("context", options | {"seed": seed, "resume": resume})
    with call.explain_faults():
        run = _open_run(call)
        call.write_preset(run, run.train_network())


def _open_run(call: Call) -> ContextRun:
    """Read configuration and samples."""
    from training.context.settings import read_context_config

    config, options = call.read_config(read_context_config), call.options

    def open_run() -> ContextRun:
        from training.context.stages import open_context_run

        folder, resume = options["out"], options["resume"]
        return open_context_run(config, store=options["store"], preset=options["preset"], folder=folder, resume=resume)

    return call.open_run(config, [CONTEXT], open_run)
