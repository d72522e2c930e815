"""Which engine runs the networks, and that the choice changes nothing but the time."""

import subprocess
import sys

import numpy as np
import pytest
import skimage.data

from defocus_edge import BlurEstimator
from defocus_edge._extras import Extra
from defocus_edge.networks import devices, engines
from defocus_edge.networks.devices import DeviceError
from defocus_edge.networks.engines import choose_engine, start_engine
from defocus_edge.networks.onnx import runtime


@pytest.fixture(autouse=True)
def _plain_computer(monkeypatch, tmp_path):
    """No GPU, no wish for a backend."""
    monkeypatch.setattr(devices, "_NVIDIA_DEVICE", tmp_path / "driver")
    monkeypatch.delenv("KERAS_BACKEND", raising=False)


def miss(monkeypatch):
    """Take onnxruntime away."""
    monkeypatch.setattr(engines, "ONNXRUNTIME", Extra("onnx", "no_such_runtime", "estimates with onnxruntime"))


def test_onnxruntime_is_chosen_where_it_can_do_what_is_asked():
    assert choose_engine() == choose_engine(device="cpu") == choose_engine(device="cpu:0") == "onnxruntime"


def test_keras_is_chosen_where_something_asks_for_it(monkeypatch):
    assert choose_engine(precision="bfloat16") == choose_engine(device="gpu:0") == choose_engine("keras") == "keras"
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert choose_engine() == "keras"
    assert choose_engine("onnxruntime") == "onnxruntime"


def test_keras_is_chosen_where_a_gpu_is(tmp_path):
    (tmp_path / "driver").touch()
    assert choose_engine() == "keras"
    assert choose_engine(device="cpu") == choose_engine("onnxruntime") == "onnxruntime"


def test_keras_is_chosen_where_onnxruntime_is_missing(monkeypatch):
    miss(monkeypatch)
    assert choose_engine() == "keras"
    with pytest.raises(ImportError, match=r"need the package no_such_runtime: pip install 'defocus-edge\[onnx\]'\."):
        choose_engine("onnxruntime")


@pytest.mark.parametrize("options", [{"precision": "bfloat16"}, {"device": "gpu:0"}], ids=str)
def test_what_onnxruntime_cannot_do_is_refused(options):
    with pytest.raises(ValueError, match="engine 'onnxruntime' computes in float32 on the CPU"):
        choose_engine("onnxruntime", **options)


def test_unknown_engine_and_device_are_refused(small_preset):
    with pytest.raises(ValueError, match=r"engine must be one of \('auto', 'onnxruntime', 'keras'\)\. Got: 'torch'"):
        choose_engine("torch")
    for device in ("tpu", "cpu:x"):
        with pytest.raises(DeviceError, match="device must be 'auto', 'cpu' or 'gpu:0'"):
            start_engine(small_preset, device=device)


@pytest.mark.parametrize("engine", ["onnxruntime", "keras"])
def test_a_preset_and_networks_in_memory_give_the_same(engine, small_preset, small_networks, texture):
    one, other = (BlurEstimator(source, engine=engine) for source in (small_preset, small_networks))
    assert (one.engine, one.device) == (other.engine, other.device) == (engine, "cpu:0")
    np.testing.assert_allclose(one.estimate(texture).radius, other.estimate(texture).radius, rtol=0, atol=1e-6)


def test_the_engine_changes_no_number():
    """Without the context network, whose points are sure or not."""
    photo = skimage.data.astronaut()[:200, 100:340]
    one, other = (BlurEstimator(engine=engine, context=False).estimate(photo) for engine in ("onnxruntime", "keras"))
    np.testing.assert_array_equal(one.points, other.points)
    np.testing.assert_allclose(one.point_radius, other.point_radius, rtol=0, atol=1e-4)
    np.testing.assert_allclose(one.radius, other.radius, rtol=0, atol=1e-4)


@pytest.mark.parametrize("engine", ["onnxruntime", "keras"])
def test_points_of_a_square_share_its_answer(engine, small_preset, texture):
    estimator = BlurEstimator(small_preset, engine=engine, grid_step=3, context=False, max_radius=6)
    estimate = estimator.estimate(texture)
    assert estimator.settings.grid_step == estimate.settings.grid_step == 3
    squares, number = np.unique(estimate.points // 3, axis=0, return_inverse=True)
    assert len(squares) < 0.7 * len(number)
    for values in (estimate.point_radius, estimate.point_confidence):
        for square in range(len(squares)):
            assert len(set(values[number == square])) == 1
    every = BlurEstimator(small_preset, engine=engine, context=False, max_radius=6).estimate(texture)
    np.testing.assert_array_equal(every.points, estimate.points)
    middle = (every.points % 3 == 1).all(axis=1)
    np.testing.assert_allclose(every.point_radius[middle], estimate.point_radius[middle], rtol=0, atol=1e-4)


def test_unknown_grid_is_refused(small_preset, small_networks):
    for source in (small_preset, small_networks):
        with pytest.raises(ValueError, match=r"grid_step must be 1 or 3 px\. Got: 2"):
            BlurEstimator(source, grid_step=2)


def test_a_number_of_threads_is_kept(monkeypatch):
    monkeypatch.setenv(runtime.THREADS_VARIABLE, "3")
    assert runtime._count_threads() == 3
    for nothing in ("", "0", "many"):
        monkeypatch.setenv(runtime.THREADS_VARIABLE, nothing)
        assert runtime._count_threads() >= 1


def test_onnxruntime_starts_without_keras(small_preset):
    code = (
        "import sys; import numpy as np; from defocus_edge import BlurEstimator; "
        "BlurEstimator(sys.argv[1], engine='onnxruntime').estimate(np.tri(40, 50)[..., None].repeat(3, 2)); "
        "print(sorted({'keras', 'tensorflow', 'jax', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code, small_preset], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr
