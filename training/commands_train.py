"""`python -m training edges`: train the networks."""

from __future__ import annotations

import platform
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from training.commands_evaluate import Root

if TYPE_CHECKING:
    from training.sources import Sources


def train_edges(
    root: Root,
    out: Annotated[Path, typer.Option(help="Folder for checkpoints, logs and the preset.", show_default=False)],
    blur_steps: Annotated[int, typer.Option(min=1, help="Steps of B-NET.")] = 6000,
    edge_steps: Annotated[int, typer.Option(min=1, help="Steps of E-NET over the frozen f1.")] = 2000,
    crops: Annotated[int, typer.Option(min=1, help="Crops in one step.")] = 8,
    learning_rate: Annotated[float, typer.Option(min=0, help="Highest rate.")] = 2e-3,
    precision: Annotated[str, typer.Option(help="float32 or mixed_bfloat16.")] = "mixed_bfloat16",
    seed: Annotated[int, typer.Option(help="Of weights and crops.")] = 0,
    resume: Annotated[bool, typer.Option(help="Go on from the checkpoints in OUT.")] = False,
) -> None:
    """Train B-NET, then E-NET, calibrate, and write a preset that BlurEstimator(preset=OUT/preset) loads."""
    import keras

    from defocus_edge.networks.edge_networks import build_edge_networks
    from defocus_edge.networks.presets import save_preset
    from training.calibration import calibrate_depth_threshold
    from training.crops import FAMILIES, CropSampler
    from training.development import render_development_set
    from training.edge_model import Head
    from training.edge_training import TrainingSettings, train_edge_network
    from training.sources import DEVELOPMENT_STRIDE

    keras.utils.set_random_seed(seed)
    networks = build_edge_networks()
    sampler, development = (CropSampler(_load_sources(root, development=side)) for side in (False, True))
    stages = []
    started = time.time()
    plan: list[tuple[Head, int]] = [("blur", blur_steps), ("edge", edge_steps)]
    for head, steps in plan:
        settings = TrainingSettings(head, steps, crops, learning_rate=learning_rate, precision=precision, seed=seed)
        scores = train_edge_network(networks, settings, sampler, development, folder=out, resume=resume)
        stages.append({**asdict(settings), "development_crops": scores})
    threshold, errors = calibrate_depth_threshold(networks, render_development_set(root))
    networks = replace(networks, config=replace(networks.config, depth_threshold=threshold))
    metadata = {
        "name": out.name,
        "command": f"python -m training edges --root DATA --out {out.name} --blur-steps {blur_steps} --edge-steps "
        f"{edge_steps} --crops {crops} --learning-rate {learning_rate} --precision {precision} --seed {seed}",
        "stages": stages,
        "dense_mae_px_of_depth_thresholds": errors,
        "families": FAMILIES,
        "data": "BSDS500, Urban100, Sun-Hays80, McMaster (sharp pictures), person cutouts, hand-drawn blur masks as "
        "shapes, Middlebury 2005/2006 views with disparity",
        "development_split": f"every {DEVELOPMENT_STRIDE}th file of each folder by sorted name, from the first; "
        "all views of a depth scene that has one there",
        "licence": "The pictures have mixed or unstated licences (research use).",
        "hardware": f"{platform.machine()}, keras {keras.version()} on {keras.backend.backend()}",
        "hours_of_last_run": round((time.time() - started) / 3600, 2),
    }
    typer.echo(str(save_preset(networks, out / "preset", metadata)))


def _load_sources(root: Path, *, development: bool) -> Sources:
    """One side of the split; a missing or broken folder is wrong usage."""
    from training.sources import load_sources

    try:
        return load_sources(root, development=development)
    except (OSError, ValueError) as error:
        raise typer.BadParameter(str(error), param_hint="--root") from error
