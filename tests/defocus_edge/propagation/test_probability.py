import numpy as np

from defocus_edge.propagation.domain_transform import domain_transform_filter
from defocus_edge.propagation.probability import SMOOTHING_RANGE, smooth_probability


def test_logits_are_filtered_along_the_picture(rng):
    image = rng.random((60, 100, 3), dtype=np.float32)
    plain = rng.uniform(0.01, 0.99, (60, 100)).astype(np.float32)
    before = plain.copy()
    smooth = domain_transform_filter(np.log(plain / (1 - plain)), image, sigma_s=25, sigma_r=SMOOTHING_RANGE)
    found = smooth_probability(plain, image, 0.25)
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-smooth)), atol=1e-5)
    np.testing.assert_array_equal(plain, before)
    assert found.std() < 0.9 * plain.std()


def test_an_outline_moves_to_the_edge_of_the_picture():
    """A soft slope of 20 px beside a step of the picture becomes steep at the step."""
    image = np.zeros((40, 80, 3), dtype=np.float32)
    image[:, 40:] = 0.8
    soft = np.tile(np.clip((np.arange(80, dtype=np.float32) - 30) / 20, 0.02, 0.98), (40, 1))
    found = smooth_probability(soft, image, 0.1)
    assert (found[:, 40] - found[:, 39]).min() > 3 * (soft[0, 40] - soft[0, 39])


def test_certain_maps_stay_certain(rng):
    image = rng.random((30, 40, 3), dtype=np.float32)
    np.testing.assert_allclose(smooth_probability(np.ones((30, 40), np.float32), image, 0.1), 1, atol=1e-5)


def test_without_a_share_the_map_stays(rng):
    probability = rng.random((30, 40), dtype=np.float32)
    assert smooth_probability(probability, rng.random((30, 40, 3), dtype=np.float32), 0.0) is probability
