"""DID-ANet: its layers, its residual blocks, and how far a pixel sees."""

import keras
import numpy as np
import pytest

from defocus_edge.networks.segmentation.architectures.didanet import (
    BLOCKS,
    NETWORK,
    SCORE_LAYER,
    apply_residual_block,
    build_didanet,
)
from defocus_edge.networks.segmentation.blocks import SegmentationConfig

TINY = SegmentationConfig(width=0.05)
#: Side of what a pixel of the map sees, px: eleven convolutions of 3×3 px.
SEEN = 23


def test_it_answers_with_a_radius_and_learns_beside_sharp_pictures():
    assert (NETWORK.answer, NETWORK.auxiliary, NETWORK.domain_layer) == ("radius", "sharp", None)


def test_filters_are_those_of_the_authors():
    convs = [layer for layer in build_didanet().layers if isinstance(layer, keras.layers.Conv2D)]
    assert [layer.filters for layer in convs] == [64] * (2 * BLOCKS + 2) + [1]
    assert {layer.kernel_size for layer in convs} == {(3, 3)}
    assert convs[-1].name == SCORE_LAYER


@pytest.mark.parametrize("normalization", ["none", "batch"])
def test_the_map_begins_in_the_middle(rng, normalization):
    """Where a sigmoid has its largest gradient, though the sums of all blocks are large."""
    keras.utils.set_random_seed(0)
    net = build_didanet(SegmentationConfig(normalization=normalization))
    logits = np.asarray(net(rng.random((1, 24, 24, 3), dtype=np.float32), training=True))
    assert 0 < np.abs(logits).max() < 2


def test_only_blocks_have_a_relu():
    net = build_didanet(TINY)
    names = [layer.name for layer in net.layers if isinstance(layer, keras.layers.ReLU)]
    assert names == [f"block{number}_conv1_relu" for number in range(1, BLOCKS + 1)]


def convolve(values, kernel, bias):
    """A 3×3 convolution, px by px."""
    padded = np.pad(values, ((1, 1), (1, 1), (0, 0)))
    result = np.empty((*values.shape[:2], kernel.shape[-1]))
    for row, col in np.ndindex(*values.shape[:2]):
        result[row, col] = np.tensordot(padded[row : row + 3, col : col + 3], kernel, axes=3) + bias
    return result


@pytest.mark.parametrize("scale", [1.0, 0.1])
def test_a_block_adds_two_convolutions(rng, scale):
    source = keras.Input((None, None, 4))
    model = keras.Model(source, apply_residual_block(source, 4, TINY, "block", scale=scale))
    values = rng.normal(size=(5, 6, 4)).astype(np.float32)
    first, second = (model.get_layer(f"block_conv{number}").get_weights() for number in (1, 2))
    expected = values + scale * convolve(np.maximum(convolve(values, *first), 0), *second)
    np.testing.assert_allclose(np.asarray(model(values[None]))[0], expected, rtol=1e-4, atol=1e-5)


def test_a_pixel_sees_as_far_as_the_convolutions_reach(rng):
    net = build_didanet(TINY)
    image = rng.random((1, 41, 43, 3), dtype=np.float32)
    before, changed = np.asarray(net(image)), image.copy()
    changed[0, 20, 21] = 1 - changed[0, 20, 21]
    rows, cols = np.nonzero(np.asarray(net(changed))[0, ..., 0] != before[0, ..., 0])
    assert (np.ptp(rows) + 1, np.ptp(cols) + 1) == (SEEN, SEEN)
