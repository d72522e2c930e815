"""A narrow pair of networks: what it is asked, how it begins, what it learns, and a training from the command line."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
import tensorflow as tf
from typer.testing import CliRunner

from defocus_edge.blur_levels import BLUR_LEVELS, N_LEVELS, class_to_radius
from defocus_edge.networks.edge.architecture import EdgeNetworksConfig
from defocus_edge.networks.edge.dense import DenseEvaluator
from defocus_edge.networks.edge.networks import build_edge_networks
from defocus_edge.networks.engines import start_engine
from defocus_edge.networks.preset_files import read_metadata
from defocus_edge.networks.presets import load_edge_networks, save_edge_preset
from tests.conftest import fill_networks, make_texture
from tests.defocus_edge.networks.edge.patch_oracle import PatchEvaluator
from training.__main__ import app
from training.context.samples import Sample, store_sample
from training.data.broad_scenes import FAMILY_SCENES, load_pictures, render_broad_scene
from training.distillation.answers import Answers, ask, find_squares, list_answers, read_answers
from training.distillation.asking import HELD_BACK, TRAINING, Lesson, _answer, fill_answers, list_work
from training.distillation.model import StudentModel, measure_loss, share_truth
from training.distillation.pruning import prune
from training.distillation.settings import read_student_config
from training.distillation.stages import fill
from training.distillation.training import StudentTask
from training.distillation.windows import WINDOW_SIDE, WINDOW_SQUARES, WindowSampler, cut_patches, find_kinds, turn

WIDE = EdgeNetworksConfig(filters=6, dense_units=(10, 8), head_normalization=True, context="context-v1")


@pytest.fixture(scope="module")
def wide():
    networks = build_edge_networks(WIDE)
    fill_networks(networks, np.random.default_rng(4))
    return networks


@pytest.fixture(scope="module")
def teacher(wide, tmp_path_factory):
    return save_edge_preset(wide, tmp_path_factory.mktemp("presets") / "wide", {"name": "wide"})


@pytest.fixture(scope="module")
def answers(teacher):
    """Two pictures, the truth of one known."""
    rng = np.random.default_rng(0)
    evaluator = DenseEvaluator(start_engine(teacher, grid_step=3))
    images = [cv2.GaussianBlur(make_texture(rng, 130, 170), (0, 0), 1) for _ in range(2)]
    for image in images:
        image[0, :2] = [[0], [255]]  # nothing to stretch: what is stored in 8 bits is what the teacher sees
    images = [image / np.float32(255) for image in images]
    truth = rng.uniform(0.5, 6, (130, 170)).astype(np.float32)
    return [ask(images[0], truth, evaluator), ask(images[1], None, evaluator)]


def test_each_square_has_one_point_next_to_its_middle(rng):
    points = np.unique(rng.integers(0, 30, (200, 2)), axis=0)
    squares, chosen = find_squares(points)
    np.testing.assert_array_equal(squares, np.unique(points // 3, axis=0))
    np.testing.assert_array_equal(chosen // 3, squares)
    for square, point in zip(squares, chosen, strict=True):
        mates = points[(points // 3 == square).all(axis=1)]
        distances = np.abs(mates - square * 3 - 1).sum(axis=1)
        assert np.abs(point - square * 3 - 1).sum() == distances.min()


def test_answers_are_those_of_the_patch_in_the_middle(answers, wide):
    known, unknown = answers
    assert np.isnan(unknown.truth).all()
    assert ((known.truth >= 0.5) & (known.truth <= 6)).all()
    image = np.float32(known.image / 255)
    middles = known.squares.astype(int) * 3 + 1
    inside = (middles < image.shape[:2]).all(axis=1)
    expected = PatchEvaluator(wide).predict(image, middles[inside])
    np.testing.assert_allclose(known.blur[inside], expected.blur, atol=1e-3)
    np.testing.assert_allclose(known.depth[inside], expected.edge[:, 1], atol=1e-3)


def test_a_picture_without_edges_gives_no_answers(teacher):
    plain = np.full((60, 60, 3), 0.5, np.float32)
    assert ask(plain, None, DenseEvaluator(start_engine(teacher, grid_step=3))) is None


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("quarters", range(4))
def test_turned_squares_show_the_turned_patch(rng, quarters, mirror):
    image = rng.integers(0, 256, (WINDOW_SIDE, WINDOW_SIDE, 3), dtype=np.uint8)
    squares = rng.integers(0, WINDOW_SQUARES, (30, 2))
    turned, places = turn(image, squares, quarters, mirror=mirror)
    for (row, col), (y, x) in zip(squares * 3 + 1, places * 3 + 1, strict=True):
        patch = np.rot90(image[row : row + 41, col : col + 41], quarters)
        np.testing.assert_array_equal(turned[y : y + 41, x : x + 41], patch[:, ::-1] if mirror else patch)


def test_windows_hold_the_answers_of_their_squares(answers, wide, monkeypatch):
    monkeypatch.setattr("training.distillation.windows.turn", lambda image, squares, *_, **__: (image, squares))
    batch = WindowSampler(answers).draw_batch(6, 25, rng=np.random.default_rng(1))
    assert batch.images.shape == (6, 64, 64, 3)
    kept = batch.weights > 0
    assert 30 < kept.sum() <= 150
    found = wide.joint(cut_patches(batch))
    np.testing.assert_allclose(found["blur"], batch.answers[kept, :N_LEVELS], atol=1e-3)
    np.testing.assert_allclose(found["edge"][:, 1], batch.answers[kept, N_LEVELS], atol=1e-3)


def make_answers(levels, *, depth=()):
    """A picture of 400 squares, twenty in a row, of one level after the other; those at `depth` are depth edges."""
    squares = np.stack(np.divmod(np.arange(400), 20), axis=1)
    blur = np.eye(N_LEVELS, dtype=np.float16)[np.resize(levels, 400)]
    edge = np.isin(np.arange(400), depth).astype(np.float16)
    image = np.zeros((60, 60, 3), np.uint8)
    return Answers(image, squares.astype(np.int16), blur, edge, np.full(400, np.nan, np.float16))


def test_rare_levels_and_depth_edges_are_drawn_often(monkeypatch):
    """625 times as many squares of one level as of another give five times as many windows."""
    monkeypatch.setattr("training.distillation.windows.WINDOW_SQUARES", 1)
    common = [make_answers([3]) for _ in range(25)]
    rare = make_answers([7] * 16 + [3] * 384, depth=range(16, 20))
    batch = WindowSampler([*common, rare]).draw_batch(3000, 1, rng=np.random.default_rng(0))
    edges = batch.answers[:, N_LEVELS] > 0.5
    level = batch.answers[:, :N_LEVELS].argmax(axis=1)[~edges]
    assert edges.mean() == pytest.approx(0.15, abs=0.02)
    assert (level == 3).sum() / (level == 7).sum() == pytest.approx((25 * 400 + 380) ** 0.25 / 16**0.25, rel=0.15)


def test_kinds_are_the_likeliest_level_or_a_depth_edge():
    kinds = find_kinds(make_answers([5, 22], depth=[1, 2]))
    np.testing.assert_array_equal(kinds[:4], [5, N_LEVELS, N_LEVELS, 22])


def test_the_model_gives_what_the_networks_give(answers, wide):
    networks = build_edge_networks(replace(WIDE, grid_step=3))
    networks.joint.set_weights(wide.joint.get_weights())
    model = StudentModel(networks)
    batch = WindowSampler(answers).draw_batch(2, 40, rng=np.random.default_rng(2))
    output = np.asarray(model({"images": batch.images, "squares": batch.squares}))[batch.weights > 0]
    expected = networks.joint(cut_patches(batch))
    np.testing.assert_allclose(output, np.concatenate([expected["blur"], expected["edge"]], axis=1), atol=1e-4)
    # The first kernels have no mean from now on.
    assert np.abs(np.mean(networks.joint.get_layer("b1_conv1").get_weights()[0], axis=(0, 1))).max() < 1e-6


def test_shares_of_the_truth_are_those_of_the_levels(rng):
    radius = rng.uniform(0.5, 6, 40).astype(np.float32)
    shares = np.asarray(share_truth(radius))
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(shares @ BLUR_LEVELS, radius, atol=1e-5)
    np.testing.assert_array_equal(np.asarray(share_truth(np.float32([0.1, 9.0]))).argmax(axis=1), [0, N_LEVELS - 1])


def make_rows(level, depth, truth):
    said = np.eye(N_LEVELS, dtype=np.float32)[[level]]
    return np.column_stack([said, np.float32([depth]), np.float32([truth])]).astype(np.float32)


def make_output(level, depth):
    return np.column_stack([np.eye(N_LEVELS)[[level]], [[1 - depth, depth]]]).astype(np.float32)


def test_the_loss_is_nothing_where_the_student_says_what_the_teacher_says():
    same = measure_loss(make_rows(4, 0.0, np.nan), make_output(4, 0.0), 0.3, 1.5)
    np.testing.assert_allclose(same, 0, atol=1e-5)
    other = measure_loss(make_rows(4, 0.0, np.nan), make_output(6, 0.0), 0.3, 1.5)
    np.testing.assert_allclose(other, -np.log(1e-7) + 0.5, rtol=1e-4)
    edge = measure_loss(make_rows(4, 0.0, np.nan), make_output(4, 1.0), 0.3, 1.5)
    np.testing.assert_allclose(edge, -1.5 * np.log(1e-7), rtol=1e-4)


def test_the_truth_counts_where_it_is_known_and_no_depth_edge_is():
    truth = float(class_to_radius(np.array([8]))[0])
    for depth, expected in ((0.0, -np.log(1e-7) * 0.3 + 0.3), (1.0, 0.0)):
        loss = measure_loss(make_rows(4, depth, truth), make_output(4, depth), 0.3, 1.5)
        np.testing.assert_allclose(loss, expected, rtol=1e-4, atol=1e-4)


def test_a_pruned_network_with_all_channels_is_the_teacher(answers, wide):
    batch = WindowSampler(answers).draw_batch(40, 8, rng=np.random.default_rng(3))
    patches = cut_patches(batch)
    networks = build_edge_networks(WIDE)
    fill(networks, prune(wide.weights, WIDE, patches, np.random.default_rng(0)))
    found, expected = networks.joint(patches), wide.joint(patches)
    for name in ("blur", "edge"):
        assert np.abs(found[name] - expected[name]).mean() < 0.01


def test_a_pruned_network_is_nearer_to_the_teacher_than_a_random_one(answers, wide):
    sampler, rng = WindowSampler(answers), np.random.default_rng(3)
    patches, others = (cut_patches(sampler.draw_batch(40, 8, rng=rng)) for _ in range(2))
    config = replace(WIDE, filters=4, dense_units=(7, 6))
    keras.utils.set_random_seed(0)
    narrow = build_edge_networks(config)
    before = np.abs(narrow.joint(others)["blur"] - wide.joint(others)["blur"]).mean()
    fill(narrow, prune(wide.weights, config, patches, rng))
    after = np.abs(narrow.joint(others)["blur"] - wide.joint(others)["blur"]).mean()
    assert after < 0.5 * before


def test_pruning_refuses_other_architectures(wide):
    for other in (replace(WIDE, filters=9), replace(WIDE, branch_sides=(41,))):
        with pytest.raises(ValueError, match="config must have all branches and no more filters than the teacher"):
            prune(wide.weights, other, np.zeros((4, 41, 41, 3), np.float32), np.random.default_rng(0))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Samples of two scenes and one held-back one, and a folder of photographs."""
    rng, root = np.random.default_rng(5), tmp_path_factory.mktemp("data")
    for folder, count in (("scenes", 2), ("development", 1)):
        for number in range(count):
            image = make_texture(rng, 120, 150)
            truth = rng.uniform(0.5, 6, (120, 150)).astype(np.float16)
            nothing = np.zeros(1, np.float16)
            points, scale = np.zeros((1, 2), np.int16), np.ones(1, np.uint8)
            sample = Sample(image, truth, points, nothing, nothing, nothing, scale)
            store_sample(root / "samples" / folder, f"scene-{number:05}", lambda sample=sample: sample)
    (root / "salient").mkdir()
    for number in range(11):
        side = 760 if number == 1 else 90
        cv2.imwrite(str(root / "salient" / f"{number:04}.png"), make_texture(rng, side, side + 20))
        cv2.imwrite(str(root / "salient" / f"{number:04}_mask.png"), np.zeros((90, 110), np.uint8))
    return root


