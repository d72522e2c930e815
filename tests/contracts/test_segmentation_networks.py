"""What every network that detects blur must do: a new one costs one line of numbers here."""

import dataclasses
import re
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from defocus_edge.networks.preset_files import list_presets
from defocus_edge.networks.segmentation.architectures.lite import LiteNetConfig
from defocus_edge.networks.segmentation.architectures.msdu import MsduNetConfig
from defocus_edge.networks.segmentation.blocks import MIN_FILTERS
from defocus_edge.networks.segmentation.registry import (
    SEGMENTATION_NETWORKS,
    build_segmentation_network,
)
from training.evaluation.costs import count_multiply_adds
from training.masks.losses import score_map_loss

WIDTH = 0.05


class Facts(NamedTuple):
    """Numbers of a network as its paper has it."""

    stride: int
    score_maps: int
    parameters: int
    #: On 320×320 px.
    multiply_adds: int
    #: Those of them that are done once for a picture of any size.
    once: int = 0
    #: What the config has unless another is given.
    normalization: str = "none"
    #: Side in px of the pictures on which a step is taken, and its rate: a network whose maps are single pixels with
    #: 32 px, or that is very deep, wants other ones.
    side: int = 32
    rate: float = 1e-3
    #: Number of pictures that differ nearly everywhere in their logits: more than two if a narrow network ends with 4
    #: ReLUs, which random weights leave at 0 in some pixels of a picture.
    pictures: int = 2


FACTS = {
    "aenet": Facts(16, 33, 40_471_426, 41_602_662_800),
    "br2net": Facts(32, 11, 19_723_077, 99_623_788_544, 108_544, "batch", 96, 1e-4),
    "btbnet": Facts(16, 7, 65_426_823, 4_486_004_838_400),
    "cenet": Facts(16, 129, 29_243_201, 53_054_669_200),
    "convlstm": Facts(16, 6, 16_465_419, 120_852_710_400, normalization="batch"),
    "dcinet": Facts(16, 6, 16_032_456, 50_388_172_800, 0, "batch"),
    "defusion": Facts(32, 19, 17_482_969, 187_140_710_400),
    "defusion2022": Facts(32, 19, 17_828_953, 214_823_190_528, 18 * 64 * 64),
    "didanet": Facts(1, 1, 334_721, 34_209_792_000),
    "dmenet": Facts(16, 6, 21_645_414, 121_112_064_000, 0, "batch", 64, 1e-4),
    "efenet": Facts(16, 1, 53_153_633, 50_771_558_400, normalization="batch"),
    "hrfrnet": Facts(16, 6, 17_547_472, 54_161_799_168, 512 * 64, "batch"),
    "is2cnet": Facts(32, 5, 39_753_223, 118_872_576_000, 0, "batch", 96, 1e-4),
    "jointdepth": Facts(16, 2, 37_264_962, 100_394_598_400),
    "lite": Facts(32, 1, 3_093_537, 838_709_120, 320 * 96, "batch", 96),
    "local": Facts(16, 13, 17_319_631, 71_025_305_600, normalization="batch"),
    "maganet": Facts(16, 1, 15_858_692, 54_568_960_000),
    "msdu": Facts(16, 1, 33_436_418, 141_918_208_000),
    "pmnet": Facts(32, 13, 32_749_840, 102_019_584_000, 0, "batch"),
    "sg": Facts(16, 1, 15_886_433, 37_771_673_600, 0, "batch", pictures=8),
}
NAMES = [*FACTS]


def build_small(name, normalization="batch"):
    keras.utils.set_random_seed(0)
    config = SEGMENTATION_NETWORKS[name].config_class(width=WIDTH, normalization=normalization)
    return build_segmentation_network(name, config)


def compile_once(model):
    """The network as one compiled function, and a list that grows with each tracing."""
    traces = []

    def run(images):
        traces.append(images.shape)
        return model(images, training=False)

    return tf.function(run, input_signature=[tf.TensorSpec((None, None, None, 3), tf.float32)]), traces


@pytest.fixture(scope="module")
def small_nets():
    """One small network of each kind, as they are trained from scratch; tests leave them as they are."""
    return {name: build_small(name) for name in NAMES}


@pytest.fixture(scope="module")
def functions(small_nets):
    return {name: compile_once(net) for name, net in small_nets.items()}


