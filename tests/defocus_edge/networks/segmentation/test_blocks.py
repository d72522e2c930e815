"""Shared blocks: upsampling against a slow oracle, the encoder against Keras' VGG16, normalization, widths."""

import cv2
import keras
import numpy as np
import pytest

from defocus_edge.networks.segmentation.blocks import (
    INPUT_GAIN,
    INPUT_MEAN,
    MIN_FILTERS,
    VGG16_NAMES,
    BilinearUpsampling,
    SegmentationConfig,
    apply_conv,
    apply_input_scaling,
    apply_vgg16,
    scale_filters,
)


def upsample_slowly(maps, factor):
    """Weighted mean of the two nearest pixel centres along each axis, one output pixel at a time."""
    _, height, width, _ = maps.shape
    output = np.empty((len(maps), height * factor, width * factor, maps.shape[-1]))
    for row in range(height * factor):
        for col in range(width * factor):
            y, x = (
                min(max((place + 0.5) / factor - 0.5, 0), size - 1) for place, size in ((row, height), (col, width))
            )
            top, left = int(y), int(x)
            bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
            upper = maps[:, top, left] * (1 - x + left) + maps[:, top, right] * (x - left)
            lower = maps[:, bottom, left] * (1 - x + left) + maps[:, bottom, right] * (x - left)
            output[:, row, col] = upper * (1 - y + top) + lower * (y - top)
    return output


def build_encoder(config=None, *, with_pool5=True):
    image = keras.Input((None, None, 3))
    return keras.Model(
        image, apply_vgg16(apply_input_scaling(image), config or SegmentationConfig(), with_pool5=with_pool5)
    )


@pytest.fixture(scope="module")
def full_encoder():
    return build_encoder()


@pytest.mark.parametrize("factor", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("shape", [(2, 3, 5, 2), (1, 1, 4, 1), (1, 2, 1, 3)])
def test_upsampling_is_that_of_the_oracle(rng, factor, shape):
    maps = rng.normal(size=shape).astype(np.float32)
    result = np.asarray(BilinearUpsampling(factor)(maps))
    assert result.shape == (shape[0], shape[1] * factor, shape[2] * factor, shape[3])
    np.testing.assert_allclose(result, upsample_slowly(maps, factor), atol=2e-6)


@pytest.mark.parametrize("factor", [2, 5, 32])
def test_upsampling_is_that_of_opencv(rng, factor):
    picture = rng.random((6, 7), dtype=np.float32)
    expected = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_LINEAR)
    np.testing.assert_allclose(
        np.asarray(BilinearUpsampling(factor)(picture[None, ..., None]))[0, ..., 0], expected, atol=2e-6
    )


def test_upsampling_keeps_constants_and_stays_in_range(rng):
    upsampling = BilinearUpsampling(4)
    assert (np.asarray(upsampling(np.full((1, 3, 3, 1), 0.3, np.float32))) == np.float32(0.3)).all()
    maps = rng.random((1, 5, 5, 2), dtype=np.float32)
    result = np.asarray(upsampling(maps))
    assert maps.min() - 1e-6 <= result.min() <= result.max() <= maps.max() + 1e-6


def test_upsampling_flips_with_its_input(rng):
    maps = rng.random((1, 4, 5, 1), dtype=np.float32)
    for factor in (2, 3):
        upsampling = BilinearUpsampling(factor)
        flipped = np.asarray(upsampling(np.ascontiguousarray(maps[:, ::-1, ::-1])))
        np.testing.assert_allclose(flipped[:, ::-1, ::-1], np.asarray(upsampling(maps)), atol=1e-6)


def test_upsampling_works_on_sizes_that_are_known_at_run_time_only(rng):
    source = keras.Input((None, None, 2))
    output = BilinearUpsampling(8)(source)
    assert output.shape == (None, None, None, 2)
    model = keras.Model(source, output)
    for height, width in ((2, 3), (4, 2)):
        maps = rng.random((1, height, width, 2), dtype=np.float32)
        np.testing.assert_allclose(model.predict_on_batch(maps), upsample_slowly(maps, 8), atol=2e-6)


