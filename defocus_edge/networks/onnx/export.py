"""Networks as ONNX files, which give the same numbers in onnxruntime and other programs, without Keras.

Nothing heavy is imported with this module; the export itself needs the package `onnx`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from defocus_edge._extras import ONNX
from defocus_edge._version import __version__
from defocus_edge.choices import ONNX_SUFFIX
from defocus_edge.networks.preset_files import (
    CONFIG_FILE,
    EDGE_NETWORKS,
    find_preset,
    read_config,
    read_metadata,
)
from defocus_edge.networks.presets import load_edge_networks, load_edge_weights, load_segmentation_preset

if TYPE_CHECKING:
    from onnx import ModelProto

    from defocus_edge.networks.edge.architecture import EdgeNetworksConfig
    from defocus_edge.networks.onnx.graph import GraphBuilder

# Input of all networks.
_PIXELS = "RGB in [0, 1], encoded as in the picture's file"


@dataclass(frozen=True)
class _Tensor:
    """Input or output of the graph; a name in the shape stands for any length."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]
    meaning: str

    def __str__(self) -> str:
        return f"{self.name} {self.dtype} ({', '.join(map(str, self.shape))})"


@dataclass(frozen=True)
class _Design:
    """Graph and its description."""

    title: str
    graph: GraphBuilder
    inputs: list[_Tensor]
    outputs: dict[str, _Tensor]  # by the name of the tensor in the graph
    properties: Mapping[str, Any]


def export_onnx(preset: str | Path, path: str | Path, *, patches: bool = False) -> dict[str, str]:
    """Write the networks of a preset as an ONNX file.

    Parameters
    ----------
    preset : str or Path
        Name of a preset of the package, see `list_presets`, or a folder.
    path : str or Path
        The file, ``.onnx``. It is written whole or not at all; an existing one is replaced.
    patches : bool
        Whether the graph of the edge networks takes 41 px patches instead of pictures. Pictures are many times faster
        with many points.

    Returns
    -------
    dict of str to str
        The file's ``metadata_props``: inputs and outputs, the preset and its checksum, and values for the use of the
        outputs.

    Raises
    ------
    PresetError
        If the preset is unknown or damaged.
    ValueError
        If `path` does not end in ``.onnx``, or `patches` is true for a segmentation network.
    OSError
        If the file cannot be written.
    ImportError
        If the package `onnx` is not installed.

    Notes
    -----
    The edge networks have two inputs. ``image`` (tiles, height, width, 3) is float32 RGB in [0, 1] with a border of
    20 px, made by `numpy.pad` with ``mode="symmetric"``. ``points`` (points, 3) is int32: the tile, row and column of
    each edge point, without that border. The outputs are ``blur`` (points, 23) and ``edge`` (points, 2). With `patches`
    the only input is ``patches`` (points, 41, 41, 3).

    The segmentation networks have the input ``image`` (pictures, height, width, 3), whose height and width are
    multiples of the metadata's ``stride``, and the output ``probability``, or ``radius`` in px (pictures, height,
    width).
    """
    path = Path(path)
    check_export(preset, path, patches=patches)
    from defocus_edge.files.atomic import atomic_write

    folder = find_preset(preset)
    is_edge = read_config(folder / CONFIG_FILE)["network"] == EDGE_NETWORKS
    with atomic_write(path) as temporary:  # first: an unwritable place fails before the networks are loaded
        design = _design_edge_networks(folder, patches=patches) if is_edge else _design_segmentation(folder)
        properties = _describe(folder, design)
        temporary.write_bytes(_assemble(design, properties).SerializeToString())
    return properties


def check_export(preset: str | Path, path: Path, *, patches: bool = False) -> None:
    """Raise what `export_onnx` would raise before it loads anything heavy; the parameters are the same."""
    if path.suffix.lower() != ONNX_SUFFIX:
        msg = f"path must end in {ONNX_SUFFIX}. Got: {path}."
        raise ValueError(msg)
    folder = find_preset(preset)
    network = read_config(folder / CONFIG_FILE)["network"]
    if patches and network != EDGE_NETWORKS:
        msg = f"patches goes with a preset of the edge networks only. Got: {preset}, a preset of {network}."
        raise ValueError(msg)
    read_metadata(folder)
    ONNX.load()


def _design_edge_networks(folder: Path, *, patches: bool) -> _Design:
    """Graph of B-NET and E-NET."""
    from defocus_edge.blur_levels import BLUR_LEVELS
    from defocus_edge.networks.edge.architecture import EDGE_CLASSES
    from defocus_edge.networks.edge.patches import PATCH_RADIUS

    design = _design_patches if patches else _design_pictures
    graph, inputs, names, config = design(folder)
    title = "B-NET and E-NET on patches" if patches else "B-NET and E-NET at the edge points of pictures"
    levels, classes = BLUR_LEVELS.tolist(), list(EDGE_CLASSES)
    blur = _Tensor("blur", "float32", ("points", len(levels)), "probability of each radius of blur_levels_px")
    edge = _Tensor("edge", "float32", ("points", len(classes)), "probability of each of edge_classes")
    properties = {
        "form": "patches" if patches else "dense",
        "border_px": PATCH_RADIUS,
        "blur_levels_px": levels,
        "edge_classes": classes,
        "depth_threshold": config.depth_threshold,
        "grid_step_px": config.grid_step,
    }
    return _Design(title, graph, inputs, {names["blur"]: blur, names["edge"]: edge}, properties)


_EdgeDesign = tuple["GraphBuilder", list[_Tensor], dict[str, str], "EdgeNetworksConfig"]


