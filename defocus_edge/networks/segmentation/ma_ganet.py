"""MA-GANet: channel and spatial attention on VGG16 features, trained against a discriminator (Jiang et al.)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
from keras import layers, ops

from defocus_edge.networks.segmentation.blocks import (
    BilinearUpsampling,
    SegmentationConfig,
    apply_conv,
    apply_input_scaling,
    apply_logits_output,
    apply_score_conv,
    apply_vgg16,
    check_width,
    scale_filters,
)

#: VGG16's layers of the two branches, with their strides.
LOW_STRIDES = {"conv1_2": 1, "conv2_2": 2}
HIGH_STRIDES = {"conv3_3": 4, "conv4_3": 8, "conv5_3": 16}
#: The high branch works at the size of its largest layer.
HIGH_BRANCH_STRIDE = min(HIGH_STRIDES.values())
#: Filters of all convolutions after VGG16.
BRANCH_FILTERS = 64
#: Dilations of the two atrous convolutions of the spatial attention.
SPATIAL_DILATIONS = (2, 4)
#: Height and width of a picture must be multiples of it.
STRIDE = 16
#: Supervised score maps.
SCORE_MAPS = 1

#: Filters and strides of the discriminator's 4×4 convolutions before the last one: the 70×70 PatchGAN.
PATCH_FILTERS = (64, 128, 256, 512)
PATCH_STRIDES = (2, 2, 2, 1)
_PATCH_KERNEL = 4
_LEAKY_SLOPE = 0.2
# Keeps the power iteration from dividing by zero.
_TINY = 1e-12


@dataclass(frozen=True)
class MaGanetConfig(SegmentationConfig):
    """Architecture of MA-GANet's generator.

    Parameters
    ----------
    width, normalization
        See `SegmentationConfig`.
    dropout : float
        Share of the fused features that are dropped in training.
    """

    dropout: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.dropout < 1:
            msg = f"dropout must be at least 0 and less than 1. Got: {self.dropout}."
            raise ValueError(msg)


@dataclass(frozen=True)
class DiscriminatorConfig:
    """Architecture of MA-GANet's discriminator, which is needed in training only.

    Parameters
    ----------
    width : float
        Factor on the number of filters of each layer; 1 is the 70×70 PatchGAN's 64 to 512.
    """

    width: float = 1.0

    def __post_init__(self) -> None:
        check_width(self.width)


def build_ma_ganet(config: MaGanetConfig | None = None) -> keras.Model:
    """Build MA-GANet's generator, the network that detects blur, with random weights.

    Parameters
    ----------
    config : MaGanetConfig, optional

    Returns
    -------
    keras.Model
        (B, H, W, 3) float32 RGB in [0, 1], H and W multiples of 16, to (B, H, W, 1) float32 logits; their sigmoid is
        the probability that a pixel is blurred.

    Notes
    -----
    VGG16 without its last pooling. The high branch joins conv3_3, conv4_3 and conv5_3, the low branch conv1_2 and
    conv2_2; both pass a channel attention. Two atrous convolutions and a sigmoid make a spatial attention map of the
    high features, which gates the low ones. Both are fused, with dropout.

    The paper leaves open, and we chose: 64 filters after VGG16; a 3×3 convolution on each layer before it is upsampled,
    and one behind each channel attention; branches at the size of their largest layer; dilations 2 and 4, a ReLU
    between them, and one channel; 3×3 fusion, then dropout of a half, then a 1×1 convolution.

    References
    ----------
    Z. Jiang, X. Xu, L. Zhang, C. Zhang, C. S. Foo, C. Zhu, "MA-GANet: A Multi-Attention Generative Adversarial Network
    for Defocus Blur Detection", IEEE Transactions on Image Processing 31, 2022; its generator first in Z. Jiang, X. Xu,
    C. Zhang, C. Zhu, "MultiANet: a Multi-Attention Network for Defocus Blur Detection", MMSP 2020,
    doi:10.1109/MMSP48831.2020.9287072.
    """
    config = config or MaGanetConfig()
    image = keras.Input((None, None, 3), name="image")
    taps = apply_vgg16(apply_input_scaling(image), config, with_pool5=False)
    high = _apply_branch(taps, HIGH_STRIDES, config, "high")
    low = _apply_branch(taps, LOW_STRIDES, config, "low")

    gate = BilinearUpsampling(HIGH_BRANCH_STRIDE, name="spatial_up")(_apply_spatial_attention(high, config))
    low = layers.Multiply(name="low_gated")([low, gate])
    high = BilinearUpsampling(HIGH_BRANCH_STRIDE, name="high_up")(high)

    fused = layers.Concatenate(name="fuse_concat")([high, low])
    fused = apply_conv(fused, BRANCH_FILTERS, config, "fuse_conv")
    fused = layers.Dropout(config.dropout, name="fuse_dropout")(fused)
    return keras.Model(image, apply_logits_output(apply_score_conv(fused, "score")), name="ma_ganet")


def build_discriminator(config: DiscriminatorConfig | None = None) -> keras.Model:
    """Build MA-GANet's discriminator: is this map a person's mask of this picture, patch by patch.

    Parameters
    ----------
    config : DiscriminatorConfig, optional

    Returns
    -------
    keras.Model
        (B, H, W, 4) float32, RGB in [0, 1] and a map in [0, 1], H and W multiples of 8, to (B, H / 8, W / 8, 1) float32
        logits of the map being a mask. Each sees 70×70 px.

    Notes
    -----
    The paper says conditional PatchGAN and spectral normalization; the layers are those of Isola et al.: 4×4
    convolutions, three of stride 2 and two of stride 1, leaky ReLU of slope 0.2. Spectral normalization takes the place
    of their batch normalization, in all five.

    References
    ----------
    P. Isola, J.-Y. Zhu, T. Zhou, A. A. Efros, "Image-to-Image Translation with Conditional Adversarial Networks",
    CVPR 2017, arXiv:1611.07004.
    """
    config = config or DiscriminatorConfig()
    pair = keras.Input((None, None, 4), name="image_and_map")
    tensor = layers.Rescaling(2.0, -1.0, dtype="float32", name="scaling")(pair)
    for number, (filters, strides) in enumerate(zip(PATCH_FILTERS, PATCH_STRIDES, strict=True), start=1):
        tensor = SpectralConv2D(
            scale_filters(filters, config.width),
            _PATCH_KERNEL,
            strides=strides,
            padding="same",
            name=f"patch_conv{number}",
        )(tensor)
        tensor = layers.LeakyReLU(_LEAKY_SLOPE, name=f"patch_relu{number}")(tensor)
    logits = SpectralConv2D(1, _PATCH_KERNEL, padding="same", name=f"patch_conv{len(PATCH_FILTERS) + 1}")(tensor)
    return keras.Model(pair, apply_logits_output(logits), name="ma_ganet_discriminator")


def _apply_branch(
    taps: dict[str, keras.KerasTensor], strides: dict[str, int], config: MaGanetConfig, name: str
) -> keras.KerasTensor:
    """Layers of VGG16 at the size of the largest of them, joined, with channel attention."""
    target = min(strides.values())
    joined = []
    for tap, stride in strides.items():
        tensor = apply_conv(taps[tap], BRANCH_FILTERS, config, f"{name}_{tap}_conv")
        joined.append(BilinearUpsampling(stride // target, name=f"{name}_{tap}_up")(tensor))
    tensor = layers.Concatenate(name=f"{name}_concat")(joined)
    tensor = ChannelAttention(name=f"{name}_channel_attention")(tensor)
    return apply_conv(tensor, BRANCH_FILTERS, config, f"{name}_conv")


def _apply_spatial_attention(high: keras.KerasTensor, config: MaGanetConfig) -> keras.KerasTensor:
    """(B, h, w, 1) weights in [0, 1]: where the low features matter."""
    first, second = SPATIAL_DILATIONS
    tensor = apply_conv(high, BRANCH_FILTERS, config, "spatial_conv1", dilation=first)
    return layers.Conv2D(1, 3, dilation_rate=second, padding="same", activation="sigmoid", name="spatial_conv2")(tensor)


class ChannelAttention(keras.layers.Layer):
    """Each channel plus a learned share of the channels that resemble it.

    Notes
    -----
    With the maps X as a matrix of C channels times H·W pixels: ``A = softmax(X Xᵀ)`` along its rows,
    ``output = X + α A X``. α starts at 0, where the layer is the identity. As in the paper ``X Xᵀ`` is a sum over the
    pixels, not a mean: on large pictures a row of A is nearly the one channel that fits best.
    """

    def build(self, input_shape: tuple[int | None, ...]) -> None:  # noqa: ARG002 - Keras passes it
        """Make α."""
        self.alpha = self.add_weight(shape=(), initializer="zeros", name="alpha")

    def call(self, maps: Any) -> Any:
        """(B, H, W, C) maps to the same shape."""
        # Sums over all pixels overflow float16 and are coarse in bfloat16: at least the precision of the weights.
        wide = ops.cast(maps, self.variable_dtype)
        attention = ops.softmax(ops.einsum("bhwc,bhwd->bcd", wide, wide), axis=-1)
        attended = ops.einsum("bcd,bhwd->bhwc", ops.cast(attention, maps.dtype), maps)
        return maps + self.alpha * attended

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Shape of the output: that of the input."""
        return input_shape


