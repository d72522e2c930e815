"""B-NET tells the blur radius at an edge point, E-NET tells whether depth jumps there (Karaali et al. 2022)."""

from __future__ import annotations

from dataclasses import dataclass

import keras
from keras import layers

from defocus_edge.blur_levels import N_LEVELS
from defocus_edge.networks.edge.head_normalization import HeadNormalization
from defocus_edge.networks.edge.patches import PATCH_SIDE

#: Sides in px of the patches of the three branches, all around one centre (Karaali et al. 2022, figure 3).
BRANCH_SIDES = (PATCH_SIDE, 27, 15)
#: How the names of the layers of these branches begin.
BRANCH_NAMES = ("b1", "b2", "b3")
#: The convolutions that see the picture itself.
FIRST_CONVS = (*(f"{name}_conv1" for name in BRANCH_NAMES), "f2_conv1")
#: Side of the map, 7×7 values, in which each branch ends.
BRANCH_OUTPUT = 7
#: E-NET's classes.
EDGE_CLASSES = ("pattern", "depth")


@dataclass(frozen=True)
class EdgeNetworksConfig:
    """Architecture of the two networks.

    Parameters
    ----------
    filters : int
        Filters of each convolution.
    dense_units : tuple of int
        Widths of the hidden dense layers of both heads.
    crop_shift : int
        Shift in px, down and right, of the 27 and 15 px patches against the centre of the 41 px patch. Centred
        patches have 0; the networks that the authors of the paper published have 1.
    input_mean, input_gain : float
        What enters the first convolution is ``(image - input_mean) * input_gain``.
    depth_threshold : float
        Probability of E-NET above which a point counts as a depth edge. It is calibrated for the weights, see
        `training.edges.calibration`; with 0.5 the more probable class counts.
    branch_sides : tuple of int
        Sides in px of the patches that f1-NET sees: 41, then 27 or 15 or both or none. ``(41,)`` is the paper's
        ablation with patches of one scale.
    head_normalization : bool
        Divide the values before the dense layers by their root mean square, so that the contrast of a patch changes
        nothing: the layers before are convolutions without bias, ReLU and poolings. If the kernels of `FIRST_CONVS`
        have no mean, a constant offset changes nothing either.
    context : str, optional
        Preset of the network that corrects the points of these weights, see `defocus_edge.networks.context`.
    """

    filters: int = 64
    dense_units: tuple[int, ...] = (300, 150)
    crop_shift: int = 0
    input_mean: float = 0.5
    input_gain: float = 4.0
    depth_threshold: float = 0.5
    branch_sides: tuple[int, ...] = BRANCH_SIDES
    head_normalization: bool = False
    context: str | None = None

    def __post_init__(self) -> None:
        if self.filters < 1 or not self.dense_units or min(self.dense_units) < 1:
            msg = f"filters and dense_units must be positive. Got: {self.filters}, {self.dense_units}."
            raise ValueError(msg)
        if self.crop_shift not in (0, 1):
            msg = f"crop_shift must be 0 (centred) or 1 (the authors' networks). Got: {self.crop_shift}."
            raise ValueError(msg)
        if not 0 < self.depth_threshold < 1:
            msg = f"depth_threshold must be between 0 and 1. Got: {self.depth_threshold}."
            raise ValueError(msg)
        in_order = tuple(side for side in BRANCH_SIDES if side in self.branch_sides)
        if self.branch_sides != in_order or PATCH_SIDE not in in_order:
            msg = f"branch_sides must be 41, then 27 or 15 px or both or none. Got: {self.branch_sides}."
            raise ValueError(msg)


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
    blur = _apply_head(f1, config, N_LEVELS, "blur")
    edge = _apply_head(f1_f2, config, len(EDGE_CLASSES), "edge")
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


def _apply_head(tensor: keras.KerasTensor, config: EdgeNetworksConfig, classes: int, name: str) -> keras.KerasTensor:
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
    return layers.Dense(classes, activation="softmax", name=last)(tensor)
