"""The dense evaluation against patch by patch: the same numbers for any size, tile, point and order."""

import importlib.util
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from defocus_edge.networks.edge import keras_engine
from defocus_edge.networks.edge.architecture import EdgeNetworksConfig
from defocus_edge.networks.edge.dense import DenseEvaluator
from defocus_edge.networks.edge.features import DenseFeatures
from defocus_edge.networks.edge.keras_engine import KerasEngine
from defocus_edge.networks.edge.networks import build_edge_networks
from defocus_edge.networks.onnx.runtime import OnnxEngine
from tests.defocus_edge.networks.edge.patch_oracle import PATCH_CHUNK, PatchEvaluator

TOLERANCE = 1e-4
SIZES = [(20, 20), (41, 41), (21, 67), (53, 37), (97, 130), (20, 150)]
TILE_SIDES = [17, 32, 64, 100, 384]
EVERY_ENGINE = pytest.mark.parametrize(
    ("engine", "grid_step"), [("keras", 1), ("keras", 3), ("onnxruntime", 1), ("onnxruntime", 3)]
)


@cache
def make_networks(crop_shift, grid_step=1):
    keras.utils.set_random_seed(3)
    config = EdgeNetworksConfig(filters=4, dense_units=(8, 6), crop_shift=crop_shift, grid_step=grid_step)
    return build_edge_networks(config)


def start(networks, engine):
    return OnnxEngine(networks.weights) if engine == "onnxruntime" else KerasEngine(networks)


@cache
def make_dense(crop_shift, tile_side, engine="keras", grid_step=1):
    return DenseEvaluator(start(make_networks(crop_shift, grid_step), engine), tile_side=tile_side)


@cache
def make_slow(crop_shift, grid_step=1):
    return PatchEvaluator(make_networks(crop_shift, grid_step))