def test_asking_goes_on_where_it_stopped(data, teacher, tmp_path):
    lesson = Lesson(data, data / "samples", tmp_path, str(teacher))
    work = list_work(lesson)
    assert [(folder, kind) for folder, kind, *_ in work].count((HELD_BACK, "photo")) == 2  # the 1st and the 11th
    assert len(work) == 3 + 11
    assert list(fill_answers(lesson, jobs=1)) == list(range(1, len(work) + 1))
    paths = {name: list_answers(tmp_path / name) for name in (TRAINING, HELD_BACK)}
    # One scene in three is asked about at half its size, too.
    assert {name: len(found) for name, found in paths.items()} == {TRAINING: 2 + 1 + 9, HELD_BACK: 2 + 2}
    halved = read_answers(tmp_path / TRAINING / "scenes-scene-00000-1.answers.npz")
    assert halved.image.shape == (60, 75, 3)
    assert np.nanmax(halved.truth) <= 3
    large = read_answers(tmp_path / TRAINING / "salient-0001.answers.npz")
    assert large.image.shape == (360, 360, 3)
    times = {path: path.stat().st_mtime_ns for found in paths.values() for path in found}
    list(fill_answers(lesson, jobs=1))
    assert times == {path: path.stat().st_mtime_ns for path in times}


