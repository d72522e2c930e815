"""PatchGAN with spectral normalization: the discriminator that MA-GANet and SG are trained against."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
from keras import layers, ops

from defocus_edge.networks.segmentation.blocks import apply_logits_output, check_width, scale_filters

#: Filters and strides of the 4×4 convolutions before the last one: the 70×70 PatchGAN of Isola et al. 2017, as is the
#: slope of the leaky ReLU.
PATCH_FILTERS = (64, 128, 256, 512)
PATCH_STRIDES = (2, 2, 2, 1)
_PATCH_KERNEL = 4
_LEAKY_SLOPE = 0.2
# Keeps the power iteration from dividing by zero.
_TINY = 1e-12


@dataclass(frozen=True)
class DiscriminatorConfig:
    """Architecture of a discriminator, which only training needs.

    Parameters
    ----------
    width : float
        Factor on the number of filters of each layer; 1 is the 70×70 PatchGAN's 64 to 512.
    with_map : bool
        Whether it sees a picture and a map, as in MA-GANet, or a picture alone, as in SG.
    """

    width: float = 1.0
    with_map: bool = True

    def __post_init__(self) -> None:
        check_width(self.width)


def build_discriminator(config: DiscriminatorConfig | None = None) -> keras.Model:
    """Build MA-GANet's discriminator, which tells for each patch whether a map is a true mask of the picture.

    Returns
    -------
    keras.Model
        (B, H, W, 4) float32, RGB in [0, 1] and a map in [0, 1], H and W multiples of 8, to (B, H / 8, W / 8, 1) float32
        logits that the map is a true mask. Each logit sees 70×70 px. Without the map, (B, H, W, 3) to logits that the
        picture is real.

    Notes
    -----
    The paper names a conditional PatchGAN and spectral normalization. The layers are those of Isola et al.: 4×4
    convolutions, three of stride 2 and two of stride 1, and leaky ReLU of slope 0.2. Spectral normalization replaces
    their batch normalization, in all five convolutions.

    References
    ----------
    P. Isola, J.-Y. Zhu, T. Zhou, A. A. Efros, "Image-to-Image Translation with Conditional Adversarial Networks",
    CVPR 2017, arXiv:1611.07004.
    """
    config = config or DiscriminatorConfig()
    source = keras.Input((None, None, 4 if config.with_map else 3), name="source")
    tensor = apply_patch_convs(source, config)
    logits = SpectralConv2D(1, _PATCH_KERNEL, padding="same", name=f"patch_conv{len(PATCH_FILTERS) + 1}")(tensor)
    return keras.Model(source, apply_logits_output(logits), name="patch_discriminator")


def apply_patch_convs(source: keras.KerasTensor, config: DiscriminatorConfig) -> keras.KerasTensor:
    """Apply all layers of a discriminator but the last: pictures in [0, 1] to features of an eighth of their size."""
    tensor = layers.Rescaling(2.0, -1.0, dtype="float32", name="scaling")(source)
    for number, (filters, strides) in enumerate(zip(PATCH_FILTERS, PATCH_STRIDES, strict=True), start=1):
        tensor = SpectralConv2D(
            scale_filters(filters, config.width),
            _PATCH_KERNEL,
            strides=strides,
            padding="same",
            name=f"patch_conv{number}",
        )(tensor)
        tensor = layers.LeakyReLU(_LEAKY_SLOPE, name=f"patch_relu{number}")(tensor)
    return tensor


class SpectralConv2D(keras.layers.Conv2D):
    """Convolution whose kernel is divided by its largest singular value, σ.

    Notes
    -----
    σ is that of the kernel as a matrix of (height · width · inputs) × outputs. Each call with ``training=True`` takes
    one step of a power iteration, which follows σ. The gradient passes through σ, but not through the singular vectors.
    `keras.layers.SpectralNormalization` overwrites the kernel instead, and its gradient ignores σ.

    References
    ----------
    T. Miyato, T. Kataoka, M. Koyama, Y. Yoshida, "Spectral Normalization for Generative Adversarial Networks", ICLR
    2018, arXiv:1802.05957.
    """

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the kernel, the bias and the singular vector of the power iteration."""
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

        `update` keeps the result of the power iteration, which makes the next estimate better.
        """
        kernel = ops.convert_to_tensor(self.kernel)
        # Under mixed precision the kernel is rounded, and σ is that of the rounded kernel.
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
