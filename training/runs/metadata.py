"""What metadata.json says of every preset that was trained here."""

from __future__ import annotations

import platform
from typing import Any

import keras

#: Of the pictures that `load_sources` reads.
LICENCE = "The pictures have mixed or unstated licences (research use)."


def describe_training(
    name: str, config: str, source: dict[str, Any], *, command: str, hours: float, licence: str = LICENCE
) -> dict[str, Any]:
    """Name, recipe and circumstances of a training.

    Parameters
    ----------
    name : str
        Of the preset.
    config : str
        Name of the configuration.
    source : dict
        What its file said.
    command : str
        That trained the network, without paths of this machine.
    hours : float
        That it took, since it was last resumed.
    licence : str
        Of the pictures.
    """
    return {
        "name": name,
        "command": command,
        "config": {"name": config, **source},
        "licence": licence,
        "hardware": f"{platform.machine()}, keras {keras.version()} on {keras.backend.backend()}",
        "hours_of_last_run": round(hours, 2),
    }
