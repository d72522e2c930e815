"""Settings of Keras that a program or keras.json chose change no result and stay as they are."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from defocus_edge.networks.edge.dense import DenseEvaluator
from defocus_edge.networks.edge.keras_engine import KerasEngine
from defocus_edge.networks.keras_policy import use_own_policy
from defocus_edge.networks.presets import load_edge_networks, load_segmentation_preset
from defocus_edge.networks.segmentation.tiles import MapEvaluator

# Answers of both kinds of networks, and the settings of Keras afterwards.
CHILD = """
import json, sys
import keras, numpy as np
from tests.defocus_edge.networks.test_keras_policy import find_answers
np.savez(sys.argv[3], **find_answers(*sys.argv[1:3]))
print(json.dumps([keras.config.floatx(), keras.config.image_data_format(), keras.config.dtype_policy().name]))
"""


def find_answers(edge, masks):
    """Answers of networks that are loaded now, from two presets."""
    image = np.random.default_rng(0).random((64, 64, 3), dtype=np.float32)
    points = np.array([[30, 30], [31, 40], [5, 60]])
    answers = DenseEvaluator(KerasEngine(load_edge_networks(edge))).predict(image, points)
    mask = MapEvaluator(load_segmentation_preset(masks).model, stride=16).predict(image)
    return {"blur": answers.blur, "edge": answers.edge, "mask": mask}


def run_child(home, presets, repository):
    """Answers and settings of a process with a keras.json of half precision and channels first."""
    home.mkdir()
    settings = {"floatx": "float16", "epsilon": 1e-7, "backend": "tensorflow", "image_data_format": "channels_first"}
    (home / "keras.json").write_text(json.dumps(settings), encoding="utf-8")
    command = [sys.executable, "-c", CHILD, *map(str, (*presets, home / "answers.npz"))]
    environment = {**os.environ, "KERAS_HOME": str(home), "TF_CPP_MIN_LOG_LEVEL": "3"}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=repository)
    assert ended.returncode == 0, ended.stderr
    with np.load(home / "answers.npz") as arrays:
        return dict(arrays), json.loads(ended.stdout.splitlines()[-1])


def test_settings_of_keras_change_no_result(small_preset, segmentation_presets, tmp_path, repository):
    presets = small_preset, segmentation_presets / "msdu"
    expected = find_answers(*presets)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        mixed = find_answers(*presets)
        assert keras.config.dtype_policy().name == "mixed_float16"
    finally:
        keras.config.set_dtype_policy(before)
    other, settings = run_child(tmp_path / "other", presets, repository)
    assert settings == ["float16", "channels_first", "float16"]
    for found in (mixed, other):
        for name, values in expected.items():
            assert found[name].dtype == values.dtype
            np.testing.assert_array_equal(found[name], values, err_msg=name)


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
