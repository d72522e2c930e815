"""Windows that are drawn and answered on the accelerator: their squares, what is known of them, a training in JAX."""

import os
import subprocess
import sys
from dataclasses import replace

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
from typer.testing import CliRunner

from defocus_edge.blur_levels import MAX_RADIUS, MIN_RADIUS, N_LEVELS
from defocus_edge.networks.edge.architecture import EdgeNetworksConfig
from defocus_edge.networks.edge.networks import build_edge_networks
from defocus_edge.networks.preset_files import read_metadata
from defocus_edge.networks.presets import load_edge_networks, save_edge_preset
from tests.conftest import fill_networks, make_texture
from tests.training.edges.device.device_cases import compile_quickly, draw_matte
from training.__main__ import app
from training.data.sources import Cutout, Sources
from training.distillation import answers
from training.distillation.device_windows import DeviceWindows, Teacher, find_squares
from training.distillation.model import StudentModel
from training.distillation.settings import StudentSettings, read_student_config
from training.distillation.windows import cut_patches
from training.edges.device.features import SquareFeatures

SETTINGS = StudentSettings(
    1, windows=10, squares=30, sampler="device", families={"uniform": 0.5, "composite": 0.5}, photo_share=0.2
)
CONFIG = """
[network]
filters = 4
dense_units = [6, 5]
head_normalization = true
grid_step = 3
[training]
sampler = "device"
windows = 5
squares = 20
patches = 20
steps = 2
warmup = 1
photo_share = 0.4
"""


@pytest.fixture(scope="module", autouse=True)
def quick():
    with compile_quickly():
        yield


def name_places(weights, images, squares):
    """A teacher that says where it looks: row and column in the first two values, the mean of the window last."""
    said = jnp.zeros((len(squares), N_LEVELS + 2)).at[:, 0].set(squares[:, 1]).at[:, 1].set(squares[:, 2])
    return said.at[:, -1].set(weights * images.mean(axis=(1, 2, 3))[squares[:, 0]])


@pytest.fixture(scope="module")
def pictures():
    rng = np.random.default_rng(0)
    sharp = [make_texture(rng, 260, 280) for _ in range(2)]
    matte = np.zeros((260, 280), np.uint8)
    matte[60:156, 70:166] = 255 * draw_matte(3)
    return Sources(sharp, [Cutout(sharp[0], matte)], [matte]), [make_texture(rng, 200, 210) for _ in range(2)]


@pytest.fixture(scope="module")
def windows(pictures):
    return DeviceWindows(*pictures, Teacher(name_places, jnp.float32(2.0)), SETTINGS)


@pytest.fixture(scope="module")
def batch(windows):
    return windows.draw_batch(10, 30, rng=np.random.default_rng(4)).fetch()


def test_squares_are_those_of_the_oracle(rng):
    edges = rng.random((6, 24, 24)) < 0.08
    truth = rng.random((6, 24, 24), dtype=np.float32)
    has_edge, radius = (np.asarray(each) for each in find_squares(edges, truth))
    for number in range(len(edges)):
        squares, points = answers.find_squares(np.argwhere(edges[number]))
        expected = np.zeros((8, 8), bool)
        expected[tuple(squares.T)] = True
        np.testing.assert_array_equal(has_edge[number], expected.ravel())
        np.testing.assert_array_equal(radius[number][expected.ravel()], truth[number][tuple(points.T)])


def test_a_batch_is_what_the_student_takes(batch):
    assert batch.images.shape == (10, 64, 64, 3)
    assert (batch.squares.shape, batch.squares.dtype) == ((300, 3), np.int32)
    assert batch.answers.shape == (300, N_LEVELS + 2)
    np.testing.assert_array_equal(batch.squares[:, 0], np.repeat(np.arange(10), 30))
    assert ((batch.squares[:, 1:] >= 0) & (batch.squares[:, 1:] < 8)).all()
    kept = batch.weights > 0
    assert 60 < kept.sum() < 300
    assert len(np.unique(batch.squares[kept], axis=0)) == kept.sum()
    truth = batch.answers[kept & (batch.squares[:, 0] < 8), -1]
    known = truth[~np.isnan(truth)]
    assert len(known) > 0.5 * len(truth)
    assert ((known >= MIN_RADIUS) & (known <= MAX_RADIUS)).all()


def test_of_photographs_no_radius_is_known(batch):
    truth = batch.answers[batch.squares[:, 0] >= 8, -1]
    assert np.isnan(truth).all()
    # They are parts of the photographs, in 8 bits.
    window = np.rint(batch.images[9] * 255)
    np.testing.assert_allclose(batch.images[9] * 255, window, atol=1e-3)


def test_the_teacher_is_asked_about_each_square_in_its_window(batch):
    np.testing.assert_array_equal(batch.answers[:, :2], batch.squares[:, 1:])
    means = 2 * batch.images.mean(axis=(1, 2, 3))[batch.squares[:, 0]]
    np.testing.assert_allclose(batch.answers[:, N_LEVELS], means, rtol=1e-4)


def test_a_seed_draws_the_same_windows_again(windows, batch):
    again, other = (windows.draw_batch(10, 30, rng=np.random.default_rng(seed)).fetch() for seed in (4, 5))
    np.testing.assert_array_equal(again.images, batch.images)
    np.testing.assert_array_equal(again.answers, batch.answers)
    assert (other.images != batch.images).any()