def _design_patches(folder: Path) -> _EdgeDesign:
    """Graph on patches, its inputs and outputs."""
    networks = load_edge_networks(folder)
    from defocus_edge.networks.edge.patches import PATCH_SIDE
    from defocus_edge.networks.onnx.graph import GraphBuilder
    from defocus_edge.networks.onnx.layers import add_model

    graph = GraphBuilder()
    meaning = f"{_PIXELS}, centred on an edge point"
    patches = _Tensor("patches", "float32", ("points", PATCH_SIDE, PATCH_SIDE, 3), meaning)
    return graph, [patches], add_model(graph, networks.joint, patches.name), networks.config


def _design_pictures(folder: Path) -> _EdgeDesign:
    """Graph on pictures, its inputs and outputs."""
    weights = load_edge_weights(folder)
    from defocus_edge.networks.edge.patches import PATCH_RADIUS
    from defocus_edge.networks.onnx.dense import add_heads, add_maps
    from defocus_edge.networks.onnx.graph import GraphBuilder

    step = weights.config.grid_step
    meaning = (
        f"{_PIXELS}: a picture, or tiles of one size cut from it, with {PATCH_RADIUS} px more on each side; beyond the "
        'picture its mirror image, as of numpy.pad(…, mode="symmetric")'
    )
    which = "edge point" if step == 1 else f"square of {step}×{step} px that holds edge points"
    where = (
        f"number of the tile, row and column of each {which} in the tile without its border; some thousand in one run, "
        "as memory grows with them"
    )
    if step > 1:
        meaning += f"; height and width without that are multiples of {step}"
    image = _Tensor("image", "float32", ("tiles", "height", "width", 3), meaning)
    points = _Tensor("points", "int32", ("points", 3), where)
    graph = GraphBuilder()
    names = add_heads(graph, weights, *add_maps(graph, weights, image.name), points.name)
    return graph, [image, points], names, weights.config


def _design_segmentation(folder: Path) -> _Design:
    """Graph of a network that detects blur, with the sigmoid of its last map."""
    preset = load_segmentation_preset(folder)
    import numpy as np

    from defocus_edge.networks.onnx.graph import CHANNELS, GraphBuilder
    from defocus_edge.networks.onnx.layers import add_model
    from defocus_edge.networks.segmentation.network import LARGEST_RADIUS
    from defocus_edge.networks.segmentation.registry import SEGMENTATION_NETWORKS
    from defocus_edge.networks.segmentation.tiles import LARGEST_SIDE, OVERLAP

    network, graph = SEGMENTATION_NETWORKS[preset.network], GraphBuilder()
    logits = add_model(graph, preset.model, "image")
    answer = graph.add("Gather", [logits, graph.add_constant("last_map", -1)], "answer", axis=CHANNELS)
    result = graph.add("Sigmoid", [answer], "answer/sigmoid")
    if network.answer == "radius":
        largest = graph.add_constant("largest_radius", np.float32(LARGEST_RADIUS))
        result = graph.add("Mul", [result, largest], "answer/radius")
    meaning = (
        f"{_PIXELS}; height and width multiples of {network.stride}: continue pictures of other sizes below and to the "
        'right, as numpy.pad(…, mode="reflect") does, and cut the result'
    )
    image = _Tensor("image", "float32", ("pictures", "height", "width", 3), meaning)
    name, truth = "radius", "of the blur, px"
    if preset.threshold is not None:
        name = "probability"
        truth = f"that a pixel is out of focus; above {preset.threshold:g} it counts as blurred"
    properties = {
        "form": "map",
        "stride": network.stride,
        **({} if preset.threshold is None else {"threshold": preset.threshold}),
        "largest_side": LARGEST_SIDE,
        "overlap": OVERLAP,
        **({"seen_side": preset.seen_side} if preset.seen_side else {}),
        **({"smoothing": preset.smoothing} if preset.smoothing else {}),
    }
    output = _Tensor(name, "float32", ("pictures", "height", "width"), truth)
    return _Design(network.title, graph, [image], {result: output}, properties)


def _describe(folder: Path, design: _Design) -> dict[str, str]:
    """The file's metadata. ONNX allows strings only, so numbers and lists are JSON."""
    metadata = read_metadata(folder)
    about = {
        "preset": folder.resolve().name,
        "network": read_config(folder / CONFIG_FILE)["network"],
        "software": f"defocus_edge {__version__}",
        "sha256": metadata["sha256"],
        "licence": metadata.get("licence", "unknown"),
        "inputs": "; ".join(map(str, design.inputs)),
        "outputs": "; ".join(map(str, design.outputs.values())),
        **design.properties,
    }
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in about.items()}


def _assemble(design: _Design, properties: dict[str, str]) -> ModelProto:
    """The content of the file, checked."""
    from onnx import TensorProto, checker, helper

    from defocus_edge.networks.onnx.graph import FORMAT, OPSET

    tensors = [*design.inputs, *design.outputs.values()]
    kinds = {"float32": TensorProto.FLOAT, "int32": TensorProto.INT32}
    ports = {
        tensor.name: helper.make_tensor_value_info(tensor.name, kinds[tensor.dtype], tensor.shape) for tensor in tensors
    }
    ends = [helper.make_node("Identity", [name], [tensor.name]) for name, tensor in design.outputs.items()]
    graph = helper.make_graph(
        [*design.graph.nodes, *ends],
        properties["network"],
        [ports[tensor.name] for tensor in design.inputs],
        [ports[tensor.name] for tensor in design.outputs.values()],
        design.graph.constants,
    )
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=FORMAT,
        producer_name="defocus_edge",
        producer_version=__version__,
        doc_string="\n".join([design.title, *(f"{tensor}: {tensor.meaning}" for tensor in tensors)]),
    )
    helper.set_model_props(model, properties)
    checker.check_model(model, full_check=True)
    return model
