"""`python -m training bnet` killed without warning and resumed ends with the weights of a run that nothing stopped."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from tests.training.training_cases import read_rows

STEPS = 12
CONFIG = f"""
validation_crops = 1
checkpoint_seconds = 0
[networks]
filters = 4
dense_units = [8]
[bnet]
crops = 1
points = 16
steps = {STEPS}
optimizer = "adam"
[enet]
steps = 1
"""
#: With one thread TensorFlow adds up in one order, so that equal runs are equal to the last bit.
ONE_THREAD = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "2"}
PATIENCE = 300.0


@pytest.fixture
def command(training_root, tmp_path):
    """The command line without the folder of the run."""
    config = tmp_path / "tiny.toml"
    config.write_text(CONFIG, encoding="utf-8")
    return [sys.executable, "-m", "training", "bnet", "--config", str(config), "--root", str(training_root)]


def start(command, out, *options):
    environment = {**os.environ, **ONE_THREAD}
    return subprocess.Popen([*command, "--out", str(out), *options], env=environment, stderr=subprocess.PIPE, text=True)


def read_step(checkpoint):
    with np.load(checkpoint) as arrays:
        return int(arrays["step"])


def wait_for_checkpoint(checkpoint, process):
    deadline = time.monotonic() + PATIENCE
    while not checkpoint.is_file():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.slow
def test_killed_run_goes_on_to_the_same_weights(command, tmp_path):
    whole = start(command, tmp_path / "whole")
    killed = start(command, tmp_path / "killed")
    checkpoint = tmp_path / "killed" / "blur.npz"
    wait_for_checkpoint(checkpoint, killed)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    assert 1 <= read_step(checkpoint) < STEPS

    resumed = start(command, tmp_path / "killed", "--resume")
    for process in (whole, resumed):
        _, error = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, error
    with np.load(tmp_path / "whole" / "blur.npz") as one, np.load(checkpoint) as other:
        assert one["step"] == other["step"] == STEPS
        for name in one.files:
            np.testing.assert_array_equal(other[name], one[name], err_msg=name)
    rows, expected = (read_rows(tmp_path / run / "blur.csv") for run in ("killed", "whole"))
    assert [row["step"] for row in rows] == [row["step"] for row in expected]
    scores = [(tmp_path / run / "bnet_levels.csv").read_text(encoding="utf-8") for run in ("killed", "whole")]
    assert scores[0] == scores[1]
