"""Superpixels: numbered without gaps, connected, within the outlines of a picture; and their centres."""

import numpy as np
from skimage.measure import label

from training.baselines.superpixels import find_centres, find_superpixels


def test_superpixels_are_connected_and_keep_to_outlines(texture):
    picture = texture.astype(np.float32) / 255
    picture[:, 40:] = picture[:, 40:] / 10
    segments = find_superpixels(picture, side=8)
    count = segments.max() + 1
    np.testing.assert_array_equal(np.unique(segments), np.arange(count))
    assert 40 < count < 120
    assert label(segments + 1, connectivity=1).max() == count
    dark = np.zeros(segments.shape, dtype=bool)
    dark[:, 40:] = True
    share = np.bincount(segments.ravel(), dark.ravel()) / np.bincount(segments.ravel())
    assert (np.minimum(share, 1 - share) < 0.1).mean() > 0.9


def test_centres_are_the_mean_places():
    segments = np.zeros((6, 8), dtype=np.int32)
    segments[:, 4:] = 1
    segments[4:, 4:] = 2
    expected = [np.rint(np.argwhere(segments == number).mean(axis=0)) for number in range(3)]
    np.testing.assert_array_equal(find_centres(segments), expected)
