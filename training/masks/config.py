"""Configurations of the blur-detection networks' training: TOML files, checked to the last key."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.edges.config import CONFIGS_FOLDER
from training.edges.settings import CHECKPOINT_SECONDS, RULES, check_value, is_number
from training.masks.settings import MaskTrainingSettings
from training.runs.config_rules import (
    LENGTH_KEYS,
    SCHEDULE_KEYS,
    TABLE,
    check_keys,
    check_rules,
    count_steps,
    name_place,
    read_tables,
)

if TYPE_CHECKING:
    from defocus_edge.networks.segmentation.blocks import SegmentationConfig

# Keys above the tables.
_SHARED_KEYS = ("seed", "validation_stride")
_CHECKPOINT_RULE = {"checkpoint_seconds": ("a number of 0 or more", lambda value: is_number(value, 0, 1e9))}
# Settings that no key of the table `training` is named after.
_OTHER_SETTINGS = {"network", "steps", "drop_steps", "warmup", "decay", "start", *_SHARED_KEYS}


@dataclass(frozen=True)
class MaskTrainingConfig:
    """The training of a blur-detection network, and its architecture.

    Attributes
    ----------
    name : str
    settings : MaskTrainingSettings
    network : SegmentationConfig
    checkpoint_seconds : float
        Time between checkpoints.
    source : dict
        What the file said.
    """

    name: str
    settings: MaskTrainingSettings
    network: SegmentationConfig
    checkpoint_seconds: float
    source: dict[str, Any]

    def change(self, **settings: Any) -> MaskTrainingConfig:
        """The same with other settings; None leaves one as it is."""
        given = {name: value for name, value in settings.items() if value is not None}
        return replace(self, settings=replace(self.settings, **given))


def list_mask_configs(network: str) -> list[str]:
    """Names of the configurations of a network that come with the package, sorted."""
    return sorted(path.stem for path in (CONFIGS_FOLDER / network).glob("*.toml"))


def read_mask_config(network: str, config: str) -> MaskTrainingConfig:
    """Read a configuration of a network.

    Parameters
    ----------
    network : {'msdu', 'defusion', 'maganet'}
    config : str
        Name of one of the package, or a TOML file.

    Returns
    -------
    MaskTrainingConfig

    Raises
    ------
    ValueError
        If there is none, or a key is unknown, missing, of the wrong type or out of range; file and key are named.
    """
    known = list_mask_configs(network)
    path = CONFIGS_FOLDER / network / f"{config}.toml" if config in known else Path(config)
    tables = read_tables(path, known, config)
    with name_place(f"{path.name}: "):
        check_keys(tables, (*_SHARED_KEYS, *_CHECKPOINT_RULE, "network", "training"))
        shared = {key: tables[key] for key in _SHARED_KEYS if key in tables}
        check_rules(shared, RULES)
        seconds = {key: tables[key] for key in _CHECKPOINT_RULE if key in tables}
        check_rules(seconds, _CHECKPOINT_RULE)
        check_value("training", tables.get("training"), *TABLE)
        with name_place("training."):
            settings = _build_settings(network, tables["training"], shared)
        architecture = tables.get("network", {})
        check_value("network", architecture, *TABLE)
        with name_place("network."):
            built = _build_architecture(network, architecture)
    return MaskTrainingConfig(
        path.stem, settings, built, seconds.get("checkpoint_seconds", CHECKPOINT_SECONDS), source=tables
    )


def _build_settings(network: str, table: dict[str, Any], shared: dict[str, Any]) -> MaskTrainingSettings:
    schedule = table.get("schedule", "stable-decay")
    names = {field.name for field in fields(MaskTrainingSettings)} - _OTHER_SETTINGS
    check_keys(table, {*names, *LENGTH_KEYS, *SCHEDULE_KEYS.get(schedule, ())})
    direct: dict[str, Any] = {key: value for key, value in table.items() if key not in (*LENGTH_KEYS, "drop_epochs")}
    return MaskTrainingSettings(network=network, **{**shared, **direct, **count_steps(table)})


def _build_architecture(network: str, table: dict[str, Any]) -> SegmentationConfig:
    from defocus_edge.networks.segmentation.registry import SEGMENTATION_NETWORKS

    config_class = SEGMENTATION_NETWORKS[network].config_class
    check_keys(table, [field.name for field in fields(config_class)])
    try:
        return config_class(**table)
    except TypeError as error:  # a word where a number belongs
        raise ValueError(str(error)) from error