@pytest.fixture(scope="module")
def paper_nets():
    """Built once, never run: their weights are zeros, which cost less than random ones."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            keras.initializers.VarianceScaling, "__call__", lambda _, shape, dtype=None: ops.zeros(shape, dtype)
        )
        return {name: build_segmentation_network(name) for name in NAMES}


def test_registry_is_what_the_papers_say():
    assert [*SEGMENTATION_NETWORKS] == NAMES
    for name, network in SEGMENTATION_NETWORKS.items():
        assert (network.stride, network.score_maps) == FACTS[name][:2]
        assert network.title
        assert network.reference


def test_registry_cannot_be_changed():
    with pytest.raises(TypeError, match="does not support item assignment"):
        SEGMENTATION_NETWORKS["other"] = SEGMENTATION_NETWORKS["msdu"]


@pytest.mark.parametrize("name", NAMES)
def test_two_sizes_run_through_one_compiled_function(functions, rng, name):
    run, traces = functions[name]
    stride = FACTS[name].stride
    for batch, height, width in ((2, stride, 2 * stride), (1, 3 * stride, stride)):
        logits = run(rng.random((batch, height, width, 3), dtype=np.float32)).numpy()
        assert logits.shape == (batch, height, width, FACTS[name].score_maps)
        assert logits.dtype == np.float32
        assert np.isfinite(logits).all()
        assert np.abs(logits).max() > 0
    assert len(traces) == 1


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_flat_pictures_give_finite_probabilities(functions, name, value):
    run, _ = functions[name]
    probability = tf.sigmoid(run(np.full((1, 32, 32, 3), value, np.float32))[..., -1]).numpy()
    assert np.isfinite(probability).all()
    assert 0 <= probability.min() <= probability.max() <= 1


@pytest.mark.parametrize("name", NAMES)
def test_pictures_of_a_batch_do_not_mix(functions, rng, name):
    run, _ = functions[name]
    images = rng.random((2, 32, 32, 3), dtype=np.float32)
    np.testing.assert_allclose(run(images)[1:], run(images[1:]), atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_output_depends_on_the_picture_everywhere(functions, rng, name):
    run, _ = functions[name]
    images = rng.random((FACTS[name].pictures, 32, 32, 3), dtype=np.float32)
    assert (np.ptp(run(images)[..., -1], axis=0) > 0).mean() > 0.9


# Trainings from scratch have batch normalization; the network of a paper without it must learn, too. The others without
# it are slow: nobody trains them so.
CASES = [
    pytest.param(name, one, marks=[] if one in ("batch", FACTS[name].normalization) else [pytest.mark.slow])
    for name in NAMES
    for one in ("batch", "none")
    if (name, one) != ("lite", "none")
]


@pytest.mark.parametrize(("name", "normalization"), CASES)
def test_the_first_step_of_adam_lowers_the_loss(small_nets, rng, name, normalization):
    net = small_nets[name] if normalization == "batch" else build_small(name, normalization)
    before = net.get_weights()
    dropouts = [layer for layer in net.layers if isinstance(layer, keras.layers.Dropout)]
    rates = [layer.rate for layer in dropouts]
    for layer in dropouts:
        layer.rate = 0.0  # its noise would hide one step
    side = FACTS[name].side
    images = rng.random((2, side, side, 3), dtype=np.float32)
    masks = (rng.random((2, side, side, 1)) < 0.5).astype(np.float32)
    variables = [variable.value for variable in net.trainable_variables]
    # Eager: compiling costs more than this step.
    with tf.GradientTape() as tape:
        loss = score_map_loss(masks, net(images, training=True))
    gradients = tape.gradient(loss, variables)
    assert all(gradient is not None for gradient in gradients)
    for variable, gradient in zip(variables, gradients, strict=True):
        variable.assign_sub(FACTS[name].rate * tf.sign(gradient))  # all that Adam's first step is
    assert float(score_map_loss(masks, net(images, training=True))) < float(loss)
    if normalization == "batch":
        pairs = list(zip(net.weights, before, strict=True))  # running means too
        moved = [pair for pair in pairs if pair[0].trainable or "moving" in pair[0].path]
        assert all((np.asarray(weight) != values).any() for weight, values in moved)
    net.set_weights(before)
    for layer, rate in zip(dropouts, rates, strict=True):
        layer.rate = rate


@pytest.mark.parametrize("name", NAMES)
def test_the_weights_of_one_build_can_be_loaded_into_another_one(small_nets, tmp_path, name):
    """Layers have the same names in each build."""
    net, again = small_nets[name], build_small(name)
    names = [layer.name for layer in net.layers]
    assert len(set(names)) == len(names)
    assert names == [layer.name for layer in again.layers]
    assert [weight.path for weight in net.weights] == [weight.path for weight in again.weights]
    again.set_weights([values + 1 for values in again.get_weights()])
    net.save_weights(tmp_path / "model.weights.h5")
    again.load_weights(tmp_path / "model.weights.h5")
    for one, other in zip(net.weights, again.weights, strict=True):
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other), err_msg=one.path)


@pytest.mark.parametrize("name", NAMES)
def test_number_of_parameters_at_the_width_of_the_paper(paper_nets, name):
    assert paper_nets[name].count_params() == FACTS[name].parameters


@pytest.mark.parametrize("name", NAMES)
def test_multiply_adds_at_the_width_of_the_paper(paper_nets, name):
    assert count_multiply_adds(paper_nets[name], 320, 320) == FACTS[name].multiply_adds
    once = FACTS[name].once
    assert 4 * (count_multiply_adds(paper_nets[name], 320, 160) - once) == 2 * (FACTS[name].multiply_adds - once)


@pytest.mark.parametrize("name", NAMES)
def test_width_scales_the_filters_and_each_build_has_the_same_names(paper_nets, small_nets, name):
    full_layers, small_layers = (
        {one.name: one for one in nets[name].layers if not isinstance(one, keras.layers.BatchNormalization)}
        for nets in (paper_nets, small_nets)
    )
    assert full_layers.keys() == small_layers.keys()
    for layer_name, full in full_layers.items():
        if isinstance(full, keras.layers.Conv2D | keras.layers.Conv2DTranspose):
            fixed = full.filters <= 2 or layer_name.endswith("_detectors")
            expected = full.filters if fixed else max(MIN_FILTERS, round(full.filters * WIDTH))
            assert small_layers[layer_name].filters == expected, layer_name
    assert small_nets[name].count_params() < FACTS[name].parameters / 100


MIXED = [
    ("msdu", "mixed_float16"),
    *(pytest.param(name, "mixed_bfloat16", marks=[] if list_presets(name) else [pytest.mark.slow]) for name in NAMES),
]


@pytest.mark.parametrize(("name", "policy"), MIXED)
def test_mixed_precision_gives_about_the_same_in_float32(small_nets, rng, name, policy):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        mixed = build_small(name)
    finally:
        keras.config.set_dtype_policy(before)
    convs = [layer for layer in mixed.layers if isinstance(layer, keras.layers.Conv2D)]
    assert {layer.compute_dtype for layer in convs} == {policy.removeprefix("mixed_")}
    mixed.set_weights(small_nets[name].get_weights())
    images = rng.random((1, 32, 32, 3), dtype=np.float32)
    exact, logits = (np.asarray(net(images, training=False)) for net in (small_nets[name], mixed))
    assert logits.dtype == np.float32
    assert 0 < np.abs(logits - exact).max() < 0.1 * max(1, np.abs(exact).max())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("width", [0, -0.5, float("inf"), float("nan")])
def test_width_must_be_positive(name, width):
    with pytest.raises(ValueError, match=r"width must be positive and finite\. Got: "):
        SEGMENTATION_NETWORKS[name].config_class(width=width)


@pytest.mark.parametrize("name", NAMES)
def test_unknown_normalization_is_refused(name):
    with pytest.raises(ValueError, match=r"normalization must be one of \('none', 'batch'\)\. Got: 'group'\."):
        SEGMENTATION_NETWORKS[name].config_class(normalization="group")


@pytest.mark.parametrize("name", NAMES)
def test_configs_are_frozen_and_survive_a_dictionary(name):
    config_class = SEGMENTATION_NETWORKS[name].config_class
    config = config_class(width=0.5, normalization="batch")
    assert config_class(**dataclasses.asdict(config)) == config
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign"):
        config.width = 1.0
    assert config_class().width == 1
    assert config_class().normalization == FACTS[name].normalization


@pytest.mark.parametrize("name", NAMES)
def test_the_score_layer_gives_the_last_map(small_nets, functions, rng, name):
    """Doubling its weights doubles the last logits and leaves the others."""
    images = rng.random((1, 32, 32, 3), dtype=np.float32)
    run, _ = functions[name]
    layer = small_nets[name].get_layer(SEGMENTATION_NETWORKS[name].score_layer)
    weights, before = layer.get_weights(), run(images).numpy()
    layer.set_weights([2 * values for values in weights])
    after = run(images).numpy()
    layer.set_weights(weights)
    np.testing.assert_allclose(after[..., -1], 2 * before[..., -1], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(after[..., :-1], before[..., :-1], rtol=1e-5)


def test_lite_has_batch_normalization():
    with pytest.raises(ValueError, match=r"normalization must be 'batch' for lite\. Got: 'none'\."):
        LiteNetConfig(normalization="none")


def test_unknown_network_is_refused():
    with pytest.raises(ValueError, match=re.escape(f"name must be one of {NAMES}. Got: 'unet'.")):
        build_segmentation_network("unet")


def test_config_of_another_network_is_refused():
    with pytest.raises(TypeError, match=r"config of 'maganet' must be a MaGanetConfig\. Got: MsduNetConfig\."):
        build_segmentation_network("maganet", MsduNetConfig())


@pytest.mark.parametrize("name", NAMES)
def test_the_page_on_methods_tells_what_a_network_costs(name):
    page = (Path(__file__).parents[2] / "docs" / "methods.md").read_text(encoding="utf-8")
    facts = FACTS[name]
    (row,) = [line for line in page.splitlines() if line.startswith(f"| `{name}` |")]
    assert f"| {facts.parameters / 1e6:.1f} | {facts.multiply_adds / 1e9:.1f} |" in row
    assert [preset for preset in list_presets(name) if f"`{preset}`" in row] or row.endswith("| – |")