def draw_picture(height, width, count=40, *, seed=0):
    """Random picture with points at the corners, along the border and anywhere."""
    rng = np.random.default_rng(seed)
    corners = [(0, 0), (0, width - 1), (height - 1, 0), (height - 1, width - 1), (0, width // 2), (height // 2, 0)]
    anywhere = np.stack([rng.integers(0, height, count), rng.integers(0, width, count)], axis=1)
    return rng.random((height, width, 3), dtype=np.float32), np.concatenate([corners, anywhere])


def assert_same(prediction, other, tolerance=TOLERANCE):
    np.testing.assert_allclose(prediction.blur, other.blur, rtol=0, atol=tolerance)
    np.testing.assert_allclose(prediction.edge, other.edge, rtol=0, atol=tolerance)


def test_shapes_and_dtypes():
    image, points = draw_picture(50, 60)
    for evaluator in (make_dense(0, 64), make_slow(0)):
        prediction = evaluator.predict(image, points)
        assert prediction.blur.shape == (len(points), 23)
        assert prediction.edge.shape == (len(points), 2)
        assert prediction.blur.dtype == prediction.edge.dtype == np.float32
        np.testing.assert_allclose(prediction.blur.sum(axis=1), 1, atol=1e-5)
        np.testing.assert_allclose(prediction.edge.sum(axis=1), 1, atol=1e-5)


def test_random_networks_tell_points_apart():
    """Guards the tests below: dead networks would agree on anything."""
    prediction = make_slow(0).predict(*draw_picture(50, 60))
    assert np.ptp(prediction.blur, axis=0).max() > 0.01
    assert np.ptp(prediction.edge, axis=0).max() > 0.01


@pytest.mark.parametrize("evaluator", ["dense", "slow"])
def test_no_points_give_empty_predictions(evaluator):
    chosen = make_dense(0, 64) if evaluator == "dense" else make_slow(0)
    prediction = chosen.predict(draw_picture(30, 30)[0], np.empty((0, 2), dtype=np.int32))
    assert prediction.blur.shape == (0, 23)
    assert prediction.edge.shape == (0, 2)


@pytest.mark.parametrize("tile_side", [0, -5])
def test_tile_without_pixels_is_refused(tile_side):
    with pytest.raises(ValueError, match=r"tile_side must be a positive number of pixels\. Got: "):
        DenseEvaluator(KerasEngine(make_networks(0)), tile_side=tile_side)


@pytest.mark.parametrize("point", [(-1, 0), (0, -1), (30, 0), (0, 40)])
@pytest.mark.parametrize("evaluator", ["dense", "slow"])
def test_point_outside_the_image_is_refused(evaluator, point):
    chosen = make_dense(0, 64) if evaluator == "dense" else make_slow(0)
    with pytest.raises(ValueError, match="points must lie inside the image of 30×40 px"):
        chosen.predict(np.zeros((30, 40, 3), dtype=np.float32), np.array([[3, 3], point]))


@EVERY_ENGINE
@pytest.mark.parametrize("crop_shift", [0, 1])
@pytest.mark.parametrize("tile_side", TILE_SIDES)
def test_dense_equals_patches_for_all_sizes(tile_side, crop_shift, engine, grid_step):
    # One evaluator sees pictures of all sizes, one after the other.
    evaluator = make_dense(crop_shift, tile_side, engine, grid_step)
    for height, width in SIZES:
        image, points = draw_picture(height, width)
        expected = make_slow(crop_shift, grid_step).predict(image, points)
        assert_same(evaluator.predict(image, points), expected)


@EVERY_ENGINE
def test_chunks_hold_each_point_once(engine, grid_step):
    image, points = draw_picture(50, 90, count=4000)
    dense = make_dense(0, 64, engine, grid_step)
    whole = dense.predict(image, points)
    seen = np.zeros(len(points), dtype=int)
    for rows, chunk in dense.predict_chunks(image, points):
        seen[rows] += 1
        np.testing.assert_array_equal(chunk.blur, whole.blur[rows])
        np.testing.assert_array_equal(chunk.edge, whole.edge[rows])
    assert (seen == 1).all()


@EVERY_ENGINE
@pytest.mark.parametrize("branch_sides", [(41,), (41, 27), (41, 15)])
def test_dense_equals_patches_with_fewer_branches(branch_sides, engine, grid_step):
    image, points = draw_picture(37, 90)
    config = EdgeNetworksConfig(filters=4, dense_units=(8, 6), branch_sides=branch_sides, grid_step=grid_step)
    networks = build_edge_networks(config)
    expected = PatchEvaluator(networks).predict(image, points)
    assert_same(DenseEvaluator(start(networks, engine), tile_side=40).predict(image, points), expected)


@EVERY_ENGINE
@pytest.mark.parametrize(("filters", "crop_shift"), [(64, 0), (64, 1), (32, 0), (24, 0), (16, 0)])
def test_dense_equals_patches_with_many_filters(filters, crop_shift, engine, grid_step):
    keras.utils.set_random_seed(0)
    config = EdgeNetworksConfig(filters=filters, crop_shift=crop_shift, grid_step=grid_step)
    networks = build_edge_networks(config)
    image, points = draw_picture(67, 90, 100)
    expected = PatchEvaluator(networks).predict(image, points)
    assert np.ptp(expected.blur, axis=0).max() > 0.01
    assert_same(DenseEvaluator(start(networks, engine), tile_side=64).predict(image, points), expected)


def test_one_column_of_edges():
    image, _ = draw_picture(80, 60)
    points = np.stack([np.arange(80), np.full(80, 31)], axis=1)
    assert_same(make_dense(0, 32).predict(image, points), make_slow(0).predict(image, points))


@EVERY_ENGINE
def test_more_points_than_one_call_holds(engine, grid_step):
    image, _ = draw_picture(50, 60)
    points = np.argwhere(np.ones(image.shape[:2], dtype=bool))
    evaluator = make_dense(0, 384, engine, grid_step)
    if grid_step > 1:  # fewer squares than points: a smaller call, since the slow evaluator looks at each point
        evaluator = DenseEvaluator(start(make_networks(0, grid_step), engine), tile_side=384)
        evaluator.engine.points_in_call = 200
    assert len(points) > evaluator.engine.points_in_call * grid_step**2 > PATCH_CHUNK
    assert_same(evaluator.predict(image, points), make_slow(0, grid_step).predict(image, points))


@pytest.mark.parametrize("grid_step", [1, 3])
def test_many_tiles_in_one_call_change_nothing(grid_step, monkeypatch):
    """As on a GPU: tiles of one shape in calls of 4, the last one filled up, and pieces of 50 points."""
    monkeypatch.setattr(keras_engine, "_CPU_CALL", (4, 50))
    engine = KerasEngine(make_networks(0, grid_step))
    engine.takes_one_shape = True
    shapes, make_maps = [], engine.make_maps
    monkeypatch.setattr(engine, "make_maps", lambda tiles: shapes.append(tiles.shape) or make_maps(tiles))
    image, points = draw_picture(80, 250, 300)
    found = DenseEvaluator(engine, tile_side=36).predict(image, points)
    assert_same(found, make_slow(0, grid_step).predict(image, points))
    assert len(shapes) > 2
    assert set(shapes) == {(4, 76, 76, 3)}


def test_order_of_points_does_not_matter(rng):
    image, points = draw_picture(97, 130, 100)
    order = rng.permutation(len(points))
    prediction, shuffled = (make_dense(0, 32).predict(image, chosen) for chosen in (points, points[order]))
    np.testing.assert_allclose(shuffled.blur, prediction.blur[order], atol=1e-6)
    np.testing.assert_allclose(shuffled.edge, prediction.edge[order], atol=1e-6)


def test_a_point_given_twice_is_answered_twice():
    image, points = draw_picture(40, 40)
    prediction = make_dense(0, 64).predict(image, points[[0, 7, 0]])
    np.testing.assert_array_equal(prediction.blur[0], prediction.blur[2])


def test_input_is_not_modified():
    image, points = draw_picture(50, 60)
    before = image.copy(), points.copy()
    make_dense(0, 32).predict(image, points)
    np.testing.assert_array_equal(image, before[0])
    np.testing.assert_array_equal(points, before[1])


def test_progress_counts_all_points_once():
    image, points = draw_picture(97, 130)
    calls = []
    make_dense(0, 32).predict(image, points, progress=lambda done, of: calls.append((done, of)))
    done = [call[0] for call in calls]
    assert len(calls) > 4
    assert done == sorted(set(done))
    assert calls[-1] == (len(points), len(points))
    assert {call[1] for call in calls} == {len(points)}


@pytest.mark.parametrize("kind", [np.int64, np.uint8, np.uint64])
def test_few_points_far_apart(kind):
    # In all corners of the picture and of tiles, and alone.
    points = np.array([[0, 0], [0, 63], [10, 64], [70, 150], [134, 150], [199, 230], [150, 0]], dtype=kind)
    image, _ = draw_picture(200, 231)
    assert_same(make_dense(0, 160).predict(image, points), make_slow(0).predict(image, points))


def test_tiles_without_points_are_skipped():
    image, _ = draw_picture(97, 130)
    calls = []
    make_dense(0, 32).predict(image, np.array([[3, 5], [90, 120]]), progress=lambda *call: calls.append(call))
    assert calls == [(1, 2), (2, 2)]


@settings(max_examples=15)
@given(st.integers(20, 80), st.integers(20, 80), st.integers(1, 100), st.integers(0, 2**32 - 1))
def test_tile_size_changes_nothing(height, width, tile_side, seed):
    image, points = draw_picture(height, width, 6, seed=seed)
    # The compiled functions do not depend on the side: changing it saves compiling them in each example.
    evaluator = make_dense(0, 48)
    evaluator.tile_side = tile_side
    assert_same(evaluator.predict(image, points), make_slow(0).predict(image, points), 1e-5)


@settings(max_examples=10)
@given(st.integers(1, 30), st.integers(0, 2**32 - 1))
def test_batch_size_changes_nothing(batch, seed):
    image, points = draw_picture(40, 50, 24, seed=seed)
    whole = make_dense(0, 64).predict(image, points)
    parts = [make_dense(0, 64).predict(image, points[i : i + batch]) for i in range(0, len(points), batch)]
    np.testing.assert_allclose(np.concatenate([part.blur for part in parts]), whole.blur, atol=1e-6)


@pytest.mark.parametrize("axis", [0, 1], ids=["rows", "columns"])
@pytest.mark.parametrize("evaluator", ["dense", "slow"])
def test_measured_receptive_field_is_the_patch(evaluator, axis):
    """Which lines of pixels around a point change its prediction: those up to 20 px away, no other."""
    chosen = make_dense(0, 384) if evaluator == "dense" else make_slow(0)
    image, _ = draw_picture(90, 90)
    point = np.array([[45, 45]])
    before = chosen.predict(image, point)
    seen = []
    for offset in (*range(-24, -17), *range(18, 25)):
        changed = image.copy()
        changed[(45 + offset, slice(None)) if axis == 0 else (slice(None), 45 + offset)] += 3
        after = chosen.predict(changed, point)
        if np.abs(after.blur - before.blur).max() > 1e-6 or np.abs(after.edge - before.edge).max() > 1e-6:
            seen.append(offset)
    assert seen == [-20, -19, -18, 18, 19, 20]


@EVERY_ENGINE
def test_two_threads_at_once_equal_one_after_the_other(engine, grid_step):
    pictures = [draw_picture(97, 130, 200, seed=seed) for seed in range(6)]
    evaluator = make_dense(0, 64, engine, grid_step)
    alone = [evaluator.predict(*picture) for picture in pictures]
    with ThreadPoolExecutor(2) as executor:
        together = list(executor.map(lambda picture: evaluator.predict(*picture), pictures))
    for one, other in zip(alone, together, strict=True):
        assert_same(one, other, 1e-6)


def test_each_function_is_compiled_once_for_pictures_of_all_sizes(monkeypatch):
    """TensorFlow runs the Python code of a function while it traces it, and not again."""
    traced = []
    gather = keras_engine.gather_head_input
    monkeypatch.setattr(keras_engine, "gather_head_input", lambda *args: traced.append("heads") or gather(*args))
    call = DenseFeatures.call
    monkeypatch.setattr(DenseFeatures, "call", lambda self, tiles: traced.append("maps") or call(self, tiles))
    keras.utils.set_random_seed(5)
    evaluator = DenseEvaluator(KerasEngine(build_edge_networks(EdgeNetworksConfig(filters=2, dense_units=(4,)))))
    image, points = draw_picture(45, 40, 5)
    evaluator.predict(image, points)
    first = traced.copy()
    assert set(first) == {"maps", "heads"}
    for number, (height, width) in enumerate(SIZES):
        evaluator.predict(*draw_picture(height, width, 100 * number))
    assert traced == first


def test_weights_changed_later_are_seen():
    """The compiled functions read the layers, they do not hold copies."""
    keras.utils.set_random_seed(5)
    networks = build_edge_networks(EdgeNetworksConfig(filters=2, dense_units=(4,)))
    evaluator = DenseEvaluator(KerasEngine(networks), tile_side=64)
    image, points = draw_picture(40, 40, 5)
    evaluator.predict(image, points)
    networks.joint.set_weights([weight * np.float32(0.7) for weight in networks.joint.get_weights()])
    assert_same(evaluator.predict(image, points), PatchEvaluator(networks).predict(image, points))


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_backends_give_the_same_numbers(backend, tmp_path, repository):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    image, points = draw_picture(53, 71)
    networks = make_networks(0)
    networks.joint.save_weights(tmp_path / "small.weights.h5")
    np.savez(tmp_path / "in.npz", image=image, points=points)
    program = """
import sys
import numpy as np
from defocus_edge.networks.edge.dense import DenseEvaluator
from defocus_edge.networks.edge.keras_engine import KerasEngine
from defocus_edge.networks.edge.architecture import EdgeNetworksConfig
from defocus_edge.networks.edge.networks import build_edge_networks
networks = build_edge_networks(EdgeNetworksConfig(filters=4, dense_units=(8, 6)))
networks.joint.load_weights(sys.argv[1] + "/small.weights.h5")
data = np.load(sys.argv[1] + "/in.npz")
prediction = DenseEvaluator(KerasEngine(networks), tile_side=32).predict(data["image"], data["points"])
np.savez(sys.argv[1] + "/out.npz", blur=prediction.blur, edge=prediction.edge)
"""
    subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        check=True,
        cwd=repository,
        env={**os.environ, "KERAS_BACKEND": backend},
    )
    expected = make_slow(0).predict(image, points)
    with np.load(tmp_path / "out.npz") as found:
        np.testing.assert_allclose(found["blur"], expected.blur, atol=TOLERANCE)
        np.testing.assert_allclose(found["edge"], expected.edge, atol=TOLERANCE)