class SpectralConv2D(keras.layers.Conv2D):
    """Convolution whose kernel is divided by its largest singular value, σ.

    Notes
    -----
    The kernel is seen as a matrix of (height · width · inputs) × outputs. One step of the power iteration in each call
    with ``training=True`` follows σ; the gradient passes through σ, but not through the singular vectors.
    `keras.layers.SpectralNormalization` overwrites the kernel with the normalized one instead, and its gradient does
    not see σ.

    References
    ----------
    T. Miyato, T. Kataoka, M. Koyama, Y. Yoshida, "Spectral Normalization for Generative Adversarial Networks", ICLR
    2018, arXiv:1802.05957.
    """

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the kernel, the bias and the left-over of the power iteration."""
        super().build(input_shape)
        self.singular_vector = self.add_weight(
            shape=(1, self.filters), initializer="random_normal", trainable=False, name="singular_vector"
        )

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Convolve with the normalized kernel."""
        outputs = self.convolution_op(inputs, self.normalize_kernel(update=bool(training)))
        return outputs + self.bias if self.use_bias else outputs

    def normalize_kernel(self, *, update: bool = False) -> Any:
        """Kernel divided by the present estimate of σ.

        Parameters
        ----------
        update : bool
            Keep the result of the power iteration, which makes the next estimate better.
        """
        kernel = ops.convert_to_tensor(self.kernel)
        # Under mixed precision the kernel comes rounded, and σ is that of the rounded one.
        matrix = ops.cast(ops.reshape(kernel, (-1, self.filters)), self.variable_dtype)
        fixed = ops.stop_gradient(matrix)
        right = ops.cast(ops.convert_to_tensor(self.singular_vector), self.variable_dtype)
        left = _normalize(ops.matmul(right, ops.transpose(fixed)))
        right = _normalize(ops.matmul(left, fixed))
        if update:
            self.singular_vector.assign(right)
        sigma = ops.sum(ops.matmul(left, matrix) * right)
        return kernel / ops.cast(sigma, kernel.dtype)


def _normalize(vector: Any) -> Any:
    """Vector of length 1."""
    return vector / (ops.norm(vector) + _TINY)