def test_scenes_of_the_broad_set_are_rendered_of_training_pictures(training_root, teacher, tmp_path, monkeypatch):
    monkeypatch.setattr("training.data.broad_scenes.LEAST_SIDE", 100)
    (tmp_path / "store").mkdir()
    lesson = Lesson(training_root, tmp_path, tmp_path / "store", str(teacher), broad=3)
    work = [each for each in list_work(lesson) if each[1] == "broad"]
    assert [(str(path), number) for _, _, path, number in work] == [
        (name, n) for n in range(3) for name in FAMILY_SCENES
    ]
    chosen = next(each for each in work if each[2:] == (Path("uniform"), 2))
    _answer(lesson, *chosen)
    said = read_answers(tmp_path / "store" / TRAINING / "broad-uniform-0002.answers.npz")
    scene = render_broad_scene(load_pictures(training_root, development=False), "uniform", 2)
    assert said.image.shape == scene.image.shape
    assert (said.truth == BLUR_LEVELS[2]).all()


def test_scenes_of_the_broad_set_need_pictures(data, teacher, tmp_path):
    refused = run(
        "answers", "--samples", data / "samples", "--store", tmp_path, "--teacher", teacher, "--broad", 1, "--jobs", 1
    )
    assert refused.exit_code != 0
    assert "root must be given" in refused.output


