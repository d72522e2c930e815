"""`python -m training`: train and evaluate the networks."""

from __future__ import annotations

import typer

from defocus_edge.networks.segmentation.names import NETWORK_NAMES
from training.commands.baseline_networks import train_baseline_networks
from training.commands.context import measure_samples, train_context
from training.commands.crops import render_crops
from training.commands.distillation import ask_teacher, train_student
from training.commands.edges import train_bnet, train_edges, train_enet
from training.commands.evaluate import (
    evaluate_apertures,
    evaluate_edges,
    evaluate_pairs,
    evaluate_range,
    evaluate_robustness,
)
from training.commands.evaluate_broad import evaluate_broad, evaluate_reliability
from training.commands.evaluate_deblurring import evaluate_ablations, evaluate_deblurring, evaluate_uniform_deblurring
from training.commands.evaluate_maps import evaluate_maps
from training.commands.evaluate_masks import evaluate_masks
from training.commands.example import draw_example, draw_masks_example
from training.commands.masks import make_mask_command
from training.commands.tables import write_tables

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Train and evaluate the networks of defocus_edge.")
evaluate = typer.Typer(no_args_is_help=True, help="Score networks on pictures that were not trained on.")

app.command("bnet")(train_bnet)
app.command("enet")(train_enet)
app.command("edges")(train_edges)
app.command("crops")(render_crops)
app.command("samples")(measure_samples)
app.command("context")(train_context)
app.command("answers")(ask_teacher)
app.command("student")(train_student)
for _network in NETWORK_NAMES:
    app.command(_network)(make_mask_command(_network))
app.command("baseline-networks")(train_baseline_networks)
app.command("example")(draw_example)
app.command("example-masks")(draw_masks_example)
app.command("tables")(write_tables)
app.add_typer(evaluate, name="evaluate")
evaluate.command("broad")(evaluate_broad)
evaluate.command("reliability")(evaluate_reliability)
evaluate.command("edges")(evaluate_edges)
evaluate.command("robustness")(evaluate_robustness)
evaluate.command("pairs")(evaluate_pairs)
evaluate.command("apertures")(evaluate_apertures)
evaluate.command("range")(evaluate_range)
evaluate.command("masks")(evaluate_masks)
evaluate.command("maps")(evaluate_maps)
evaluate.command("deblurring")(evaluate_deblurring)
evaluate.command("uniform-deblurring")(evaluate_uniform_deblurring)
evaluate.command("ablations")(evaluate_ablations)


@evaluate.callback()
def describe_evaluate() -> None:
    """Score networks on pictures that were not trained on."""


if __name__ == "__main__":
    app()
