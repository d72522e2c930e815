"""Maps of pictures of any size: padding, tiles, seams."""

import cv2
import keras
import numpy as np
import pytest
from keras import layers

from defocus_edge.networks.segmentation.tiles import MapEvaluator

STRIDE = 8
# A pixel of the network below depends on those up to this far away: the pooled grid and two convolutions on it.
REACH = 3 * STRIDE


@pytest.fixture(scope="module")
def network():
    """Pools by 8, convolves there, goes back up: what it says at a pixel depends on where the pooled grid lies."""
    keras.utils.set_random_seed(0)
    image = keras.Input((None, None, 3))
    tensor = layers.Conv2D(4, 3, padding="same", activation="relu")(image)
    tensor = layers.AveragePooling2D(STRIDE)(tensor)
    tensor = layers.Conv2D(6, 3, padding="same", activation="tanh")(tensor)
    tensor = layers.Conv2DTranspose(5, STRIDE, STRIDE)(tensor)
    return keras.Model(image, layers.Conv2D(2, 1)(tensor))


def predict_whole(network, image):
    """Oracle: NumPy pads, Keras calls the model."""
    padding = [(0, -size % STRIDE) for size in image.shape[:2]]
    padded = np.pad(image, (*padding, (0, 0)), mode="reflect")
    logits = keras.ops.convert_to_numpy(network(padded[None]))[0, : image.shape[0], : image.shape[1], -1]
    return 1 / (1 + np.exp(-logits))


@pytest.mark.parametrize("shape", [(64, 96), (61, 97), (20, 23), (1, 5), (3, 3)])
def test_any_size_is_padded_by_its_mirror_image(network, shape, rng):
    image = rng.random((*shape, 3), dtype=np.float32)
    probability = MapEvaluator(network, stride=STRIDE).predict(image)
    assert probability.shape == shape
    assert probability.dtype == np.float32
    if min(shape) > STRIDE:  # numpy.pad is the oracle as long as one mirror image is enough
        np.testing.assert_allclose(probability, predict_whole(network, image), atol=1e-5)
    assert ((probability >= 0) & (probability <= 1)).all()


@pytest.mark.parametrize("shape", [(64, 200), (200, 64), (150, 131), (65, 65)])
@pytest.mark.parametrize("overlap", [2 * REACH + 2 * STRIDE])
def test_tiles_with_enough_overlap_leave_no_seam(network, shape, overlap, rng):
    """Where tiles overlap by more than twice the reach, only pixels near the border of a tile see less than all."""
    image = rng.random((*shape, 3), dtype=np.float32)
    whole = predict_whole(network, image)
    tiled = MapEvaluator(network, stride=STRIDE, largest_side=136, overlap=overlap).predict(image)
    np.testing.assert_allclose(tiled, whole, atol=0.02)


def test_away_from_the_borders_of_tiles_they_change_nothing(network, rng):
    image = rng.random((40, 200, 3), dtype=np.float32)
    tiled = MapEvaluator(network, stride=STRIDE, largest_side=120, overlap=32).predict(image)
    inner = np.r_[0 : 80 - REACH, 120 + REACH : 200]  # tiles lie at 0:120 and 80:200
    np.testing.assert_allclose(tiled[:, inner], predict_whole(network, image)[:, inner], atol=1e-5)


@pytest.mark.parametrize("size", [1, 20, 64, 65, 127, 128, 129, 500, 1000])
@pytest.mark.parametrize("overlap", [0, 8, 30])
def test_tiles_cover_an_axis_and_their_weights_are_positive(network, size, overlap):
    evaluator = MapEvaluator(network, stride=STRIDE, largest_side=64, overlap=overlap)
    total = np.zeros(-(-size // STRIDE) * STRIDE)
    ends = [0]
    for part, weight in evaluator._cut_axis(size):
        assert part.start % STRIDE == 0
        assert part.stop - part.start <= 64
        assert weight.min() > 0
        total[part] += weight
        ends.append(part.start)
    assert (total > 0).all()
    assert ends == sorted(ends)
    assert (np.diff(ends[1:]) <= 64 - overlap + STRIDE).all()


def test_a_constant_stays_constant(rng):
    image = keras.Input((None, None, 3))
    evaluator = MapEvaluator(
        keras.Model(image, layers.Conv2D(1, 1, kernel_initializer="zeros")(image)),
        stride=STRIDE,
        largest_side=32,
        overlap=8,
    )
    np.testing.assert_allclose(evaluator.predict(rng.random((99, 70, 3), dtype=np.float32)), 0.5, rtol=1e-6)


def test_progress_counts_tiles(network, rng):
    seen = []
    evaluator = MapEvaluator(network, stride=STRIDE, largest_side=32, overlap=8)
    evaluator.predict(
        rng.random((40, 50, 3), dtype=np.float32), progress=lambda done, count: seen.append((done, count))
    )
    assert seen == [(number, 4) for number in (1, 2, 3, 4)]


@pytest.mark.parametrize(("side", "overlap"), [(7, 0), (0, 0), (64, 32), (64, -1)])
def test_sides_out_of_range_are_refused(network, side, overlap):
    with pytest.raises(ValueError, match=rf"largest_side must be .* Got: {side} and {overlap}\."):
        MapEvaluator(network, stride=STRIDE, largest_side=side, overlap=overlap)


@pytest.mark.parametrize("shape", [(120, 200), (200, 120), (64, 65)])
def test_a_network_may_see_large_pictures_reduced(network, shape, rng):
    image = rng.random((*shape, 3), dtype=np.float32)
    evaluator = MapEvaluator(network, stride=STRIDE, seen_side=64)
    size = [round(side * 64 / max(shape)) for side in shape]
    small = cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA)
    expected = cv2.resize(predict_whole(network, small), shape[::-1], interpolation=cv2.INTER_LINEAR)
    np.testing.assert_allclose(evaluator.predict(image), expected, atol=1e-5)


def test_several_sizes_give_the_mean_of_the_logits(network, rng):
    image = rng.random((60, 100, 3), dtype=np.float32)
    maps = [MapEvaluator(network, stride=STRIDE, seen_side=side).predict(image) for side in (32, 64, None)]
    logits = np.mean([np.log(one / (1 - one)) for one in maps], axis=0)
    # The picture has its full size once, however many sizes are beyond it.
    evaluator = MapEvaluator(network, stride=STRIDE, seen_side=[128, 32, 64, 200])
    np.testing.assert_allclose(evaluator.predict(image), 1 / (1 + np.exp(-logits)), atol=1e-5)
    assert np.abs(maps[0] - maps[1]).max() > 0.01


def test_certain_answers_have_a_mean(network, rng):
    weights = network.get_weights()
    sure = keras.models.clone_model(network)
    sure.set_weights([*weights[:-1], np.full_like(weights[-1], 200)])
    image = rng.random((60, 100, 3), dtype=np.float32)
    np.testing.assert_allclose(MapEvaluator(sure, stride=STRIDE, seen_side=(32, 64)).predict(image), 1, atol=1e-5)


def test_small_pictures_are_seen_as_they_are(network, rng):
    image = rng.random((48, 64, 3), dtype=np.float32)
    reduced = MapEvaluator(network, stride=STRIDE, seen_side=64).predict(image)
    np.testing.assert_array_equal(reduced, MapEvaluator(network, stride=STRIDE).predict(image))
