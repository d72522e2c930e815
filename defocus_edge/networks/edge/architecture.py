"""Architecture of B-NET and E-NET as plain numbers: what a preset says of them, and the shapes of their weights."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from defocus_edge.blur_levels import N_LEVELS
from defocus_edge.networks.edge.patches import PATCH_SIDE
from defocus_edge.networks.weight_files import Arrays

#: Sides in px of the patches of the three branches, all around one centre (Karaali et al. 2022, figure 3).
BRANCH_SIDES = (PATCH_SIDE, 27, 15)
#: How the names of the layers of these branches begin.
BRANCH_NAMES = ("b1", "b2", "b3")
#: The branch of E-NET's own, on patches of 41 px.
SECOND_BRANCH = "f2"
#: The convolutions that see the picture itself.
FIRST_CONVS = tuple(f"{name}_conv1" for name in (*BRANCH_NAMES, SECOND_BRANCH))
#: Side of the map, 7×7 values, in which each branch ends.
BRANCH_OUTPUT = 7
#: Side of the map after the first convolution of a head.
HEAD_SIDE = BRANCH_OUTPUT - 2
#: Stride and side in px of the poolings in the branches.
POOL_STRIDE = 3
#: E-NET's classes.
EDGE_CLASSES = ("pattern", "depth")
#: Both heads and the number of their classes: levels of blur, and kinds of edge.
HEADS = {"blur": N_LEVELS, "edge": len(EDGE_CLASSES)}
#: Added to the mean square of a head's values before they are divided by its root, so that a patch without contrast is
#: not divided by 0. Trained networks have mean squares of 1e-4 and more at a contrast of 1/16 (measured).
NORMALIZATION_EPSILON = 1e-12


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
    grid_step : {1, 3}
        The networks look at the middle of each square of this side in px that holds edge points. With 1 that is each
        point itself. With 3, the stride of the poolings, the points of a square share one answer, for a third of the
        arithmetic.
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
    grid_step: int = 1
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
        if self.grid_step not in (1, POOL_STRIDE):
            msg = f"grid_step must be 1 or {POOL_STRIDE} px. Got: {self.grid_step}."
            raise ValueError(msg)
        in_order = tuple(side for side in BRANCH_SIDES if side in self.branch_sides)
        if self.branch_sides != in_order or PATCH_SIDE not in in_order:
            msg = f"branch_sides must be 41, then 27 or 15 px or both or none. Got: {self.branch_sides}."
            raise ValueError(msg)


@dataclass(frozen=True, eq=False)
class EdgeWeights:
    """Architecture of both networks and the weights of their layers, see `list_shapes`."""

    config: EdgeNetworksConfig
    arrays: Arrays


def list_shapes(config: EdgeNetworksConfig) -> dict[str, list[tuple[int, ...]]]:
    """Shapes of the weights of each layer, by its name: a kernel, rows × columns × inputs × outputs, or one and a bias.

    The order is that of the layers from the picture to the answers.
    """
    filters = config.filters
    branches = [name for name, side in zip(BRANCH_NAMES, BRANCH_SIDES, strict=True) if side in config.branch_sides]
    shapes: dict[str, list[tuple[int, ...]]] = {}
    for name in (*branches, SECOND_BRANCH):
        for number, inputs in enumerate((3, filters, filters, filters), start=1):
            side = 1 if (name, number) == ("b2", 4) else 3
            shapes[f"{name}_conv{number}"] = [(side, side, inputs, filters)]
    for head, classes in HEADS.items():
        joined = len(branches) + (head == "edge")
        for number, (side, inputs) in enumerate(((3, joined), (3, 1), (3, 1), (1, 1)), start=1):
            shapes[f"{head}_head_conv{number}"] = [(side, side, inputs * filters, filters)]
        widths = (filters, *config.dense_units, classes)
        for number, (inputs, outputs) in enumerate(pairwise(widths), start=1):
            shapes[f"{head}_head_dense{number}"] = [(inputs, outputs), (outputs,)]
    return shapes