def test_what_cannot_be_drawn_is_refused(pictures):
    sources, photographs = pictures
    teacher = Teacher(name_places, jnp.float32(1.0))
    for settings, photos, rule in (
        (replace(SETTINGS, families={"depth": 1.0}), photographs, "families must be of uniform"),
        (replace(SETTINGS, squares=65), photographs, "squares must be at most 64"),
        (SETTINGS, [], "sources must hold a sharp picture"),
    ):
        with pytest.raises(ValueError, match=rule):
            DeviceWindows(sources, photos, teacher, settings)
    with pytest.raises(ValueError, match="an object or a mask"):
        DeviceWindows(Sources(sources.sharp), photographs, teacher, SETTINGS)


def test_fast_maps_give_what_the_model_gives(rng):
    networks = build_edge_networks(
        EdgeNetworksConfig(filters=6, dense_units=(9, 7), head_normalization=True, grid_step=3)
    )
    fill_networks(networks, rng)
    squares = np.stack([rng.integers(0, size, 40) for size in (3, 8, 8)], axis=1).astype(np.int32)
    inputs = {"images": rng.random((3, 64, 64, 3), dtype=np.float32), "squares": squares}
    expected, found = (
        keras.ops.convert_to_numpy(StudentModel(networks, features=features)(inputs))
        for features in (None, SquareFeatures)
    )
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_fast_maps_of_points_are_refused():
    networks = build_edge_networks(EdgeNetworksConfig(filters=6, dense_units=(9, 7)))
    with pytest.raises(ValueError, match="dilation must be 1"):
        SquareFeatures(networks).call(np.zeros((1, 64, 64, 3), np.float32))


def test_the_configurations_say_what_they_use(tmp_path):
    config = read_student_config("gpu")
    assert (config.settings.sampler, config.settings.precision) == ("device", "mixed_bfloat16")
    points = tmp_path / "points.toml"
    points.write_text(CONFIG.replace("grid_step = 3", "grid_step = 1"), encoding="utf-8")
    with pytest.raises(ValueError, match=r"network\.grid_step must be 3"):
        read_student_config(str(points))
    stored = tmp_path / "stored.toml"
    stored.write_text(CONFIG.replace('sampler = "device"\n', ""), encoding="utf-8")
    with pytest.raises(ValueError, match="photo_share must not be there"):
        read_student_config(str(stored))


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)


def test_each_sampler_has_its_source(tmp_path):
    config = tmp_path / "tiny.toml"
    config.write_text(CONFIG, encoding="utf-8")
    for words, rule in (
        (("--config", config, "--store", tmp_path), "--root must be given, and no --store, with the sampler 'device'"),
        (("--config", config), "--root must be given"),
        (("--root", tmp_path), "--store must be given, and no --root, with the sampler 'store'"),
        (("--config", config, "--root", tmp_path), "KERAS_BACKEND must be 'jax'"),
    ):
        refused = run("student", "--out", tmp_path / "run", *words)
        assert refused.exit_code != 0
        assert rule in " ".join(refused.output.replace("│", " ").split())


@pytest.mark.slow
def test_what_jax_trained_says_the_same_here(training_root, repository, tmp_path, rng):
    """A training from the command line in another process; its preset here gives the numbers that it gives there."""
    networks = build_edge_networks(EdgeNetworksConfig(filters=6, dense_units=(10, 8), head_normalization=True))
    fill_networks(networks, rng)
    teacher = save_edge_preset(networks, tmp_path / "wide", {"name": "wide"})
    config, out = tmp_path / "tiny.toml", tmp_path / "run"
    config.write_text(CONFIG, encoding="utf-8")
    words = ["--config", config, "--root", training_root, "--out", out, "--teacher", teacher]
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    command = [sys.executable, "-m", "training", "student", *map(str, words)]
    done = subprocess.run(command, cwd=repository, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    said = read_metadata(out / "preset")
    assert said["pictures"] == {"sharp": 13, "cutouts": 1, "mattes": 0, "shapes": 1, "photographs": 13}
    patches = rng.random((30, 41, 41, 3), dtype=np.float32)
    np.save(tmp_path / "patches.npy", patches)
    program = (
        "import sys, numpy as np; from defocus_edge.networks.presets import load_edge_networks; "
        "found = load_edge_networks(sys.argv[1]).joint(np.load(sys.argv[2])); "
        "np.save(sys.argv[3], np.concatenate([np.asarray(found[name]) for name in ('blur', 'edge')], axis=1))"
    )
    places = [out / "preset", tmp_path / "patches.npy", tmp_path / "found.npy"]
    command = [sys.executable, "-c", program, *map(str, places)]
    subprocess.run(command, cwd=repository, env=environment, check=True)
    expected = load_edge_networks(out / "preset").joint(patches)
    expected = np.concatenate([expected["blur"], expected["edge"]], axis=1)
    np.testing.assert_allclose(np.load(tmp_path / "found.npy"), expected, rtol=0, atol=1e-5)


def test_a_held_back_batch_leaves_the_accelerator(windows):
    batch = windows.draw_batch(10, 30, rng=np.random.default_rng(0))
    assert isinstance(batch.images, jax.Array)
    assert isinstance(batch.fetch().images, np.ndarray)
    assert len(cut_patches(batch.fetch())) == batch.fetch().weights.sum()
