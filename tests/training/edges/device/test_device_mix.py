"""Steps on the accelerator's crops, and on the CPU's where only those will do."""

import numpy as np
import pytest

from tests.conftest import make_texture
from tests.training.edges.device.device_cases import to_array
from training.data.sources import DepthPicture, Sources
from training.edges.batches import CropBatch
from training.edges.device.crops import DeviceCropBatch
from training.edges.device.mix import MixedSampler
from training.edges.settings import TrainingSettings


def settings(**families):
    return TrainingSettings("blur", 4, crops=2, points=8, sampler="device", families=families)


@pytest.fixture(scope="module")
def sources():
    """A sharp picture, and one with depth, large enough for the windows of the accelerator."""
    rng = np.random.default_rng(0)
    disparity = np.repeat(np.linspace(10, 90, 260, dtype=np.float32)[:, None], 280, axis=1)
    return Sources(sharp=[make_texture(rng, 260, 280)], depth=[DepthPicture(make_texture(rng, 260, 280), disparity)])


def draw(sampler, seed):
    return sampler.draw_batch(2, 8, rng=np.random.default_rng(seed))


def test_families_come_from_where_they_can_be_rendered(sources):
    sampler = MixedSampler(sources, settings(uniform=1.0, depth=1.0))
    batches = [draw(sampler, seed) for seed in range(12)]
    kinds = {type(batch) for batch in batches}
    assert kinds == {CropBatch, DeviceCropBatch}
    for batch in batches:
        is_device = isinstance(batch, DeviceCropBatch)
        family = set((batch.to_host() if is_device else batch).family)
        assert family == ({"uniform"} if is_device else {"depth"})


def test_the_generator_decides_on_all(sources):
    sampler = MixedSampler(sources, settings(uniform=1.0))
    first, again, other = (to_array(draw(sampler, seed).images) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_only_depth_is_refused(sources):
    with pytest.raises(ValueError, match="families must be one or more of"):
        MixedSampler(sources, settings(depth=1.0))
