"""DCINet: sweeps over rows and columns in four directions weigh the features of each level (Zhao et al. 2019)."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

from defocus_edge.networks.segmentation.blocks import (
    VGG16_STRIDES,
    BilinearUpsampling,
    NormalizedConfig,
    apply_conv,
    apply_double_conv,
    apply_input_scaling,
    apply_logits_output,
    apply_score_conv,
    apply_vgg16,
    scale_filters,
)
from defocus_edge.networks.segmentation.network import SegmentationNetwork

#: The two groups of levels: last layers of the blocks of VGG16, the finest first. Chosen by us.
GROUPS = {"deep": ("conv4_3", "conv5_3"), "shallow": ("conv1_2", "conv2_2", "conv3_3")}
#: Levels that refine the map, in order.
REFINING = ("conv4_3", "conv3_3", "conv2_2", "conv1_2")
#: Filters of all convolutions after VGG16. Chosen by us.
LEVEL_FILTERS = 64
#: Finer levels are averaged to this stride before they are swept, px. Chosen by us: a sweep takes a step for each cell.
SWEEP_STRIDE = 8
#: Axis of the maps and whether the sweep begins at its end: to the right, to the left, down, up.
DIRECTIONS = ((2, False), (2, True), (1, False), (1, True))
#: Height and width of a picture must be multiples of it.
STRIDE = VGG16_STRIDES["conv5_3"]
#: Number of supervised score maps: one for each group, and one for each refining level.
SCORE_MAPS = len(GROUPS) + len(REFINING)
#: Layer that gives the last score map.
SCORE_LAYER = "score"


def build_dcinet(config: NormalizedConfig | None = None) -> keras.Model:
    """Build DCINet with random weights.

    Returns
    -------
    keras.Model
        (B, H, W, 3) float32 RGB in [0, 1], H and W multiples of 16, to (B, H, W, 6) float32 logits: the coarse maps of
        the deep and the shallow group, and the maps that the levels of stride 8, 4, 2 and 1 refine. The sigmoid of the
        last map is the probability that a pixel is blurred; the others are supervised in training only.

    Notes
    -----
    The abstract gives three parts: recurrent units that begin with the identity sweep the features, and this
    directional context weighs them; two groups of weighed features give coarse maps; the levels refine the maps step by
    step, guided by the picture. The text of the paper was not at hand, and no public code is known. So all else is
    ours:

    - The encoder is VGG16, that of the other networks here, so that a comparison is one of ideas and not of encoders,
      and because Keras has its weights of ImageNet. The levels are the last layers of its blocks, F_1 … F_5.
    - A level becomes D_i = G_i · sigmoid(conv C_i) with G_i = relu(conv F_i). The context C_i comes from G_i, averaged
      to stride 8 so that sweeps are short: a 1×1 convolution, the sweeps in four directions, and a 1×1 convolution with
      ReLU that joins them. The weights in (0, 1) are enlarged to the size of the level.
    - A sweep does h_t = relu(x_t + w h_{t-1}) along a row or a column. The weight w, one for each channel and
      direction, is the diagonal of the recurrent matrix: it begins with 1 and stays between 0 and 1, so that sums over
      long rows do not explode. There is one round of sweeps: a cell sees its row and its column. In the Inside-Outside
      Net, which has such sweeps, the matrices are full at first, and there are two rounds.
    - The deep group joins levels 4 and 5, the shallow group levels 1 to 3, at the size of its finest level, with a 1×1
      convolution. A 1×1 convolution gives its coarse map.
    - Level i, from 4 to 1, corrects the map before,

          M_i = up(M_{i+1}) + r_i([up(M_{i+1}), D_i, S, picture]),

      where M_5 is the coarse map of the deep group and S that of the shallow group; S and the picture are averaged to
      the size of the level. The residual r_i has two 3×3 convolutions and a 1×1 convolution. All maps are logits.
    - The last map passes one more 1×1 convolution, of one weight, which starts as the identity, so that it can be
      calibrated alone.
    - All convolutions have 64 filters, and 3×3 kernels unless said otherwise. The network has batch normalization,
      because sums over whole rows saturate a sigmoid.

    References
    ----------
    F. Zhao, H. Wang, W. Zhao, "Deep Direction-Context-Inspiration Network for Defocus Region Detection in Natural
    Images", IEEE Access 7, 2019, doi:10.1109/ACCESS.2019.2916332. The sweeps are those of S. Bell, C. L. Zitnick,
    K. Bala, R. Girshick, "Inside-Outside Net: Detecting Objects in Context with Skip Pooling and Recurrent Neural
    Networks", CVPR 2016, arXiv:1512.04143; the identity at the beginning is that of Q. V. Le, N. Jaitly, G. E. Hinton,
    "A Simple Way to Initialize Recurrent Networks of Rectified Linear Units", 2015, arXiv:1504.00941.
    """
    config = config or NormalizedConfig()
    image = keras.Input((None, None, 3), name="image")
    scaled = apply_input_scaling(image)
    taps = apply_vgg16(scaled, config, with_pool5=False)
    levels = {name: _apply_level(tap, VGG16_STRIDES[name], config, name) for name, tap in taps.items()}
    coarse = {group: _apply_group(levels, names, config, group) for group, names in GROUPS.items()}
    maps = [BilinearUpsampling(SWEEP_STRIDE, name="deep_up")(coarse["deep"]), coarse["shallow"]]
    guide = layers.Concatenate(name="guide")([coarse["shallow"], scaled])
    one, stride = coarse["deep"], SWEEP_STRIDE
    for name in REFINING:
        factor, stride = stride // VGG16_STRIDES[name], VGG16_STRIDES[name]
        one = BilinearUpsampling(factor, name=f"{name}_before")(one)
        guiding = layers.AveragePooling2D(stride, name=f"{name}_guide")(guide)
        joined = layers.Concatenate(name=f"{name}_concat")([one, levels[name], guiding])
        residual = apply_score_conv(apply_double_conv(joined, LEVEL_FILTERS, config, name), f"{name}_residual")
        one = layers.Add(name=f"{name}_add")([one, residual])
        maps.append(BilinearUpsampling(stride, name=f"{name}_up")(one))
    maps[-1] = layers.Conv2D(1, 1, kernel_initializer="ones", name=SCORE_LAYER)(maps[-1])
    return keras.Model(image, apply_logits_output(layers.Concatenate(name="maps_concat")(maps)), name="dcinet")


def _apply_level(tap: keras.KerasTensor, stride: int, config: NormalizedConfig, name: str) -> keras.KerasTensor:
    """Features of a layer of VGG16, weighed by their directional context."""
    features = apply_conv(tap, LEVEL_FILTERS, config, f"{name}_features")
    factor, filters = max(1, SWEEP_STRIDE // stride), scale_filters(LEVEL_FILTERS, config.width)
    context = layers.AveragePooling2D(factor, name=f"{name}_small")(features)
    context = layers.Conv2D(filters, 1, name=f"{name}_input")(context)
    # float32 under every dtype policy: bfloat16 would lose the small terms of long sums.
    context = DirectionalSweep(dtype="float32", name=f"{name}_sweep")(context)
    context = apply_conv(context, LEVEL_FILTERS, config, f"{name}_context", size=1)
    weights = layers.Conv2D(filters, 1, activation="sigmoid", name=f"{name}_weights")(context)
    weights = BilinearUpsampling(factor, name=f"{name}_weights_up")(weights)
    return layers.Multiply(name=f"{name}_weighed")([features, weights])


def _apply_group(
    levels: dict[str, keras.KerasTensor], names: tuple[str, ...], config: NormalizedConfig, group: str
) -> keras.KerasTensor:
    """Coarse map of a group of levels, at the size of the first one."""
    factors = [VGG16_STRIDES[name] // VGG16_STRIDES[names[0]] for name in names]
    enlarged = [
        BilinearUpsampling(factor, name=f"{group}_{name}_up")(levels[name])
        for name, factor in zip(names, factors, strict=True)
    ]
    joined = layers.Concatenate(name=f"{group}_concat")(enlarged)
    return apply_score_conv(apply_conv(joined, LEVEL_FILTERS, config, f"{group}_conv", size=1), f"{group}_score")


class DirectionalSweep(keras.layers.Layer):
    """Recurrent sweeps of maps in each of `DIRECTIONS`: h_t = relu(x_t + w h_{t-1}), w between 0 and 1.

    A scan is one loop for all sizes, and has gradients on every backend; a plain loop has none in JAX. An associative
    scan needs fewer steps, but each composes maxima of lines with three products, and its graph has dozens of branches.
    """

    def build(self, input_shape: tuple[Any, ...]) -> None:
        """Make the weights, one for each channel of the output."""
        size = len(DIRECTIONS) * input_shape[-1]
        self.recurrence = self.add_weight(
            shape=(size,), initializer="ones", constraint=_keep_in_unit_interval, name="recurrence"
        )

    def call(self, maps: Any) -> Any:
        """(B, H, W, C) maps to (B, H, W, 4 C): what each direction has seen."""
        weights = ops.split(self.recurrence, len(DIRECTIONS))
        swept = [_sweep(maps, *direction, weight) for direction, weight in zip(DIRECTIONS, weights, strict=True)]
        return ops.concatenate(swept, axis=-1)

    def compute_output_shape(self, input_shape: tuple[Any, ...]) -> tuple[Any, ...]:
        """Shape of the output; unknown sizes are None."""
        return *input_shape[:-1], len(DIRECTIONS) * input_shape[-1]


def _sweep(maps: Any, axis: int, reverse: bool, weight: Any) -> Any:
    """Sweep along axis 1 or 2, from its end if `reverse`."""

    def step(before: Any, line: Any) -> tuple[Any, Any]:
        after = ops.relu(line + weight * before)
        return after, after

    lines = ops.moveaxis(maps, axis, 0)
    _, swept = ops.scan(step, ops.zeros_like(lines[0]), lines, reverse=reverse)
    return ops.moveaxis(swept, 0, axis)


def _keep_in_unit_interval(weights: Any) -> Any:
    """The nearest weights with which a sweep cannot explode."""
    return ops.clip(weights, 0.0, 1.0)


NETWORK = SegmentationNetwork(
    title="DCINet",
    reference="Zhao et al., IEEE Access 7, 2019",
    config_class=NormalizedConfig,
    build=build_dcinet,
    stride=STRIDE,
    score_maps=SCORE_MAPS,
    score_layer=SCORE_LAYER,
)
