"""What tests of the networks that detect blur, and of those that map radii, share."""

import pytest
from typer.testing import CliRunner

from training.__main__ import app

CONFIG = """
[network]
width = 0.0625
normalization = "batch"
[training]
steps = 1
batch = 2
side = 64
optimizer = "adam"
"""


@pytest.fixture
def eager(request):
    """Compiling a step takes longer than a few steps as they come; tests named so compile all the same."""
    import tensorflow as tf

    tf.config.run_functions_eagerly("compiled" not in request.node.name)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture
def run(training_root, tmp_path):
    """Runs the command of a network for one step, with further settings of the training as TOML."""

    def run(network, text, dataset="synthetic"):
        config = tmp_path / "mine.toml"
        config.write_text(CONFIG + text, encoding="utf-8")
        options = ["--root", training_root, "--out", tmp_path / "run", "--config", config, "--dataset", dataset]
        return CliRunner().invoke(app, [network, *map(str, options)])

    return run