CONFIG = """
seed = 0
[network]
filters = 4
dense_units = [6, 5]
head_normalization = true
grid_step = 3
[training]
windows = 2
squares = 24
patches = 60
steps = 3
warmup = 1
"""


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)


def run_eagerly(*words):
    """A command that traces no graphs, which takes longer than its few steps."""
    tf.config.run_functions_eagerly(True)
    try:
        return run(*words)
    finally:
        tf.config.run_functions_eagerly(False)


def test_a_student_from_the_command_line(data, teacher, tmp_path):
    store, out, config = tmp_path / "answers", tmp_path / "run", tmp_path / "tiny.toml"
    config.write_text(CONFIG, encoding="utf-8")
    asked = run("answers", "--samples", data / "samples", "--store", store, "--teacher", teacher, "--jobs", 1)
    assert asked.exit_code == 0, asked.output
    words = ("student", "--store", store, "--out", out, "--config", config, "--teacher", teacher)
    done = run(*words)
    assert done.exit_code == 0, done.output
    preset = Path(done.stdout.split()[-1])
    networks = load_edge_networks(preset)
    assert (networks.config.filters, networks.config.grid_step, networks.config.context) == (4, 3, "context-v1")
    said = read_metadata(preset)
    assert said["taught_by"] == "wide"
    assert said["pictures"] == {"scenes": 3}
    assert set(said["development_windows"]) == {"off_teacher_px", "off_teacher_depth", "mae_px"}
    assert str(tmp_path) not in json.dumps(said)
    again = run(*words)
    assert again.exit_code != 0
    assert "must not exist for a new run" in " ".join((again.output).split())
    longer = run_eagerly(*words, "--resume", "--steps", 4)
    assert longer.exit_code == 0, longer.output
    from_it = ("student", "--store", store, "--out", tmp_path / "second", "--config", config, "--teacher", teacher)
    for start in (out, preset):
        begun = run_eagerly(*from_it, "--start", start, "--steps", 1)
        assert begun.exit_code == 0, begun.output
        for path in sorted((tmp_path / "second").glob("student.*")):
            path.unlink()


def test_a_store_keeps_to_its_teacher(data, teacher, tmp_path):
    store = tmp_path / "answers"
    asked = ("answers", "--samples", data / "samples", "--store", store, "--jobs", 1, "--teacher")
    assert run(*asked, teacher).exit_code == 0
    networks = build_edge_networks(WIDE)
    fill_networks(networks, np.random.default_rng(9))
    other = save_edge_preset(networks, tmp_path / "other", {"name": "other"})
    config = tmp_path / "tiny.toml"
    config.write_text(CONFIG, encoding="utf-8")
    student = ("student", "--store", store, "--out", tmp_path / "run", "--config", config, "--teacher")
    for command in (asked, student):
        refused = run(*command, other)
        assert refused.exit_code != 0
        assert "teacher must be the preset whose answers" in " ".join(refused.output.split())


def test_a_picture_is_learnt_from_or_held_back(data, teacher, tmp_path):
    store, config = tmp_path / "answers", tmp_path / "tiny.toml"
    config.write_text(CONFIG, encoding="utf-8")
    assert (
        run("answers", "--samples", data / "samples", "--store", store, "--teacher", teacher, "--jobs", 1).exit_code
        == 0
    )
    leaked = list_answers(store / HELD_BACK)[0]
    shutil.copy(leaked, store / TRAINING / leaked.name)
    refused = run("student", "--store", store, "--out", tmp_path / "run", "--config", config, "--teacher", teacher)
    assert refused.exit_code != 0
    assert f"which has {leaked.name} in both folders" in " ".join(refused.output.split())


def test_photographs_alone_have_no_error(answers, wide):
    networks = build_edge_networks(replace(WIDE, grid_step=3))
    networks.joint.set_weights(wide.joint.get_weights())
    settings = replace(read_student_config("fast").settings, windows=1, squares=8)
    scores = StudentTask(networks, settings, WindowSampler(answers), WindowSampler(answers[1:])).score()
    assert np.isnan(scores["mae_px"])
    assert scores["off_teacher_px"] < 0.5


def test_wrong_folders_are_said_in_one_line(tmp_path):
    asked = run("answers", "--samples", tmp_path, "--store", tmp_path / "store")
    assert asked.exit_code != 0
    assert "must have scenes" in asked.output
    config = tmp_path / "tiny.toml"
    config.write_text(CONFIG, encoding="utf-8")
    trained = run("student", "--store", tmp_path, "--out", tmp_path / "run", "--config", config)
    assert trained.exit_code != 0
    assert "must have answers" in " ".join(trained.output.split())


def test_the_configuration_of_the_package_is_read():
    config = read_student_config("fast")
    assert (config.architecture.filters, config.architecture.grid_step) == (24, 3)
    assert config.architecture.head_normalization


def test_answers_are_read_as_they_were_written(answers, tmp_path):
    from training.distillation.answers import store_answers

    assert store_answers(tmp_path, "one", lambda: answers[0])
    again = read_answers(tmp_path / "one.answers.npz")
    assert isinstance(again, Answers)
    np.testing.assert_array_equal(again.blur, answers[0].blur)
    assert not store_answers(tmp_path, "none", lambda: None)
