"""Settings of Keras that a program or keras.json chose change no result and stay as they are."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from defocus_edge.networks.keras_policy import use_own_policy

# Answers of both kinds of networks, and the settings of Keras afterwards; once for each policy.
CHILD = """
import json, sys
import keras, numpy as np
from defocus_edge.networks.edge.dense import DenseEvaluator
from defocus_edge.networks.edge.keras_engine import KerasEngine
from defocus_edge.networks.presets import load_edge_networks, load_segmentation_preset
from defocus_edge.networks.segmentation.tiles import MapEvaluator
edge, masks, home, *policies = sys.argv[1:]
image = np.random.default_rng(0).random((64, 64, 3), dtype=np.float32)
points = np.array([[30, 30], [31, 40], [5, 60]])
for policy in policies:
    if policy:
        keras.config.set_dtype_policy(policy)
    answers = DenseEvaluator(KerasEngine(load_edge_networks(edge))).predict(image, points)
    mask = MapEvaluator(load_segmentation_preset(masks).model, stride=16).predict(image)
    np.savez(f"{home}/{policy}.npz", blur=answers.blur, edge=answers.edge, mask=mask)
    print(json.dumps([keras.config.floatx(), keras.config.image_data_format(), keras.config.dtype_policy().name]))
"""
PLAIN = ("float32", "channels_last", "float32")


def run_child(home, presets, floatx, layout, *policies):
    """Answers and settings of a process with a keras.json, for each policy of its own."""
    home.mkdir()
    settings = {"floatx": floatx, "epsilon": 1e-7, "backend": "tensorflow", "image_data_format": layout}
    (home / "keras.json").write_text(json.dumps(settings), encoding="utf-8")
    command = [sys.executable, "-c", CHILD, *map(str, (*presets, home)), *policies]
    environment = {**os.environ, "KERAS_HOME": str(home), "TF_CPP_MIN_LOG_LEVEL": "3"}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()[-len(policies) :]
    for policy, line in zip(policies, lines, strict=True):
        with np.load(home / f"{policy}.npz") as arrays:
            yield dict(arrays), tuple(json.loads(line))


def test_settings_of_keras_change_no_result(small_preset, segmentation_presets, tmp_path):
    presets = small_preset, segmentation_presets / "msdu"
    (expected, settings), mixed = run_child(tmp_path / "plain", presets, *PLAIN[:2], "", "mixed_float16")
    assert settings == PLAIN
    (other,) = run_child(tmp_path / "other", presets, "float16", "channels_first", "")
    for (found, settings), kept in (
        (other, ("float16", "channels_first", "float16")),
        (mixed, ("float32", "channels_last", "mixed_float16")),
    ):
        assert settings == kept
        for name, values in expected.items():
            assert found[name].dtype == values.dtype
            np.testing.assert_array_equal(found[name], values, err_msg=f"{kept} {name}")


def test_the_settings_come_back_after_an_error():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        with pytest.raises(RuntimeError, match="broken"):
            break_off()
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
    finally:
        keras.config.set_dtype_policy(before)


def break_off():
    with use_own_policy():
        assert keras.config.dtype_policy().name == "float32"
        raise RuntimeError("broken")
