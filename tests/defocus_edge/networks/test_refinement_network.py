"""The network that refines a spread map, and its encoder."""

import keras
import numpy as np
import pytest

from defocus_edge.networks.efficientnet import FEATURE_STAGES, STAGES, apply_efficientnet
from defocus_edge.networks.preset_files import PresetError
from defocus_edge.networks.presets import load_refinement_network, save_refinement_preset
from defocus_edge.networks.refinement import (
    CELL_VALUES,
    RefinementConfig,
    RefinementEvaluator,
    build_refinement_network,
)

SMALL = RefinementConfig(filters=(4, 4, 6, 8))


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(3)
    return build_refinement_network(SMALL)


def make_inputs(rng, rows, columns):
    picture = rng.random((4 * rows, 4 * columns, 3), np.float32)
    return picture, rng.normal(size=(rows, columns, CELL_VALUES)).astype(np.float32)


def test_features_have_the_strides_and_filters_of_the_paper():
    image = keras.Input((64, 96, 3))
    features = apply_efficientnet(image)
    for stride, stage in FEATURE_STAGES.items():
        assert features[stride].shape == (None, 64 // stride, 96 // stride, STAGES[stage].filters)
    # 16 convolutions of 1 to 16 blocks, as table 1 of the paper counts them, but for the last block.
    assert sum(stage.blocks for stage in STAGES) == 15


def test_an_untrained_network_leaves_the_map_as_it_is(network, rng):
    answer = RefinementEvaluator(network).predict(*make_inputs(rng, 16, 24))
    assert answer.shape == (16, 24, 2)
    np.testing.assert_array_equal(answer[..., 0], 0)
    assert (answer[..., 1] == answer[0, 0, 1]).all()


def test_the_parts_are_the_whole(network, rng):
    picture, cells = (keras.ops.convert_to_tensor(each[None]) for each in make_inputs(rng, 8, 16))
    parts = network.decoder([cells, *network.encoder(picture)])
    np.testing.assert_array_equal(np.asarray(parts), np.asarray(network.joint([picture, cells])))


def test_a_preset_gives_the_same_answer_but_for_half_precision(network, rng, tmp_path):
    shaken = build_refinement_network(SMALL)
    shaken.joint.set_weights([rng.normal(0, 0.1, weight.shape) for weight in network.joint.get_weights()])
    folder = save_refinement_preset(shaken, tmp_path / "preset", {"name": "shaken"})
    loaded = load_refinement_network(folder)
    assert loaded.config == SMALL
    inputs = make_inputs(rng, 8, 8)
    answers = [RefinementEvaluator(each).predict(*inputs) for each in (shaken, loaded)]
    assert np.abs(answers[0]).max() > 0.01
    np.testing.assert_allclose(answers[1], answers[0], rtol=0, atol=0.01 * np.abs(answers[0]).max())


@pytest.mark.parametrize("config", ['{"network": "edge"}', '{"network": "refinement", "width": 3}'])
def test_a_preset_of_another_network_is_refused(network, tmp_path, config):
    folder = save_refinement_preset(network, tmp_path / "preset", {})
    (folder / "config.json").write_text(config)
    with pytest.raises(PresetError, match="refinement"):
        load_refinement_network(folder)


def test_the_preset_of_the_package_knows_what_its_size_is(repository):
    folder = repository / "defocus_edge" / "presets" / "refinement-v1"
    assert (folder / "model.weights.h5").stat().st_size <= 10e6