@pytest.mark.parametrize("factor", [0, -2])
def test_factor_must_be_positive(factor):
    with pytest.raises(ValueError, match=r"factor must be 1 or more\. Got: "):
        BilinearUpsampling(factor)


def test_input_is_centred_on_imagenets_mean():
    image = keras.Input((1, 2, 3))
    scaled = keras.Model(image, apply_input_scaling(image))
    picture = np.array([[INPUT_MEAN, np.add(INPUT_MEAN, 0.25)]], dtype=np.float32)[None]
    np.testing.assert_allclose(np.asarray(scaled(picture))[0, 0], [[0] * 3, [0.25 * INPUT_GAIN] * 3], atol=1e-6)


def test_encoder_has_the_taps_of_the_papers(full_encoder):
    shapes = {name: tap.shape for name, tap in full_encoder.output.items()}
    assert {name: shape[-1] for name, shape in shapes.items()} == {
        "conv1_2": 64,
        "conv2_2": 128,
        "conv3_3": 256,
        "conv4_3": 512,
        "conv5_3": 512,
        "pool5": 512,
    }
    strides = dict(zip(shapes, (1, 2, 4, 8, 16, 32), strict=True))
    sizes = build_encoder(SegmentationConfig(width=0.05)).compute_output_shape((1, 64, 96, 3))
    assert {name: size[1:3] for name, size in sizes.items()} == {
        name: (64 // stride, 96 // stride) for name, stride in strides.items()
    }


def test_encoder_ends_where_it_is_told_to():
    assert "pool5" not in build_encoder(SegmentationConfig(width=0.05), with_pool5=False).output


def test_weights_of_keras_vgg16_fit_as_documented(full_encoder, rng):
    # The random kernels of Keras shrink large inputs hardly and have no bias; what is compared is the whole chain.
    reference = keras.applications.VGG16(include_top=False, weights=None, input_shape=(32, 48, 3))
    assert set(VGG16_NAMES.values()) == {layer.name for layer in reference.layers if layer.weights}
    for ours, theirs in VGG16_NAMES.items():
        kernel, bias = reference.get_layer(theirs).get_weights()
        if ours == "vgg_conv1_1":
            kernel = kernel[:, :, ::-1] * (255 / INPUT_GAIN)
        full_encoder.get_layer(ours).set_weights([kernel, bias])
    image = rng.random((1, 32, 48, 3), dtype=np.float32)
    expected = np.asarray(reference(keras.applications.vgg16.preprocess_input(image * 255)))
    result = np.asarray(full_encoder(image)["pool5"])
    np.testing.assert_allclose(result, expected, atol=1e-4 * expected.max())


@pytest.mark.parametrize(
    ("filters", "width", "expected"),
    [(64, 1, 64), (64, 0.25, 16), (64, 0.01, MIN_FILTERS), (100, 0.333, 33), (64, 2, 128)],
)
def test_width_scales_filters(filters, width, expected):
    assert scale_filters(filters, width) == expected


@pytest.mark.parametrize("dilation", [1, 2])
def test_conv_with_normalization_has_no_bias_of_its_own(dilation):
    source = keras.Input((None, None, 3))
    config = SegmentationConfig(width=0.1, normalization="batch")
    model = keras.Model(source, apply_conv(source, 64, config, "conv", dilation=dilation))
    assert [layer.name for layer in model.layers[1:]] == ["conv", "conv_norm", "conv_relu"]
    assert [tuple(weight.shape) for weight in model.get_layer("conv").weights] == [(3, 3, 3, 6)]
    assert np.asarray(model(np.zeros((1, 8, 8, 3), np.float32))).shape == (1, 8, 8, 6)


def test_conv_without_normalization_has_a_bias():
    source = keras.Input((None, None, 3))
    model = keras.Model(source, apply_conv(source, 64, SegmentationConfig(), "conv", strides=4))
    assert [layer.name for layer in model.layers[1:]] == ["conv", "conv_relu"]
    assert [tuple(weight.shape) for weight in model.weights] == [(3, 3, 3, 64), (64,)]
    assert model.compute_output_shape((1, 32, 16, 3)) == (1, 8, 4, 64)
