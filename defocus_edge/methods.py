"""Which method finds blurred pixels where none is named. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from defocus_edge.choices import DEFAULT_METHOD, MAP_METHOD
from defocus_edge.networks.preset_files import CONFIG_FILE, find_preset, read_config
from defocus_edge.networks.segmentation.names import NETWORK_NAMES


def choose_method(method: str | None, *, preset: str | Path | None, map_options: Mapping[str, Any]) -> str:
    """Choose the method that fits what else is given.

    Raises PresetError if the preset cannot be found or read.

    Parameters
    ----------
    method : str, optional
        A method that is named is taken.
    preset : str or Path, optional
        Without a name, the method whose network the preset holds; edge networks make the map.
    map_options : mapping
        Name to value of the options that only the blur map has. If one is not None, the method is the map's.
    """
    if method is not None:
        return method
    if any(value is not None for value in map_options.values()):
        return MAP_METHOD
    if preset is None:
        return DEFAULT_METHOD
    network: str = read_config(find_preset(preset) / CONFIG_FILE)["network"]
    return network if network in NETWORK_NAMES else MAP_METHOD
