"""B-NET tells the blur radius at an edge point, E-NET tells whether depth jumps there (Karaali et al. 2022)."""

from __future__ import annotations

from dataclasses import dataclass

import keras
from keras import layers

from defocus_edge.networks.edge.architecture import BRANCH_NAMES, BRANCH_SIDES, HEADS, EdgeNetworksConfig, EdgeWeights
from defocus_edge.networks.edge.head_normalization import HeadNormalization
from defocus_edge.networks.edge.patches import PATCH_SIDE
from defocus_edge.networks.weight_files import copy_arrays


@dataclass(frozen=True)
class EdgeNetworks:
    """The two networks over one set of layer objects.

    Attributes
    ----------
    config : EdgeNetworksConfig
    b_net : keras.Model
        (N, 41, 41, 3) patches to (N, 23) softmax over the blur levels.
    e_net : keras.Model
        (N, 41, 41, 3) patches to (N, 2) softmax: pattern edge, depth edge. Its f1 layers are B-NET's.
    joint : keras.Model
        Both outputs, ``{"blur": …, "edge": …}``, f1 computed once. Its weights file is the preset's file.
    """

    config: EdgeNetworksConfig
    b_net: keras.Model
    e_net: keras.Model
    joint: keras.Model

    @property
    def weights(self) -> EdgeWeights:
        """A copy of the weights, for programs without Keras."""
        return EdgeWeights(self.config, copy_arrays(self.joint))


def build_edge_networks(config: EdgeNetworksConfig | None = None) -> EdgeNetworks:
    """Build both networks with shared f1 layers and random weights.

    f1-NET (three branches on patches of 41, 27 and 15 px) and the b-NET head make B-NET, 560 731 parameters. f1-NET,
    f2-NET (a second 41 px branch) and the e-NET head make E-NET, 706 744.

    References
    ----------
    A. Karaali, N. Harte, C. R. Jung, "Deep Multi-Scale Feature Learning for Defocus Blur Estimation", IEEE Transactions
    on Image Processing 31, 2022, arXiv:2009.11939.
    """
    config = config or EdgeNetworksConfig()
    patch = keras.Input((PATCH_SIDE, PATCH_SIDE, 3), name="patch")
    scaled = layers.Rescaling(config.input_gain, -config.input_mean * config.input_gain, name="scaling")(patch)
    branches = [
        apply(_crop_centre(scaled, side, config.crop_shift), config, name)
        for side, name, apply in zip(BRANCH_SIDES, BRANCH_NAMES, _BRANCHES, strict=True)
        if side in config.branch_sides
    ]
    f2 = _apply_large_branch(scaled, config, "f2")

    f1 = layers.Concatenate(name="f1")(branches) if len(branches) > 1 else branches[0]
    f1_f2 = layers.Concatenate(name="f1_f2")([f2, *branches])
    blur = _apply_head(f1, config, "blur")
    edge = _apply_head(f1_f2, config, "edge")
    return EdgeNetworks(
        config=config,
        b_net=keras.Model(patch, blur, name="b_net"),
        e_net=keras.Model(patch, edge, name="e_net"),
        joint=keras.Model(patch, {"blur": blur, "edge": edge}, name="edge_networks"),
    )


def _crop_centre(tensor: keras.KerasTensor, side: int, shift: int) -> keras.KerasTensor:
    """Cut a square of `side` px out of the middle of the 41 px patch, shifted down and right."""
    margin = (PATCH_SIDE - side) // 2
    if not margin:
        return tensor
    before, after = margin + shift, margin - shift
    return layers.Cropping2D(((before, after), (before, after)), name=f"crop{side}")(tensor)


def _apply_conv(tensor: keras.KerasTensor, config: EdgeNetworksConfig, name: str, size: int = 3) -> keras.KerasTensor:
    """One valid convolution without bias, with ReLU."""
    return layers.Conv2D(
        config.filters, size, use_bias=False, activation="relu", kernel_initializer="he_normal", name=name
    )(tensor)


def _apply_large_branch(tensor: keras.KerasTensor, config: EdgeNetworksConfig, name: str) -> keras.KerasTensor:
    """41 px: conv, pool, conv, conv, conv."""
    tensor = _apply_conv(tensor, config, f"{name}_conv1")
    tensor = layers.MaxPooling2D(3, name=f"{name}_pool")(tensor)
    for number in (2, 3, 4):
        tensor = _apply_conv(tensor, config, f"{name}_conv{number}")
    return tensor


def _apply_middle_branch(tensor: keras.KerasTensor, config: EdgeNetworksConfig, name: str) -> keras.KerasTensor:
    """27 px: conv, conv, conv, pool, conv 1×1."""
    for number in (1, 2, 3):
        tensor = _apply_conv(tensor, config, f"{name}_conv{number}")
    tensor = layers.MaxPooling2D(3, name=f"{name}_pool")(tensor)
    return _apply_conv(tensor, config, f"{name}_conv4", size=1)


def _apply_small_branch(tensor: keras.KerasTensor, config: EdgeNetworksConfig, name: str) -> keras.KerasTensor:
    """15 px: four convolutions."""
    for number in (1, 2, 3, 4):
        tensor = _apply_conv(tensor, config, f"{name}_conv{number}")
    return tensor


#: Functions that apply the branches, in the order of `BRANCH_SIDES`.
_BRANCHES = (_apply_large_branch, _apply_middle_branch, _apply_small_branch)


def _apply_head(tensor: keras.KerasTensor, config: EdgeNetworksConfig, name: str) -> keras.KerasTensor:
    """7×7 features to class probabilities: four convolutions, normalization if wanted, dense layers, softmax."""
    for number in (1, 2, 3):
        tensor = _apply_conv(tensor, config, f"{name}_head_conv{number}")
    tensor = _apply_conv(tensor, config, f"{name}_head_conv4", size=1)
    tensor = layers.Flatten(name=f"{name}_head_flatten")(tensor)
    if config.head_normalization:
        tensor = HeadNormalization(name=f"{name}_head_normalization")(tensor)
    for number, units in enumerate(config.dense_units, start=1):
        tensor = layers.Dense(units, activation="relu", name=f"{name}_head_dense{number}")(tensor)
    last = f"{name}_head_dense{len(config.dense_units) + 1}"
    return layers.Dense(HEADS[name], activation="softmax", name=last)(tensor)
