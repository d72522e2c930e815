"""`python -m training`: train and evaluate the networks."""

from __future__ import annotations

import typer

from training.commands_evaluate import draw_example, evaluate_edges
from training.commands_train import train_edges

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Train and evaluate the networks of defocus_edge.")
evaluate = typer.Typer(no_args_is_help=True, help="Score networks on pictures that were not trained on.")

app.command("edges")(train_edges)
app.command("example")(draw_example)
app.add_typer(evaluate, name="evaluate")
evaluate.command("edges")(evaluate_edges)


@evaluate.callback()
def describe_evaluate() -> None:
    """Score networks on pictures that were not trained on."""


if __name__ == "__main__":
    app()
