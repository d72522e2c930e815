"""`python -m training crops`: render the crops of a training ahead."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from training.commands.options import Root
from training.commands.scoring import refuse_faults
from training.commands.tools import check_package, make_folder

if TYPE_CHECKING:
    from training.edges.crop_store import CropPlan


def render_crops(
    root: Root,
    store: Annotated[Path, typer.Option(help="Folder of the crops, 14 kB each.", show_default=False)],
    config: Annotated[str, typer.Option(help="Configuration of the training, as for edges.")] = "default",
    crops: Annotated[int, typer.Option(min=1, help="Number of crops, rounded up to whole files of 512.")] = 50_000,
    jobs: Annotated[int, typer.Option(min=1, help="Processes.")] = 2,
) -> None:
    """Render crops with the sampler and families of a configuration, for edges, bnet and enet with --store.

    A second run goes on where the first one stopped, or adds crops.
    """
    from rich.progress import Progress

    from defocus_edge.files.atomic import ImageReadError
    from training.edges.crop_store import CropStoreError, fill_crop_store

    plan = _plan_crops(config)
    if plan.sampler == "device":
        check_package("jax", "jax", "The sampler 'device'")
    make_folder(store)
    with refuse_faults(OSError, ImageReadError, CropStoreError), Progress() as progress:
        task = progress.add_task("crops", total=crops)
        for done in fill_crop_store(plan, root=root, folder=store, crops=crops, jobs=jobs):
            progress.update(task, completed=min(done, crops))


def _plan_crops(name: str) -> CropPlan:
    """Crops for both stages of a configuration: families as often as in both together."""
    from training.edges.config import read_config
    from training.edges.crop_store import CropPlan
    from training.edges.renderers import name_renderer

    with refuse_faults(ValueError, hint="--config"):
        config = read_config(name)
    both = (config.bnet.families, config.enet.families)
    total = [sum(families.values()) for families in both]
    families = {
        family: round(sum(share.get(family, 0.0) / all_ for share, all_ in zip(both, total, strict=True)) / 2, 4)
        for family in dict.fromkeys([*both[0], *both[1]])
    }
    settings = config.bnet
    renderer = name_renderer(settings.sampler)
    return CropPlan(renderer, families, settings.level_share, settings.validation_stride, settings.seed)
