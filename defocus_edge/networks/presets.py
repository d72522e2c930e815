"""Presets: load networks from a folder, or write them into one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from defocus_edge.choices import DEFAULT_PRESET
from defocus_edge.networks.config_values import SIDES_RULE, are_sides, build_config, is_number
from defocus_edge.networks.keras_policy import use_own_policy
from defocus_edge.networks.preset_files import (
    CONFIG_FILE,
    CONTEXT_NETWORK,
    EDGE_NETWORKS,
    METADATA_FILE,
    WEIGHTS_FILE,
    PresetError,
    compute_sha256,
    find_preset,
    list_presets,
    read_config,
    shorten,
    verify_preset,
)

if TYPE_CHECKING:
    import keras

    from defocus_edge.networks.context import ContextConfig, ContextWeights
    from defocus_edge.networks.context_network import ContextNetwork
    from defocus_edge.networks.edge.architecture import EdgeNetworksConfig, EdgeWeights
    from defocus_edge.networks.edge.networks import EdgeNetworks
    from defocus_edge.networks.weight_files import Arrays

Architecture = TypeVar("Architecture")


@dataclass(frozen=True, eq=False)
class SegmentationPreset:
    """A blur-detection network that is ready for use.

    Attributes
    ----------
    network : str
        Name of the network in `SEGMENTATION_NETWORKS`.
    config : object
        Architecture, of the network's `config_class`.
    model : keras.Model
        Takes (B, H, W, 3) RGB in [0, 1], gives (B, H, W, K) logits; the last channel is the answer.
    threshold : float or None
        Probability above which a pixel counts as blurred, calibrated for the weights. None for a network that answers
        with a radius.
    seen_side : int, tuple of int or None
        Longest side in px of what the network sees: larger pictures are reduced. With several ones it sees a picture in
        each size. None for all in full size.
    smoothing : float
        How far its map is smoothed along the edges of a picture, as a share of the longer side; 0 for not at all.
    """

    network: str
    config: Any
    model: keras.Model
    threshold: float | None = None
    seen_side: int | tuple[int, ...] | None = None
    smoothing: float = 0.0


def load_edge_networks(preset: str | Path = DEFAULT_PRESET) -> EdgeNetworks:
    """Build B-NET and E-NET and fill them with the weights of a preset, given by name or as a folder.

    PresetError if the preset is unknown, a file is missing or damaged, or the weights do not have the SHA-256 in
    metadata.json or do not fit the networks.
    """
    from defocus_edge.networks.edge.networks import build_edge_networks
    from defocus_edge.networks.weight_files import fill_layers

    weights = load_edge_weights(preset)
    with use_own_policy():
        networks = build_edge_networks(weights.config)
    fill_layers(networks.joint, weights.arrays)
    return networks


def load_edge_weights(preset: str | Path = DEFAULT_PRESET) -> EdgeWeights:
    """Load the weights of B-NET and E-NET without Keras; the errors are those of `load_edge_networks`."""
    folder = find_preset(preset)
    verify_preset(folder)
    from defocus_edge.networks.edge.architecture import EdgeWeights, list_shapes

    config = read_edge_config(folder)
    return EdgeWeights(config, _read_weights(folder, list_shapes(config)))


def load_context_network(preset: str | Path) -> ContextNetwork:
    """Build the network that corrects points and fill it with the weights of a preset, as `load_edge_networks` does."""
    from defocus_edge.networks.context_network import build_context_network
    from defocus_edge.networks.weight_files import fill_layers

    weights = load_context_weights(preset)
    with use_own_policy():
        network = build_context_network(weights.config)
    fill_layers(network.model, weights.arrays)
    return network


def load_context_weights(preset: str | Path) -> ContextWeights:
    """Load the weights of the network that corrects points without Keras, as `load_edge_weights` does."""
    folder = find_preset(preset)
    verify_preset(folder)
    from defocus_edge.networks.context import ContextWeights, list_context_shapes

    config = _read_context_config(folder / CONFIG_FILE)
    return ContextWeights(config, _read_weights(folder, list_context_shapes(config)))


def save_context_preset(network: ContextNetwork, folder: str | Path, metadata: dict[str, Any]) -> Path:
    """Write a preset that `load_context_network` reads, as `save_edge_preset` does."""
    config = {"network": CONTEXT_NETWORK, **asdict(network.config)}
    return _save_preset(network.model, Path(folder), config, metadata)


def load_segmentation_preset(preset: str | Path, *, network: str | None = None) -> SegmentationPreset:
    """Build a blur-detection network and fill it with the weights of a preset, as `load_edge_networks` does.

    `network` is the name of the network that the preset must hold; any network unless given.
    """
    folder = find_preset(preset)
    verify_preset(folder)
    from defocus_edge.networks.segmentation.registry import SEGMENTATION_NETWORKS, build_segmentation_network
    from defocus_edge.networks.weight_files import check_weights

    path = folder / CONFIG_FILE
    values = read_config(path)
    found = values.pop("network")
    if found not in ([*SEGMENTATION_NETWORKS] if network is None else [network]):
        msg = f"{path} must be of {network or ', '.join(SEGMENTATION_NETWORKS)}. Got: {found!r}."
        raise PresetError(msg)
    kind = SEGMENTATION_NETWORKS[found]
    # A radius has no threshold, and is true at full size only: with either, the file has an unknown value.
    own = _take_mask_values(path, found, values) if kind.answer == "mask" else {}
    config = _describe(path, found, kind.config_class, values)
    with _blame_weights(folder), use_own_policy():
        check_weights(folder / WEIGHTS_FILE)
        model = build_segmentation_network(found, config)
        model.load_weights(folder / WEIGHTS_FILE)
    return SegmentationPreset(found, config, model, **own)


def _take_mask_values(path: Path, found: str, values: dict[str, Any]) -> dict[str, Any]:
    """Take what belongs to a network that answers with a mask, and not to its layers, out of its config.json."""
    rules: dict[str, tuple[Any, Callable[[Any], bool], str]] = {
        "threshold": (None, _is_share, "between 0 and 1"),
        "seen_side": (None, lambda value: value is None or are_sides(value), SIDES_RULE),
        "smoothing": (0.0, _is_share, "between 0 and 1"),
    }
    taken = {}
    for name, (default, fits, rule) in rules.items():
        value = values.pop(name, default)
        if not fits(value):
            msg = f"{path} does not describe {found}: {name} must be {rule}. Got: {shorten(repr(value))}."
            raise PresetError(msg)
        taken[name] = tuple(value) if isinstance(value, list) else value
    return taken


def _is_share(value: Any) -> bool:
    return is_number(value) and 0 <= value <= 1


def save_edge_preset(networks: EdgeNetworks, folder: str | Path, metadata: dict[str, Any]) -> Path:
    """Write a preset that `load_edge_networks` reads. Each file is written whole or not at all.

    `folder` is made if it does not exist, and returned. `metadata` says how the weights came about; the checksum is
    added.
    """
    config = {"network": EDGE_NETWORKS, **asdict(networks.config)}
    return _save_preset(networks.joint, Path(folder), config, metadata)


def save_segmentation_preset(
    preset: SegmentationPreset, folder: str | Path, metadata: dict[str, Any], *, half: bool = True
) -> Path:
    """Write a preset that `load_segmentation_preset` reads, as `save_edge_preset` does.

    `half` stores the kernels in float16, which takes half the space. The network still computes in float32.
    """
    own = {name: getattr(preset, name) for name in ("network", "threshold", "seen_side")}
    if preset.smoothing:
        own["smoothing"] = preset.smoothing
    config = {name: value for name, value in own.items() if value is not None} | asdict(preset.config)
    return _save_preset(preset.model, Path(folder), config, metadata, half=half)


def _save_preset(
    model: keras.Model, folder: Path, config: dict[str, Any], metadata: dict[str, Any], *, half: bool = False
) -> Path:
    """Write the three files; the checksum goes into the metadata."""
    from defocus_edge.files.atomic import (
        atomic_write,
        move_durably,
    )  # here: it loads OpenCV, which finding a preset must not
    from defocus_edge.networks.weight_files import store_kernels_in_half

    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{WEIGHTS_FILE}"  # Keras insists on the end of the name
    try:
        model.save_weights(temporary)
        if half:
            store_kernels_in_half(temporary)
        metadata = {**metadata, "sha256": compute_sha256(temporary)}
        move_durably(temporary, folder / WEIGHTS_FILE)
    finally:
        temporary.unlink(missing_ok=True)
    for name, values in ((CONFIG_FILE, config), (METADATA_FILE, metadata)):
        with atomic_write(folder / name) as path:
            path.write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return folder


@contextmanager
def _blame_weights(folder: Path) -> Iterator[None]:
    """Say in one line that the weights of a preset do not fit its networks."""
    try:
        yield
    except (OSError, ValueError, KeyError) as error:  # WeightsError is a ValueError
        msg = f"{folder / WEIGHTS_FILE} cannot be loaded into the networks of {folder / CONFIG_FILE}: {shorten(error)}"
        raise PresetError(msg) from error


def _read_weights(folder: Path, shapes: Mapping[str, list[tuple[int, ...]]]) -> Arrays:
    """Read the weights of a preset without Keras, or say that they do not fit."""
    from defocus_edge.networks.weight_files import read_arrays

    with _blame_weights(folder):
        return read_arrays(folder / WEIGHTS_FILE, shapes)


def _read_context_config(path: Path) -> ContextConfig:
    """Read the architecture of the network that corrects points."""
    from defocus_edge.networks.context import ContextConfig

    return _read_architecture(path, CONTEXT_NETWORK, ContextConfig, needed="units")


def read_edge_config(preset: str | Path) -> EdgeNetworksConfig:
    """Read the architecture of B-NET and E-NET in a preset without their weights; raises PresetError."""
    from defocus_edge.networks.edge.architecture import EdgeNetworksConfig

    path = find_preset(preset) / CONFIG_FILE
    return _read_architecture(path, EDGE_NETWORKS, EdgeNetworksConfig, needed="dense_units")


def _read_architecture(path: Path, network: str, build: Callable[..., Architecture], *, needed: str) -> Architecture:
    """Read the configuration of a kind of network; the key `needed` must be there, others may be missing."""
    values = read_config(path)
    if values.pop("network") != network:
        msg = f"{path} must be of a network {network!r}; presets of it: {list_presets(network)}."
        raise PresetError(msg)
    if needed not in values:
        msg = f"{path} does not describe a network {network!r}: {needed} is missing."
        raise PresetError(msg)
    return _describe(path, f"a network {network!r}", build, values)


def _describe(path: Path, what: str, build: Callable[..., Architecture], values: Mapping[str, Any]) -> Architecture:
    """Build an architecture, or say what is wrong with its values."""
    try:
        return build_config(build, values)
    except ValueError as error:
        msg = f"{path} does not describe {what}: {error}"
        raise PresetError(msg) from error
