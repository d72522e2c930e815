"""Blocks that the blur detection networks share: convolutions, the VGG16 encoder, exact bilinear upsampling."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from defocus_edge.networks.segmentation.normalization import BatchNormalization

#: Smallest number of filters of a layer, however small the width. Score maps are not scaled. Chosen by us.
MIN_FILTERS = 4
#: Largest factor on the numbers of filters: the weights of the largest network still take less than 1 GB.
LARGEST_WIDTH = 2.0
NORMALIZATIONS = ("none", "batch")
#: Mean of R, G and B in ImageNet, as in `keras.applications.VGG16`, divided by 255; and the gain of the centred input.
#: Centred inputs of about unit spread suit training from scratch. VGG16's weights expect the same but for the gain.
INPUT_MEAN = (123.68 / 255, 116.779 / 255, 103.939 / 255)
INPUT_GAIN = 4.0
#: Filters of VGG16's convolutions, block by block (Simonyan & Zisserman 2015, table 1, configuration D).
VGG16_FILTERS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
#: Stride of the layers of VGG16 that the networks use.
VGG16_STRIDES = {"conv1_2": 1, "conv2_2": 2, "conv3_3": 4, "conv4_3": 8, "conv5_3": 16, "pool5": 32}
#: Our name of each convolution to its name in `keras.applications.VGG16`. At width 1 the shapes are equal, and
#: ImageNet's weights fit. One kernel must be changed, because the input of ``vgg_conv1_1`` is RGB times `INPUT_GAIN`
#: here and BGR times 255 there: reverse its input channels (axis 2) and multiply it by ``255 / INPUT_GAIN``. With batch
#: normalization the convolutions have no bias, and only the kernels fit.
VGG16_NAMES = {
    f"vgg_conv{block}_{number}": f"block{block}_conv{number}"
    for block, filters in enumerate(VGG16_FILTERS, start=1)
    for number in range(1, len(filters) + 1)
}
#: Keras' default of 0.99 lags by hundreds of steps, too many for trainings that are evaluated early. Chosen by us.
NORMALIZATION_MOMENTUM = 0.9


@dataclass(frozen=True)
class SegmentationConfig:
    """Architecture options that the blur detection networks share.

    Parameters
    ----------
    width : float
        Factor on the number of filters of each layer; 1 is the paper's network. No layer has fewer than
        `MIN_FILTERS`, and 2 is the largest width.
    normalization : {'none', 'batch'}
        ``batch`` puts batch normalization between each convolution and its ReLU: our addition for training from
        scratch, which the papers' networks lack.
    """

    width: float = 1.0
    normalization: str = "none"

    def __post_init__(self) -> None:
        check_width(self.width)
        if self.normalization not in NORMALIZATIONS:
            msg = f"normalization must be one of {NORMALIZATIONS}. Got: {self.normalization!r}."
            raise ValueError(msg)


@dataclass(frozen=True)
class NormalizedConfig(SegmentationConfig):
    """The same options for a network that has batch normalization unless it is switched off."""

    normalization: str = "batch"


def check_width(width: float) -> None:
    """Refuse a width that is not a positive number of a possible size."""
    if not (math.isfinite(width) and width > 0):
        msg = f"width must be positive and finite. Got: {width}."
        raise ValueError(msg)
    if width > LARGEST_WIDTH:
        msg = f"width must be at most {LARGEST_WIDTH:g}. Got: {width}."
        raise ValueError(msg)


def scale_filters(filters: int, width: float) -> int:
    """Number of filters of a layer that has `filters` in the paper."""
    return max(MIN_FILTERS, round(filters * width))


def apply_input_scaling(image: keras.KerasTensor) -> keras.KerasTensor:
    """Centre RGB in [0, 1]: ``(image - INPUT_MEAN) * INPUT_GAIN``."""
    offset = [-mean * INPUT_GAIN for mean in INPUT_MEAN]
    # float32 under every dtype policy: bfloat16 would lose fine texture before it is centred. The next layer casts.
    return layers.Rescaling([INPUT_GAIN] * 3, offset, dtype="float32", name="scaling")(image)


def apply_conv(
    tensor: keras.KerasTensor,
    filters: int,
    config: SegmentationConfig,
    name: str,
    *,
    size: int = 3,
    strides: int = 1,
    dilation: int = 1,
) -> keras.KerasTensor:
    """Apply a convolution with padding, normalization if the config asks for it, and ReLU.

    `filters` is their number in the paper, which the config's width scales. `size`, `strides` and `dilation` are those
    of the kernel. `name` is that of the convolution; the other layers are ``{name}_norm`` and ``{name}_relu``.
    """
    normalize = config.normalization == "batch"
    tensor = layers.Conv2D(
        scale_filters(filters, config.width),
        size,
        strides=strides,
        dilation_rate=dilation,
        padding="same",
        use_bias=not normalize,  # the normalization has its own
        kernel_initializer="he_normal",
        name=name,
    )(tensor)
    if normalize:
        tensor = BatchNormalization(momentum=NORMALIZATION_MOMENTUM, name=f"{name}_norm")(tensor)
    return layers.ReLU(name=f"{name}_relu")(tensor)


def apply_double_conv(
    tensor: keras.KerasTensor, filters: int, config: SegmentationConfig, name: str
) -> keras.KerasTensor:
    """Apply two 3×3 convolutions, named ``{name}_conv1`` and ``{name}_conv2``."""
    for number in (1, 2):
        tensor = apply_conv(tensor, filters, config, f"{name}_conv{number}")
    return tensor


def apply_score_conv(tensor: keras.KerasTensor, name: str, maps: int = 1) -> keras.KerasTensor:
    """Apply a 1×1 convolution without activation, which gives the logits of score maps."""
    return layers.Conv2D(maps, 1, name=name)(tensor)


def apply_logits_output(logits: keras.KerasTensor) -> keras.KerasTensor:
    """End a network: logits in float32 under every dtype policy, which losses need."""
    return layers.Activation("linear", dtype="float32", name="logits")(logits)


def apply_vgg16(
    tensor: keras.KerasTensor, config: SegmentationConfig, *, with_pool5: bool, prefix: str = "", pooling: bool = True
) -> dict[str, keras.KerasTensor]:
    """Apply VGG16 [1]_ up to its last convolution, or its last pooling.

    `tensor` (B, H, W, 3) comes from `apply_input_scaling`; H and W are multiples of 16, or of 32 with the last pooling.
    Returns the layers of `VGG16_STRIDES` after their ReLU, by name; ``pool5`` only if asked for.

    The names of all layers begin with `prefix`, so that a network can have several encoders. Without `pooling` between
    the blocks all convolutions work at the size of the input.

    References
    ----------
    .. [1] K. Simonyan, A. Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015,
       arXiv:1409.1556.
    """
    taps = {}
    for block, block_filters in enumerate(VGG16_FILTERS, start=1):
        tensor = apply_vgg16_block(tensor, block, config, prefix=prefix, pooling=pooling)
        taps[f"conv{block}_{len(block_filters)}"] = tensor
    if with_pool5:
        taps["pool5"] = layers.MaxPooling2D(2, name=f"{prefix}vgg_pool5")(tensor)
    return taps


def apply_vgg16_block(
    tensor: keras.KerasTensor, block: int, config: SegmentationConfig, *, prefix: str = "", pooling: bool = True
) -> keras.KerasTensor:
    """Apply the convolutions of a block of VGG16, from 1 to 5, behind its pooling if it is not the first."""
    if block > 1 and pooling:
        tensor = layers.MaxPooling2D(2, name=f"{prefix}vgg_pool{block - 1}")(tensor)
    for number, filters in enumerate(VGG16_FILTERS[block - 1], start=1):
        tensor = apply_conv(tensor, filters, config, f"{prefix}vgg_conv{block}_{number}")
    return tensor


class BilinearUpsampling(keras.layers.Layer):
    """Bilinear upsampling by an integer factor, 1 or more, for any backend and for sizes known only at run time.

    Pixel centres are at half-integers and edges are clamped, as in ``cv2.resize(…, INTER_LINEAR)``. Keras' own bilinear
    resizing fails on symbolic sizes (keras#22079).
    """

    def __init__(self, factor: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if factor < 1:
            msg = f"factor must be 1 or more. Got: {factor}."
            raise ValueError(msg)
        self.factor = factor

    def call(self, maps: Any) -> Any:
        """(B, H, W, C) maps to (B, factor · H, factor · W, C)."""
        if self.factor == 1:
            return maps
        # Columns first: the second, larger step then works on whole rows.
        return _interpolate(_interpolate(maps, self.factor, axis=2), self.factor, axis=1)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Shape of the output; unknown sizes are None."""
        batch, height, width, channels = input_shape
        height, width = (None if size is None else size * self.factor for size in (height, width))
        return batch, height, width, channels


def _interpolate(maps: Any, factor: int, *, axis: int) -> Any:
    """Linear interpolation along axis 1 or 2.

    There are `factor` samples between two neighbouring pixel centres, at k / factor when the factor is odd and half a
    step further when it is even. The borders are repeated once. The samples of all intervals are then the result with
    some more on both sides, which are cut off.
    """
    first, last = _slice_axis(maps, axis, None, 1), _slice_axis(maps, axis, -1, None)
    padded = ops.concatenate([first, maps, last], axis=axis)
    left = _slice_axis(padded, axis, None, -1)
    steps = _slice_axis(padded, axis, 1, None) - left
    shares = (np.arange(factor) + (0.5 if factor % 2 == 0 else 0.0)) / factor
    shares = ops.cast(shares.reshape((factor,) + (1,) * (3 - axis)), maps.dtype)
    samples = ops.expand_dims(left, axis + 1) + ops.expand_dims(steps, axis + 1) * shares
    shape = list(ops.shape(left))
    shape[axis] *= factor
    return _slice_axis(ops.reshape(samples, shape), axis, (factor + 1) // 2, -(factor // 2))


def _slice_axis(maps: Any, axis: int, start: int | None, stop: int | None) -> Any:
    """Part of the maps along axis 1 or 2."""
    return maps[:, start:stop] if axis == 1 else maps[:, :, start:stop]


class BilinearResizing(keras.layers.Layer):
    """Bilinear resizing to `tenths` of the size of a picture, rounded to multiples of `multiple` px.

    Pixel centres are at half-integers and edges are clamped, as in `BilinearUpsampling`. The sizes may be known only at
    run time.
    """

    def __init__(self, tenths: int = 10, multiple: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.tenths, self.multiple = tenths, multiple

    def call(self, pair: list[Any]) -> Any:
        """(B, h, w, C) maps and a (B, H, W, …) picture to maps of a share of the size of the picture."""
        maps, picture = pair
        height, width = (self._round(length) for length in ops.shape(picture)[1:3])
        return _resize_axis(_resize_axis(maps, height, axis=1), width, axis=2)

    def compute_output_shape(self, input_shape: list[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        """Shape of the output; unknown sizes are None."""
        (batch, *_, channels), picture = input_shape
        height, width = (None if length is None else self._round(length) for length in picture[1:3])
        return batch, height, width, channels

    def _round(self, length: Any) -> Any:
        """Multiple that is nearest to the share of a length; whole numbers only, which JAX takes as sizes."""
        return (length * self.tenths + 5 * self.multiple) // (10 * self.multiple) * self.multiple


def _resize_axis(maps: Any, size: Any, *, axis: int) -> Any:
    """Linear interpolation along axis 1 or 2."""
    length = ops.shape(maps)[axis]
    step = ops.cast(length, "float32") / ops.cast(size, "float32")
    places = (ops.arange(size, dtype="float32") + 0.5) * step - 0.5
    places = ops.minimum(ops.maximum(places, 0), ops.cast(length - 1, "float32"))
    before = ops.floor(places)
    shares = ops.cast(ops.reshape(places - before, (-1,) + (1,) * (3 - axis)), maps.dtype)
    before = ops.cast(before, "int32")
    first, second = (ops.take(maps, index, axis=axis) for index in (before, ops.minimum(before + 1, length - 1)))
    return first + (second - first) * shares
